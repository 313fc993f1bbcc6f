/// What an HTTP server may use. Checked by ``check()`` before it starts.
public struct ServerParameters: Sendable {
  /// The address to listen on, such as `127.0.0.1`, `::1` or `0.0.0.0`.
  public var host: String
  /// The TCP port; 0 takes a free one.
  public var port: Int
  /// Threads that serve connections.
  public var eventLoops: Int
  /// Open connections beyond this are answered 503 with Retry-After and closed.
  public var maxConnections = 16_384
  /// Bytes of request line and header fields of one request.
  public var maxHeaderBytes = 16 * 1024
  /// Header fields of one request.
  public var maxHeaderFields = 100
  /// Requests of one connection that wait for their answer before its reads are held (pipelining).
  public var maxPipelinedRequests = 64
  /// Bytes of request bodies that may be in memory at once; beyond it requests get a 503.
  public var maxBufferedBodyBytes = 256 * 1024 * 1024
  /// Bytes of a refused body that are read and dropped before the connection is closed.
  public var maxDiscardedBytes = 8 * 1024 * 1024
  /// From a request's first byte, or the connection's start, to the end of its header.
  public var headerTimeoutMs = 10_000
  /// From the end of the header to the end of the body.
  public var bodyTimeoutMs = 30_000
  /// Between requests of one connection.
  public var idleTimeoutMs = 75_000
  /// How long a fast route may keep a request before it is answered 503.
  public var answerTimeoutMs = 30_000
  /// How long a client may read nothing of an answer or stream before it is cut off.
  public var writeTimeoutMs = 30_000
  /// Addresses of proxies that are believed what they say of their clients; see ``FastRequest/remoteAddress``.
  public var trustedProxies = AddressRanges()

  public init(host: String, port: Int, eventLoops: Int) {
    self.host = host
    self.port = port
    self.eventLoops = eventLoops
  }

  /// - Throws: ``ServerParameterError`` naming the first value outside its range.
  func check() throws(ServerParameterError) {
    try Self.require("port", port, 0...65_535)
    try Self.require("eventLoops", eventLoops, 1...256)
    try Self.require("maxConnections", maxConnections, 1...1_000_000)
    try Self.require("maxHeaderBytes", maxHeaderBytes, 256...1_048_576)
    try Self.require("maxHeaderFields", maxHeaderFields, 1...1000)
    try Self.require("maxPipelinedRequests", maxPipelinedRequests, 1...10_000)
    try Self.require("maxBufferedBodyBytes", maxBufferedBodyBytes, 1024...Int.max)
    try Self.require("maxDiscardedBytes", maxDiscardedBytes, 0...Int.max)
    try Self.require("headerTimeoutMs", headerTimeoutMs, 10...3_600_000)
    try Self.require("bodyTimeoutMs", bodyTimeoutMs, 10...3_600_000)
    try Self.require("idleTimeoutMs", idleTimeoutMs, 10...3_600_000)
    try Self.require("answerTimeoutMs", answerTimeoutMs, 10...3_600_000)
    try Self.require("writeTimeoutMs", writeTimeoutMs, 10...3_600_000)
  }

  private static func require(
    _ name: String, _ value: Int, _ allowed: ClosedRange<Int>
  ) throws(ServerParameterError) {
    if !allowed.contains(value) {
      throw ServerParameterError(name: name, value: value, allowed: allowed)
    }
  }

  /// How often timeouts are looked at: a quarter of the smallest, at most every 250 ms.
  var sweepIntervalMs: Int {
    let smallest = min(
      headerTimeoutMs, bodyTimeoutMs, idleTimeoutMs, answerTimeoutMs, writeTimeoutMs)
    return max(5, min(250, smallest / 4))
  }
}

/// A parameter of the HTTP server is outside its range.
public struct ServerParameterError: Error, Hashable, Sendable, CustomStringConvertible {
  public let name: String
  public let value: Int
  public let allowed: ClosedRange<Int>

  public var description: String {
    "HTTP server: \(name) is \(value); allowed is \(allowed.lowerBound) to \(allowed.upperBound)"
  }
}
