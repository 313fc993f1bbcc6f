import Ports
import Views

/// A hot row's counts as text: impressions, views, clicks, engagements, conversions, revenue in
/// micro-units, revision, and 1 if final, separated by spaces.
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
  static func decode(_ text: [UInt8], level: WindowLevel, start: Int64) -> WindowRow? {
    var numbers: [Int64] = []
    numbers.reserveCapacity(8)
    var magnitude: Int64 = 0
    var isNegative = false
    var digits = 0
    for byte in text {
      switch byte {
      case UInt8(ascii: "-") where digits == 0 && !isNegative: isNegative = true
      case UInt8(ascii: "0")...UInt8(ascii: "9"):
        // Downwards, since the least number has no positive counterpart.
        let (tenfold, overflow) = magnitude.multipliedReportingOverflow(by: 10)
        let (next, overflow2) = tenfold.subtractingReportingOverflow(
          Int64(byte - UInt8(ascii: "0")))
        if overflow || overflow2 { return nil }
        magnitude = next
        digits += 1
      case UInt8(ascii: " "):
        guard digits > 0, isNegative || magnitude != .min else { return nil }
        numbers.append(isNegative ? magnitude : -magnitude)
        magnitude = 0
        isNegative = false
        digits = 0
      default: return nil
      }
    }
    guard numbers.count == 7, digits == 1, !isNegative, magnitude == 0 || magnitude == -1,
      let revision = Int32(exactly: numbers[6])
    else { return nil }
    return WindowRow(
      level: level, start: start, dimensionID: 0,
      counts: Counts(
        impressions: numbers[0], views: numbers[1], clicks: numbers[2], engagements: numbers[3],
        conversions: numbers[4], revenueMicros: numbers[5]),
      revision: revision, isFinal: magnitude == -1)
  }
}
