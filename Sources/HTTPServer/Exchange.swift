/// One request of a connection and what is known of its answer.
struct Exchange {
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

  var state: State
  let endpoint: Router.Endpoint?
  let method: HTTPMethod
  /// False: the connection ends after this answer.
  var keepsAlive: Bool
  /// HTTP/1.0 has to be told that the connection stays, and knows no chunks.
  let isHTTP10: Bool
  /// Mirrored in the answer's CORS fields; nil where there is none or the route refuses it.
  let origin: String?
  /// Bytes counted in ``ServerCore/bufferedBodyBytes`` until the answer.
  let bufferedBytes: Int
  let requestBodyBytes: Int
  let startedNanoseconds: UInt64

  var isHead: Bool { method == .head }
}
