import Events

/// Personal data that can be told by its form alone, in any text: mail addresses, phone numbers and
/// numbers of payment cards.
///
/// | | form |
/// |---|---|
/// | mail | `local@domain.tld`, international letters too |
/// | card | 13 to 19 digits, alone or in groups, with the prefix and length of a scheme and Luhn's check digit |
/// | phone | `+` and 8 to 15 digits (E.164) in any groups; or 8 to 15 digits in groups of a national form: a leading 0, `(030) 1234567`, 3-3-4, 3-4-4, 3-2-2-2, 5-5 |
///
/// Percent-encoded texts, such as values in the query of an address, are read decoded, also where they were
/// encoded more than once. A bare number without groups and `+` is no phone number: ids and times look the
/// same. Fails on what people write to deceive, such as `ada at example dot org`.
///
/// Most texts in which there is nothing are told by one look (``PlainText``); the others cost about 1 ns per byte.
enum PersonalText {
  enum Kind: Hashable {
    case mail, phone, card

    /// What stands in the log instead.
    var removed: Removed {
      switch self {
      case .mail: .mail
      case .phone: .phone
      case .card: .card
      }
    }
  }

  struct Finding: Equatable {
    var kind: Kind
    var range: Range<Int>
  }

  /// Addresses within addresses are encoded once for each level; more are nobody's.
  private static let decodingsMax = 3
  /// Each pass reads all of a text.
  private static let passesMax = 4

  /// What a text holds, in its order, without overlaps.
  static func find(in text: UnsafeRawBufferPointer) -> [Finding] {
    PlainText.isPlain(text) ? [] : read(text)
  }

  /// The same of any text, without the first look.
  static func read(_ text: UnsafeRawBufferPointer) -> [Finding] {
    var findings: [Finding] = []
    let isEncoded = scan(text, &findings)
    if isEncoded { scanDecoded(Array(text), Array(0...text.count), decodingsMax, &findings) }
    return findings.count < 2 ? findings : merged(findings)
  }

  /// What encrypts findings, and where in its event the text stands.
  struct Sealing {
    let sealer: PayloadSealer
    let place: String

    init(_ sealer: PayloadSealer, _ place: String) {
      self.sealer = sealer
      self.place = place
    }
  }

  /// The text with every finding replaced; nil where there is none.
  ///
  /// What stands close to a finding, as in `ada@example.org+44 20 7946 0958`, is told once that is away. A
  /// text in which that goes on is made to deceive, and goes as a whole; what is to be encrypted does so
  /// at once, since an encrypted text is not read again.
  ///
  /// - Parameter sealing: nil: findings are removed.
  static func removed(
    from text: UnsafeRawBufferPointer, sealing: Sealing? = nil
  ) -> [UInt8]? {
    guard var output = replaced(in: text, sealing: nil) else { return nil }
    if let sealing {
      guard output.withUnsafeBytes({ find(in: $0).isEmpty }) else {
        return Array(sealing.sealer.seal(.other, text, isJSON: false, at: sealing.place))
      }
      return replaced(in: text, sealing: sealing)
    }
    for _ in 1..<passesMax {
      guard let next = output.withUnsafeBytes({ replaced(in: $0, sealing: nil) }) else {
        return output
      }
      output = next
    }
    let isClean = output.withUnsafeBytes { find(in: $0).isEmpty }
    return isClean ? output : Array(Removed.other.rawValue.utf8)
  }

  private static func replaced(
    in text: UnsafeRawBufferPointer, sealing: Sealing?
  ) -> [UInt8]? {
    let findings = find(in: text)
    guard !findings.isEmpty else { return nil }
    var output: [UInt8] = []
    output.reserveCapacity(text.count)
    var start = 0
    for finding in findings {
      output += text[start..<finding.range.lowerBound]
      if let sealing {
        let value = UnsafeRawBufferPointer(rebasing: text[finding.range])
        output += sealing.sealer.seal(
          finding.kind.removed, value, isJSON: false, at: sealing.place)
      } else {
        output += finding.kind.removed.rawValue.utf8
      }
      start = finding.range.upperBound
    }
    output += text[start...]
    return output
  }

