/// Answers now, or returns nil and keeps the responder. Runs on the event loop: it must not
/// block and should take a few microseconds.
public typealias FastHandler = @Sendable (FastRequest, Responder) -> FastResponse?

/// Answers in a task of its own. A thrown ``Problem`` becomes the answer; any other error a 500.
public typealias AsyncHandler = @Sendable (HTTPRequest) async throws -> HTTPResponse

/// How a route treats pages of other origins (WHATWG Fetch, section 3.2).
public enum CrossOrigin: Sendable {
  /// Only pages of the same origin.
  case refused
  /// Any page, with credentials: `Origin` is mirrored. For routes whose right is a public key.
  case mirrored
}

public struct RouteOptions: Sendable {
  /// The longest request body, in bytes as they come over the wire.
  public var maxBodyBytes: Int
  /// The answer to a longer body; tracking clients repeat a 413 for ever but not a 400.
  public var bodyTooLarge: HTTPStatus
  public var crossOrigin: CrossOrigin
  /// Asked when the header is there and before the body is read; an answer refuses the request.
  public var admission: (@Sendable () -> FastResponse?)?
  /// Told of requests that the server refuses by itself; nil for the request where only the path is known still. Its
  /// body is not there.
  public var refused: (@Sendable (ServerRefusal, FastRequest?) -> Void)?

  public init(
    maxBodyBytes: Int = 64 * 1024, bodyTooLarge: HTTPStatus = .contentTooLarge,
    crossOrigin: CrossOrigin = .refused, admission: (@Sendable () -> FastResponse?)? = nil,
    refused: (@Sendable (ServerRefusal, FastRequest?) -> Void)? = nil
  ) {
    self.maxBodyBytes = maxBodyBytes
    self.bodyTooLarge = bodyTooLarge
    self.crossOrigin = crossOrigin
    self.admission = admission
    self.refused = refused
  }
}

/// The routes of one server, declared before it starts.
///
/// A path is exact, or has whole segments in braces: `/v1/content/{id}/metrics`. Exact paths win.
/// `HEAD` is answered by the route of `GET`, `OPTIONS` by the server. There is no prefix matching
/// and a trailing slash is another path: declare both where both are meant.
public struct Routes: Sendable {
  enum Handler: Sendable {
    case fast(FastHandler)
    case async(AsyncHandler)
  }

  struct Declaration: Sendable {
    let method: HTTPMethod
    let path: String
    let options: RouteOptions
    let handler: Handler
  }

  private(set) var declarations: [Declaration] = []

  public init() {}

  /// Declares a fast route: see ``FastHandler``.
  public mutating func fast(
    _ method: HTTPMethod, _ path: String, options: RouteOptions = RouteOptions(),
    _ handler: @escaping FastHandler
  ) {
    declarations.append(
      Declaration(method: method, path: path, options: options, handler: .fast(handler)))
  }

  /// Declares an asynchronous route: see ``AsyncHandler``.
  public mutating func on(
    _ method: HTTPMethod, _ path: String, options: RouteOptions = RouteOptions(),
    _ handler: @escaping AsyncHandler
  ) {
    declarations.append(
      Declaration(method: method, path: path, options: options, handler: .async(handler)))
  }

  /// What an asynchronous route answers, without a server.
  ///
  /// - Parameter target: path and query, as in a request line.
  /// - Returns: nil where there is no such route.
  public func answer(
    _ method: HTTPMethod, _ target: String, body: [UInt8] = []
  ) async throws -> HTTPResponse? {
    let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    let path = String(parts[0])
    let bytes = Array(path.utf8)
    let router = Router(self)
    guard let endpoint = router.endpoint(for: bytes.span.bytes),
      case .async(let handler)? = endpoint.methods[method.rawValue]?.handler,
      let parameters = router.parameters(of: endpoint, in: bytes.span.bytes)
    else { return nil }
    return try await handler(
      HTTPRequest(
        method: method, path: path, query: parts.count > 1 ? String(parts[1]) : "",
        parameters: parameters, body: body))
  }

  /// Method and path of every route, such as `GET /v1/content/{id}/metrics`, in order.
  public var paths: [String] { declarations.map { "\($0.method.name) \($0.path)" } }
}
