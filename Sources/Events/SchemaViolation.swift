/// What of a value does not fit its schema. Holds nothing of the value but names of members.
public struct SchemaViolation: Error, Hashable, Sendable {
  /// Where, such as `$.products[2].price`.
  public var path: String
  /// What the schema asks there.
  public var expected: String
  /// What to do.
  public var fix: String

  public init(path: String, expected: String, fix: String) {
    self.path = path
    self.expected = expected
    self.fix = fix
  }

  init(_ path: SchemaPath, _ expected: String, _ fix: String) {
    self.init(path: path.text, expected: expected, fix: fix)
  }
}

/// Where a value stands in the whole.
struct SchemaPath {
  private(set) var text = "$"
  private static let nameBytesMax = 64

  init() {}

  /// What is no plain name is not shown: somebody may have put data there.
  func member(_ name: String) -> SchemaPath {
    var path = self
    let isPlain =
      !name.isEmpty && name.utf8.count <= Self.nameBytesMax
      && name.utf8.allSatisfy { byte in
        (byte | 0x20) &- 0x61 <= 25 || byte &- 0x30 <= 9 || "_$-".utf8.contains(byte)
      }
    path.text += isPlain ? ".\(name)" : "[…]"
    return path
  }

  func element(_ index: Int) -> SchemaPath {
    var path = self
    path.text += "[\(index)]"
    return path
  }
}

/// The types of JSON Schema.
enum SchemaType: String, CaseIterable, Hashable, Sendable {
  case null, boolean, object, array, number, string, integer

  func contains(_ value: JSONTree) -> Bool {
    switch (self, value) {
    case (.null, .null), (.boolean, .bool), (.object, .object), (.array, .array),
      (.number, .number), (.string, .string):
      true
    // 1.0 is one.
    case (.integer, .number(let number, _)): number.rounded(.towardZero) == number
    default: false
    }
  }

  var article: String {
    switch self {
    case .null: "null"
    case .boolean: "true or false"
    case .object: "an object"
    case .array: "an array"
    case .number: "a number"
    case .string: "a text"
    case .integer: "a whole number"
    }
  }
}

/// `minimum` and its like.
struct NumberLimit: Hashable, Sendable {
  enum Kind: String, CaseIterable, Hashable, Sendable {
    case minimum, maximum, exclusiveMinimum, exclusiveMaximum
  }

  var kind: Kind
  var value: Double
  var text: String

  func allows(_ number: Double) -> Bool {
    switch kind {
    case .minimum: number >= value
    case .maximum: number <= value
    case .exclusiveMinimum: number > value
    case .exclusiveMaximum: number < value
    }
  }

  var words: String {
    switch kind {
    case .minimum: "a number of at least \(text)"
    case .maximum: "a number of at most \(text)"
    case .exclusiveMinimum: "a number above \(text)"
    case .exclusiveMaximum: "a number below \(text)"
    }
  }
}

/// A decimal number as it is written, so that 19.99 is a multiple of 0.01, which it is not among doubles.
struct SchemaDecimal: Hashable, Sendable {
  let text: String
  private let digits: Int64
  /// Of ten.
  private let exponent: Int

  /// - Returns: nil where it has more than 18 digits or an exponent beyond 18.
  init?(_ text: String) {
    self.text = text
    let parts = text.lowercased().split(separator: "e", omittingEmptySubsequences: false)
    guard parts.count <= 2, let mantissa = parts.first,
      let stated = parts.count == 2 ? Int(parts[1]) : 0, (-1000...1000).contains(stated)
    else { return nil }
    let halves = mantissa.split(separator: ".", omittingEmptySubsequences: false)
    let fraction = halves.count == 2 ? halves[1] : ""
    let all = halves[0] + fraction
    guard all.utf8.count <= 19, let digits = Int64(all) else { return nil }
    self.digits = digits
    exponent = stated - fraction.utf8.count
    guard (-18...18).contains(exponent) else { return nil }
  }

  var isPositive: Bool { digits > 0 }

  func divides(_ text: String) -> Bool {
    guard let other = SchemaDecimal(text) else { return dividesNearly(text) }
    let common = min(exponent, other.exponent)
    guard let step = scaled(to: common), let number = other.scaled(to: common) else {
      return dividesNearly(text)
    }
    return number % step == 0
  }

  private func scaled(to exponent: Int) -> Int64? {
    var value = digits
    for _ in exponent..<self.exponent {
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      guard !overflow else { return nil }
      value = product
    }
    return value
  }

  /// Numbers of more digits than these are as exact as doubles.
  private func dividesNearly(_ text: String) -> Bool {
    guard let number = Double(text), let step = Double(self.text), number.isFinite else {
      return false
    }
    let quotient = number / step
    return quotient.isFinite && quotient.rounded() == quotient
  }
}

extension JSONTree {
  /// As JSON, cut where it is long.
  var short: String {
    let text = String(decoding: bytes, as: UTF8.self)
    return text.count <= 60 ? text : text.prefix(59) + "…"
  }
}