  static func removed(from text: String) -> String {
    var copy = text
    let output = copy.withUTF8 { removed(from: UnsafeRawBufferPointer($0)) }
    return output.map { String(decoding: $0, as: UTF8.self) } ?? text
  }

  /// Whether ``removed(from:)`` would change it.
  static func isFound(in text: String) -> Bool {
    var text = text
    return text.withUTF8 { !find(in: UnsafeRawBufferPointer($0)).isEmpty }
  }

  // MARK: Scanning

  /// - Returns: whether something personal in it may be percent-encoded.
  private static func scan(
    _ text: UnsafeRawBufferPointer, _ findings: inout [Finding]
  ) -> Bool {
    var escapes = 0
    var digits = 0
    var hidesMark = false
    var index = 0
    while true {
      index = firstOfInterest(text, from: index)
      guard index < text.count else { break }
      let byte = text[index]
      if byte &- UInt8(ascii: "0") <= 9 {
        let run = DigitRun.extent(text, from: index)
        if run.mayMean(in: text, from: index) {
          DigitRun(text, from: index).find(in: text, &findings)
        }
        digits &+= run.digitCount
        index = run.end
        continue
      }
      if byte == UInt8(ascii: "@"), let range = MailAddress.range(around: index, in: text) {
        findings.append(Finding(kind: .mail, range: range))
        index = range.upperBound
        continue
      }
      if byte == UInt8(ascii: "%") {
        escapes &+= 1
        if !hidesMark { hidesMark = isMark(index, text) }
      }
      index &+= 1
    }
    return hidesMark || escapes > 0 && digits >= DigitRun.digitsMin
  }

  /// The first byte at or after `index` that may be a digit, `@` or `%`, eight bytes at a time (Mycroft's
  /// zero-in-word test); all else says nothing.
  private static func firstOfInterest(_ text: UnsafeRawBufferPointer, from index: Int) -> Int {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let highs: UInt64 = 0x8080_8080_8080_8080
    var index = index
    while index &+ 8 <= text.count {
      let word = UInt64(littleEndian: text.loadUnaligned(fromByteOffset: index, as: UInt64.self))
      let digits = word & (ones &* 0xf0) ^ (ones &* 0x30)
      let ats = word ^ (ones &* 0x40)
      let percents = word ^ (ones &* 0x25)
      // A borrow reaches only bytes above a true match, so the lowest match is exact.
      let found =
        ((digits &- ones) & ~digits | (ats &- ones) & ~ats | (percents &- ones) & ~percents)
        & highs
      if found != 0 { return index &+ found.trailingZeroBitCount &>> 3 }
      index &+= 8
    }
    return index
  }

  /// `%40`, which is an `@`, or `%25`, behind which there may be one.
  private static func isMark(_ index: Int, _ text: UnsafeRawBufferPointer) -> Bool {
    guard index + 2 < text.count else { return false }
    return text[index + 1] == UInt8(ascii: "4") && text[index + 2] == UInt8(ascii: "0")
      || text[index + 1] == UInt8(ascii: "2") && text[index + 2] == UInt8(ascii: "5")
  }

  /// - Parameter origins: where each byte of the text began, and where the last one ended.
  private static func scanDecoded(
    _ text: [UInt8], _ origins: [Int], _ depth: Int, _ findings: inout [Finding]
  ) {
    var decoded: [UInt8] = []
    var places: [Int] = []
    decoded.reserveCapacity(text.count)
    places.reserveCapacity(text.count + 1)
    var index = 0
    while index < text.count {
      places.append(origins[index])
      if text[index] == UInt8(ascii: "%"), index + 2 < text.count,
        let high = hexadecimal(text[index + 1]), let low = hexadecimal(text[index + 2])
      {
        decoded.append(high << 4 | low)
        index += 3
      } else {
        decoded.append(text[index])
        index += 1
      }
    }
    guard decoded.count < text.count else { return }
    places.append(origins[text.count])
    var found: [Finding] = []
    let isEncoded = decoded.withUnsafeBytes { scan($0, &found) }
    for finding in found {
      let range = places[finding.range.lowerBound]..<places[finding.range.upperBound]
      findings.append(Finding(kind: finding.kind, range: range))
    }
    if isEncoded && depth > 1 { scanDecoded(decoded, places, depth - 1, &findings) }
  }

