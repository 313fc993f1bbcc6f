/// Why bytes are not the JSON that was asked for, and where.
///
/// Carries no content of the text, so it may be logged and sent back.
public struct JSONError: Error, Hashable, Sendable {
  public enum Expected: UInt8, Hashable, Sendable {
    case value
    case object
    case array
    case string
    case number
    case boolean
    case key
    case colon
    case commaOrObjectEnd
    case commaOrArrayEnd
    case end
    /// A byte of a string: no control characters below U+0020.
    case character
    case escape
    case utf8
    case int64
    case finiteDouble
    case depth
  }

  /// Of the first byte that is wrong, from the start of the text.
  public let offset: Int
  public let expected: Expected
  /// Whether the text ended where something was expected.
  public let isAtEnd: Bool

  public init(offset: Int, expected: Expected, isAtEnd: Bool) {
    self.offset = offset
    self.expected = expected
    self.isAtEnd = isAtEnd
  }
}

extension JSONError.Expected: CustomStringConvertible {
  public var description: String {
    switch self {
    case .value: "a value"
    case .object: "an object"
    case .array: "an array"
    case .string: "a string"
    case .number: "a number"
    case .boolean: "true or false"
    case .key: "a key in double quotes"
    case .colon: "':' after the key"
    case .commaOrObjectEnd: "',' or '}'"
    case .commaOrArrayEnd: "',' or ']'"
    case .end: "nothing after the value"
    case .character: "a character of a string; control characters are written as \\u00XX"
    case .escape: "one of \" \\ / b f n r t or u and four hexadecimal digits after '\\'"
    case .utf8: "valid UTF-8"
    case .int64: "a whole number from -2^63 to 2^63 - 1"
    case .finiteDouble: "a number below 1.8e308"
    case .depth: "at most \(JSONScanner.depthMax) levels of arrays and objects"
    }
  }
}

extension JSONError: CustomStringConvertible {
  public var description: String {
    isAtEnd
      ? "the JSON ends at byte \(offset), where \(expected) is expected"
      : "at byte \(offset) of the JSON \(expected) is expected"
  }
}
