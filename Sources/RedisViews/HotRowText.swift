import Ports
import Views

/// A hot row's counts as text: impressions, views, clicks, engagements, conversions, revenue in
/// micro-units, revision, and 1 if it was final when it was written, separated by spaces.
enum HotRowText {
  /// Appends the text of `row` to `bytes`.
  static func append(_ row: WindowRow, to bytes: inout [UInt8]) {
    let counts = row.counts
    append(counts.impressions, to: &bytes)
    append(counts.views, to: &bytes)
    append(counts.clicks, to: &bytes)
    append(counts.engagements, to: &bytes)
    append(counts.conversions, to: &bytes)
    append(counts.revenueMicros, to: &bytes)
    append(Int64(row.revision), to: &bytes)
    bytes.append(row.isFinal ? UInt8(ascii: "1") : UInt8(ascii: "0"))
  }

  private static func append(_ value: Int64, to bytes: inout [UInt8]) {
    if value < 0 { bytes.append(UInt8(ascii: "-")) }
    let first = bytes.count
    var rest = value.magnitude
    repeat {
      bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
      rest /= 10
    } while rest > 0
    bytes[first...].reverse()
    bytes.append(UInt8(ascii: " "))
  }

  /// The row, without its dimension id, or nil where the text is not a row's.
  static func decode(
    _ text: UnsafeRawBufferPointer, level: WindowLevel, start: Int64
  ) -> WindowRow? {
    var rest = text[...]
    guard let impressions = number(&rest), let views = number(&rest), let clicks = number(&rest),
      let engagements = number(&rest), let conversions = number(&rest),
      let revenueMicros = number(&rest),
      let revision = number(&rest).flatMap({ Int32(exactly: $0) }),
      rest.count == 1, let mark = rest.first,
      mark == UInt8(ascii: "0") || mark == UInt8(ascii: "1")
    else { return nil }
    return WindowRow(
      level: level, start: start, dimensionID: 0,
      counts: Counts(
        impressions: impressions, views: views, clicks: clicks, engagements: engagements,
        conversions: conversions, revenueMicros: revenueMicros),
      revision: revision, isFinal: mark == UInt8(ascii: "1"))
  }

  /// Takes a number and the space after it.
  private static func number(_ rest: inout Slice<UnsafeRawBufferPointer>) -> Int64? {
    let isNegative = rest.first == UInt8(ascii: "-")
    if isNegative { rest.removeFirst() }
    var magnitude: Int64 = 0
    var digits = 0
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: " ") {
        guard digits > 0, isNegative || magnitude != .min else { return nil }
        return isNegative ? magnitude : -magnitude
      }
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
      // Downwards, since the least number has no positive counterpart.
      let (tenfold, overflow) = magnitude.multipliedReportingOverflow(by: 10)
      let (next, overflow2) = tenfold.subtractingReportingOverflow(Int64(byte - UInt8(ascii: "0")))
      if overflow || overflow2 { return nil }
      magnitude = next
      digits += 1
    }
    return nil
  }
}