  static func hexadecimal(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte & 0xf
    case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"):
      (byte & 0x7) + 9
    default: nil
    }
  }

  private static func merged(_ findings: [Finding]) -> [Finding] {
    let sorted = findings.sorted {
      ($0.range.lowerBound, $1.range.upperBound) < ($1.range.lowerBound, $0.range.upperBound)
    }
    var merged: [Finding] = []
    for finding in sorted {
      guard let last = merged.last, finding.range.lowerBound < last.range.upperBound else {
        merged.append(finding)
        continue
      }
      let end = max(last.range.upperBound, finding.range.upperBound)
      merged[merged.count - 1].range = last.range.lowerBound..<end
    }
    return merged
  }
}

/// A mail address in a text (RFC 5322 without its quoted forms, RFC 6531).
enum MailAddress {
  /// - Parameter at: of the `@`.
  /// - Returns: nil where there is none around it.
  static func range(around at: Int, in text: UnsafeRawBufferPointer) -> Range<Int>? {
    var start = at
    while start > 0, isLocal(text[start - 1]) { start -= 1 }
    // A full stop is neither the first nor the last character.
    while start < at, text[start] == UInt8(ascii: ".") { start += 1 }
    guard start < at else { return nil }
    var end = at + 1
    var labelStart = end
    var labels: [Range<Int>] = []
    while end <= text.count {
      if end < text.count, isLabel(text[end]) {
        end += 1
        continue
      }
      if end == labelStart { break }
      labels.append(labelStart..<end)
      guard end < text.count, text[end] == UInt8(ascii: ".") else { break }
      end += 1
      labelStart = end
    }
    guard labels.count >= 2, let last = labels.last, isTopLevel(text[last]) else { return nil }
    if labels.count == 2, isDensity(text[labels[0]]), isImage(text[last]) { return nil }
    return start..<last.upperBound
  }

  private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    byte &- UInt8(ascii: "0") <= 9 || (byte | 0x20) &- UInt8(ascii: "a") <= 25 || byte >= 0x80
  }

  /// Without what only addresses of pages have more often than people: `=`, `&`, `?`, `/`.
  private static func isLocal(_ byte: UInt8) -> Bool {
    if isLetterOrDigit(byte) { return true }
    switch byte {
    case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "%"), UInt8(ascii: "+"),
      UInt8(ascii: "-"), UInt8(ascii: "'"), UInt8(ascii: "!"), UInt8(ascii: "#"),
      UInt8(ascii: "$"), UInt8(ascii: "*"), UInt8(ascii: "~"):
      return true
    default: return false
    }
  }

  private static func isLabel(_ byte: UInt8) -> Bool {
    isLetterOrDigit(byte) || byte == UInt8(ascii: "-")
  }

  private static func isTopLevel(_ label: Slice<UnsafeRawBufferPointer>) -> Bool {
    label.count >= 2 && label.contains { !($0 &- UInt8(ascii: "0") <= 9) }
  }

  /// `2x` of `logo@2x.png`, which is an image for fine screens.
  private static func isDensity(_ label: Slice<UnsafeRawBufferPointer>) -> Bool {
    label.last == UInt8(ascii: "x")
      && label.dropLast().allSatisfy { $0 &- UInt8(ascii: "0") <= 9 }
  }

  private static func isImage(_ label: Slice<UnsafeRawBufferPointer>) -> Bool {
    ["png", "jpg", "jpeg", "gif", "webp", "svg", "avif"].contains(
      String(decoding: label, as: UTF8.self).lowercased())
  }
}
