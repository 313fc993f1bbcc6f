/// The answer of an asynchronous route.
public struct HTTPResponse: Sendable {
  public enum Body: Sendable {
    case bytes([UInt8])
    /// A body that is written over time, such as server-sent events. The closure runs in the
    /// request's task; the response ends when it returns. It is cancelled, and its writes throw
    /// ``StreamClosed``, when the client goes away or the server drains.
    case stream(@Sendable (ResponseStream) async throws -> Void)
  }

  public var status: HTTPStatus
  public var headers: [(name: String, value: String)]
  public var body: Body

  public init(
    status: HTTPStatus, headers: [(name: String, value: String)] = [], body: Body = .bytes([])
  ) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  /// - Parameter json: a JSON text as UTF-8.
  public static func json(_ json: [UInt8], status: HTTPStatus = .ok) -> HTTPResponse {
    HTTPResponse(
      status: status, headers: [(name: "Content-Type", value: "application/json")],
      body: .bytes(json))
  }

  public static func text(_ text: String, status: HTTPStatus = .ok) -> HTTPResponse {
    HTTPResponse(
      status: status, headers: [(name: "Content-Type", value: "text/plain; charset=utf-8")],
      body: .bytes(Array(text.utf8)))
  }

  /// Server-sent events (WHATWG HTML section 9.2). The producer writes whole events and, in
  /// quiet times, comments as heartbeats.
  public static func eventStream(
    _ producer: @escaping @Sendable (ResponseStream) async throws -> Void
  ) -> HTTPResponse {
    HTTPResponse(
      status: .ok,
      headers: [
        (name: "Content-Type", value: "text/event-stream"),
        (name: "Cache-Control", value: "no-store"), (name: "X-Accel-Buffering", value: "no"),
      ], body: .stream(producer))
  }
}
