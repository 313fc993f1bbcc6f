/// Decimal text to and from millionths of a currency's unit, exactly: no binary floating point.
public enum Money {
  /// Millionths in one unit.
  public static let scale: Int64 = 1_000_000

  /// Reads a JSON number or the same as text: `9.99`, `-0.5`, `1e3`, `12.3456785`.
  ///
  /// Digits beyond the sixth decimal are rounded half to even. A leading `+`, digits before or
  /// after the point alone (`.5`, `5.`) are accepted, as shops send them; white space, group
  /// separators and currency signs are not.
  ///
  /// - Returns: nil where the text is no number or is beyond ±9,223,372,036,854.775807.
  public static func micros(_ text: UnsafeRawBufferPointer) -> Int64? {
    guard let decimal = Decimal(text) else { return nil }
    return decimal.micros
  }

  /// See ``micros(_:)-(UnsafeRawBufferPointer)``.
  public static func micros(_ text: String) -> Int64? {
    var text = text
    return text.withUTF8 { micros(UnsafeRawBufferPointer($0)) }
  }

  /// The shortest decimal text: `9.99`, `-0.5`, `1000`.
  public static func text(_ micros: Int64) -> String {
    let magnitude = micros.magnitude
    var text = (micros < 0 ? "-" : "") + "\(magnitude / UInt64(scale))"
    var fraction = magnitude % UInt64(scale)
    guard fraction != 0 else { return text }
    var digits = 6
    while fraction % 10 == 0 {
      fraction /= 10
      digits -= 1
    }
    let written = "\(fraction)"
    text += "." + String(repeating: "0", count: digits - written.utf8.count) + written
    return text
  }
}

/// A decimal number as it is written: which digits, and where the point is.
private struct Decimal {
  private let digits: UnsafeRawBufferPointer
  private let isNegative: Bool
  /// How many digits stand before the point; negative or beyond the digits by the exponent.
  private let integerCount: Int

  init?(_ text: UnsafeRawBufferPointer) {
    var index = 0
    func at(_ place: Int) -> UInt8 { place < text.count ? text[place] : 0 }
    func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 <= 9 }
    isNegative = at(0) == UInt8(ascii: "-")
    if isNegative || at(0) == UInt8(ascii: "+") { index += 1 }
    let start = index
    while isDigit(at(index)) { index += 1 }
    var integers = index - start
    var count = integers
    if at(index) == UInt8(ascii: ".") {
      index += 1
      while isDigit(at(index)) {
        index += 1
        count += 1
      }
    }
    guard count > 0 else { return nil }
    digits = UnsafeRawBufferPointer(rebasing: text[start..<index])
    if at(index) | 0x20 == UInt8(ascii: "e") {
      index += 1
      let isDown = at(index) == UInt8(ascii: "-")
      if isDown || at(index) == UInt8(ascii: "+") { index += 1 }
      guard isDigit(at(index)) else { return nil }
      var exponent = 0
      while isDigit(at(index)) {
        // Beyond this every number is 0 or too large; texts that long are not accepted anyway.
        exponent = min(exponent * 10 + Int(at(index) - 0x30), 1_000_000_000)
        index += 1
      }
      integers += isDown ? -exponent : exponent
    }
    guard index == text.count else { return nil }
    integerCount = integers
  }

  /// Rounded half to even at the sixth decimal.
  var micros: Int64? {
    // The number is 0.d1d2d3… × 10^integerCount; its micros are the first `kept` digits.
    let kept = integerCount + 6
    var value: UInt64 = 0
    var place = 0
    var firstDropped: UInt8 = 0
    var restIsZero = true
    for byte in digits where byte != UInt8(ascii: ".") {
      let digit = byte - 0x30
      if place < kept {
        guard let next = Self.shifted(value, digit) else { return nil }
        value = next
      } else if place == kept {
        firstDropped = digit
      } else {
        restIsZero = restIsZero && digit == 0
      }
      place += 1
    }
    // 20 zeros overflow whatever is not 0.
    if value != 0 && place < kept {
      guard kept - place <= 20 else { return nil }
      for _ in place..<kept {
        guard let next = Self.shifted(value, 0) else { return nil }
        value = next
      }
    }
    if firstDropped > 5 || firstDropped == 5 && (!restIsZero || value & 1 == 1) {
      guard value < UInt64(Int64.max) else { return nil }
      value += 1
    }
    return isNegative ? (value == 0 ? 0 : -Int64(value)) : Int64(value)
  }

  /// - Returns: nil beyond 2^63 - 1.
  private static func shifted(_ value: UInt64, _ digit: UInt8) -> UInt64? {
    let (product, overflow) = value.multipliedReportingOverflow(by: 10)
    let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
    return overflow || carry || sum > UInt64(Int64.max) ? nil : sum
  }
}
