import NIOCore

/// A whole request as a fast route gets it, on its event loop: nothing is copied or decoded.
public struct FastRequest: Sendable {
  private let request: IncomingRequest

  /// The client's address without port, such as `127.0.0.1` or `::1`; empty where unknown: the peer's, or what a
  /// trusted proxy says (``ServerParameters/trustedProxies``).
  public let remoteAddress: String
  private let isOfTrustedProxy: Bool

  init(_ request: IncomingRequest, remoteAddress: String, isOfTrustedProxy: Bool) {
    self.request = request
    self.remoteAddress = remoteAddress
    self.isOfTrustedProxy = isOfTrustedProxy
  }

  public var method: HTTPMethod { request.method == .head ? .get : request.method }

  /// True for HEAD, which is asked like GET and must change nothing.
  public var isHead: Bool { request.method == .head }

  /// Whether the client speaks TLS, with a trusted proxy that says so: this server itself never does.
  public var isSecure: Bool { isOfTrustedProxy && ForwardedClient.isSecure(request.head) }

  public var bodyByteCount: Int { request.body?.readableBytes ?? 0 }

  /// The first field of this name, in any case of letters.
  public func header(_ name: String) -> String? { request.head.header(name) }

  /// All fields in the order in which they came.
  public var headerFields: [(name: String, value: String)] { request.head.headerFields }

  /// The query without `?`; empty where there is none.
  public func withQuery<R, E: Error>(_ read: (RawSpan) throws(E) -> R) throws(E) -> R {
    try request.head.withQuery(read)
  }

  /// The body; empty where there is none.
  public func withBody<R, E: Error>(_ read: (RawSpan) throws(E) -> R) throws(E) -> R {
    guard let body = request.body else { return try read(RawSpan()) }
    return try read(body.readableBytesSpan)
  }
}
