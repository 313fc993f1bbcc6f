/// One answer of the server. Strings are bytes, since a value may hold anything.
public enum RedisReply: Equatable, Sendable {
  case null
  case integer(Int64)
  case string([UInt8])
  /// A simple status such as `OK`.
  case status(String)
  case array([RedisReply])
  /// An error in the place of an answer (one command of a pipeline, one element of an array).
  case error(code: String, message: String)
}

extension RedisReply {
  /// The bytes of a string or status; nil for anything else.
  public var bytes: [UInt8]? {
    switch self {
    case .string(let bytes): return bytes
    case .status(let text): return Array(text.utf8)
    case .null, .integer, .array, .error: return nil
    }
  }

  /// The text of a string or status, repaired where it is not UTF-8; nil for anything else.
  public var text: String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

  /// An integer, or the decimal text of one; nil for anything else.
  public var integer: Int64? {
    if case .integer(let value) = self { return value }
    guard case .string(let bytes) = self else { return nil }
    return Int64(String(decoding: bytes, as: UTF8.self))
  }

  public var array: [RedisReply]? {
    if case .array(let elements) = self { return elements }
    return nil
  }

  /// This answer, or the error that stands in its place.
  public func get() throws(RedisError) -> RedisReply {
    if case .error(let code, let message) = self { throw .rejected(code: code, message: message) }
    return self
  }
}
