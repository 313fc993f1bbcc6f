import NIOCore

/// Lays answers out as HTTP/1.1 bytes (RFC 9112) without allocating.
enum ResponseWriter {
  private static let connectionClose: StaticString = "Connection: close\r\n"
  private static let connectionKeepAlive: StaticString = "Connection: keep-alive\r\n"
  private static let transferChunked: StaticString = "Transfer-Encoding: chunked\r\n"
  private static let allowOrigin: StaticString = "Access-Control-Allow-Origin: "
  private static let corsRest: StaticString = """
    \r\nAccess-Control-Allow-Credentials: true\r
    Access-Control-Expose-Headers: Retry-After, SmartContent-Position, X-RateLimit-Reset\r
    Vary: Origin\r\n
    """

  static func write(
    _ response: FastResponse, for exchange: Exchange, closes: Bool, dateLine: [UInt8],
    to buffer: inout ByteBuffer
  ) {
    buffer.writeBytes(response.prepared.head)
    writeCommon(
      response.extraHeaders, exchange, origin: exchange.origin,
      closes: closes, dateLine, to: &buffer)
    guard response.status != .noContent, response.status != .notModified else {
      // RFC 9110 section 8.6: no length where there can be no body; that of a 304 would be
      // the length of what its client has.
      buffer.writeStaticString("\r\n")
      return
    }
    buffer.writeStaticString("Content-Length: ")
    write(decimal: response.bodyByteCount, to: &buffer)
    buffer.writeStaticString("\r\n\r\n")
    if !exchange.isHead { buffer.writeBytes(response.body ?? response.prepared.body) }
  }

  /// The header of a streamed answer. Without chunks the body ends with the connection.
  static func writeStreamHead(
    _ head: [UInt8], for exchange: Exchange, closes: Bool, dateLine: [UInt8],
    to buffer: inout ByteBuffer
  ) {
    buffer.writeBytes(head)
    writeCommon([], exchange, origin: exchange.origin, closes: closes, dateLine, to: &buffer)
    if !exchange.isHTTP10 { buffer.writeStaticString(transferChunked) }
    buffer.writeStaticString("\r\n")
  }

  static func writeChunk(_ bytes: [UInt8], isChunked: Bool, to buffer: inout ByteBuffer) {
    guard !bytes.isEmpty else { return }  // A chunk of no bytes would end the body.
    guard isChunked else {
      buffer.writeBytes(bytes)
      return
    }
    buffer.writeString(String(bytes.count, radix: 16))
    buffer.writeStaticString("\r\n")
    buffer.writeBytes(bytes)
    buffer.writeStaticString("\r\n")
  }

  static func writeLastChunk(to buffer: inout ByteBuffer) {
    buffer.writeStaticString("0\r\n\r\n")
  }

  private static func writeCommon(
    _ extraHeaders: [UInt8], _ exchange: Exchange, origin: String?, closes: Bool,
    _ dateLine: [UInt8], to buffer: inout ByteBuffer
  ) {
    buffer.writeBytes(dateLine)
    if !extraHeaders.isEmpty { buffer.writeBytes(extraHeaders) }
    if let origin {
      buffer.writeStaticString(allowOrigin)
      buffer.writeString(origin)
      buffer.writeStaticString(corsRest)
    }
    if closes {
      buffer.writeStaticString(connectionClose)
    } else if exchange.isHTTP10 {
      buffer.writeStaticString(connectionKeepAlive)
    }
  }

  private static func write(decimal value: Int, to buffer: inout ByteBuffer) {
    if value >= 10 { write(decimal: value / 10, to: &buffer) }
    buffer.writeInteger(UInt8(ascii: "0") + UInt8(value % 10))
  }
}
