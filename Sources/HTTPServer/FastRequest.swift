import NIOCore

/// A whole request as a fast route gets it, on its event loop: nothing is copied or decoded.
public struct FastRequest: Sendable {
  public let method: HTTPMethod
  let head: RequestHead
  let body: ByteBuffer?

  /// The client's address without port, such as `127.0.0.1` or `::1`; empty where unknown: the peer's, or what a
  /// trusted proxy says (``ServerParameters/trustedProxies``).
  public let remoteAddress: String

  /// True for HEAD, which is asked like GET and must change nothing.
  public let isHead: Bool

  public var bodyByteCount: Int { body?.readableBytes ?? 0 }

  /// The first field of this name, in any case of letters.
  public func header(_ name: String) -> String? { head.header(name) }

  /// All fields in the order in which they came.
  public var headerFields: [(name: String, value: String)] { head.headerFields }

  /// The query without `?`; empty where there is none.
  public func withQuery<R, E: Error>(_ read: (RawSpan) throws(E) -> R) throws(E) -> R {
    try head.withQuery(read)
  }

  /// The body; empty where there is none.
  public func withBody<R, E: Error>(_ read: (RawSpan) throws(E) -> R) throws(E) -> R {
    guard let body else { return try read(RawSpan()) }
    return try read(body.readableBytesSpan)
  }
}
