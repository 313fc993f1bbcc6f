/// An answer whose status line, header fields and body are laid out in bytes once and sent often.
///
/// `Date`, `Content-Length`, `Connection` and the CORS fields are added when it is sent.
public final class PreparedResponse: Sendable {
  public let status: HTTPStatus
  let head: [UInt8]
  let body: [UInt8]

  public init(
    status: HTTPStatus, headers: [(name: String, value: String)] = [], body: [UInt8] = []
  ) {
    self.status = status
    self.head = HeaderText.head(status: status, headers: headers)
    self.body = body
  }
}

/// The answer of a fast route: a prepared answer, with the parts that differ each time.
public struct FastResponse: Sendable {
  let prepared: PreparedResponse
  /// Header lines that differ each time, each ended by CR LF; made by ``HeaderText``.
  let extraHeaders: [UInt8]
  /// Replaces the prepared body.
  let body: [UInt8]?

  /// - Parameters:
  ///   - extraHeaders: lines as ``HeaderText/line(_:_:)`` makes them, one after the other.
  ///   - body: replaces the prepared body where given.
  public init(
    _ prepared: PreparedResponse, extraHeaders: [UInt8] = [], body: [UInt8]? = nil
  ) {
    self.prepared = prepared
    self.extraHeaders = extraHeaders
    self.body = body
  }

  public init(_ problem: Problem) { self.init(problem.prepared) }

  public var status: HTTPStatus { prepared.status }

  var bodyByteCount: Int { body?.count ?? prepared.body.count }
}

/// Header fields as bytes. Line breaks and NUL inside a value become spaces, so that no value
/// can start a field of its own.
public enum HeaderText {
  /// One field as `name: value` with CR LF.
  public static func line(_ name: String, _ value: String) -> [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity(name.utf8.count + value.utf8.count + 4)
    append(name, value, to: &output)
    return output
  }

  /// Whether two names of fields are the same, in any case of letters.
  static func isSame(_ name: String, _ other: String) -> Bool {
    var (name, other) = (name, other)
    return name.withUTF8 { name in
      other.withUTF8 {
        RequestText.isSame(UnsafeRawBufferPointer(name), UnsafeRawBufferPointer($0))
      }
    }
  }

  static func append(_ name: String, _ value: String, to output: inout [UInt8]) {
    output.append(contentsOf: name.utf8)
    output.append(UInt8(ascii: ":"))
    output.append(UInt8(ascii: " "))
    for byte in value.utf8 {
      output.append(byte == 0x0d || byte == 0x0a || byte == 0 ? 0x20 : byte)
    }
    output.append(0x0d)
    output.append(0x0a)
  }

  static func head(status: HTTPStatus, headers: [(name: String, value: String)]) -> [UInt8] {
    var output = Array("HTTP/1.1 \(status.code) \(status.reason)\r\n".utf8)
    for header in headers { append(header.name, header.value, to: &output) }
    return output
  }
}
