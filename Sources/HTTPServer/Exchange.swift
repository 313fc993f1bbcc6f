/// One request of a connection and what is known of its answer. Of the connection's event loop.
final class Exchange {
  enum State {
    /// A fast route keeps the request. -> ready
    case waiting(deadlineMs: Int64)
    /// An asynchronous route waits for its turn. -> running
    case queued(HTTPRequest, AsyncHandler)
    /// The route's task runs. -> ready, streaming
    case running(Task<Void, Never>)
    /// The body is being written by the route's task. -> gone
    case streaming(ResponseStream, Task<Void, Never>, isChunked: Bool)
    /// Answered; goes out when all earlier ones have. -> gone
    case ready(FastResponse)
  }

  // One thread touches it, a step at a time: watching for overlapping accesses costs more than these.

  @exclusivity(unchecked) var state: State
  let endpoint: Router.Endpoint?
  let method: HTTPMethod
  /// False: the connection ends after this answer.
  @exclusivity(unchecked) var keepsAlive: Bool
  /// HTTP/1.0 has to be told that the connection stays, and knows no chunks.
  let isHTTP10: Bool
  /// Mirrored in the answer's CORS fields; nil where there is none or the route refuses it.
  let origin: String?
  /// Bytes counted in ``ServerCore/bufferedBodyBytes`` until the answer.
  let bufferedBytes: Int
  let requestBodyBytes: Int
  let startedNanoseconds: UInt64

  init(
    state: State, endpoint: Router.Endpoint?, method: HTTPMethod, keepsAlive: Bool,
    isHTTP10: Bool, origin: String?, bufferedBytes: Int, requestBodyBytes: Int,
    startedNanoseconds: UInt64
  ) {
    self.state = state
    self.endpoint = endpoint
    self.method = method
    self.keepsAlive = keepsAlive
    self.isHTTP10 = isHTTP10
    self.origin = origin
    self.bufferedBytes = bufferedBytes
    self.requestBodyBytes = requestBodyBytes
    self.startedNanoseconds = startedNanoseconds
  }

  var isHead: Bool { method == .head }
}
