import NIOCore
import NIOHTTP1
import Synchronization

/// A request while its body arrives.
struct IncomingRequest {
  let head: HTTPRequestHead
  let pathEnd: Int
  let method: HTTPMethod
  let endpoint: Router.Endpoint?
  let route: Router.Route?
  let expectsContinue: Bool
  private let keepsAlive: Bool
  private let origin: String?
  private let startedNanoseconds: UInt64
  private var body: ByteBuffer?
  private let statedLength: Int?
  /// The answer if the request is refused whatever its body holds.
  private(set) var refusal: FastResponse?
  /// True where the body is too long to be read and dropped: answer at once and end.
  private(set) var refusalEnds = false

  /// The body of a request that is refused anyway is dropped up to this length, so that the
  /// connection can stay.
  private static let droppedBodyBytesMax = 1024 * 1024

  init(_ received: HTTPRequestHead, core: ServerCore) {
    let head = Self.originForm(received)
    let facts = HeadFacts(head)
    let uri = head.uri.utf8
    let pathEnd = Self.pathEnd(uri.span)
    let endpoint = core.router.endpoint(for: uri.span.bytes.extracting(0..<pathEnd))
    let method = Self.method(head.method)
    let route = method.flatMap { endpoint?.methods[$0.rawValue] }
    self.head = head
    self.pathEnd = pathEnd
    self.endpoint = endpoint
    self.route = route
    self.method = method ?? .get
    expectsContinue = facts.expectsContinue
    keepsAlive = head.isKeepAlive && !facts.asksForUpgrade
    statedLength = facts.contentLength
    startedNanoseconds = NIODeadline.now().uptimeNanoseconds
    if case .mirrored? = endpoint?.crossOrigin, let page = facts.origin,
      method != .options
        || endpoint?.allowsOrigin?(page, String(uri.dropFirst(pathEnd + 1)) ?? "") ?? true
    {
      origin = page
    } else {
      origin = nil
    }

    var maxBodyBytes = Self.droppedBodyBytesMax
    if let route {
      maxBodyBytes = route.options.maxBodyBytes
      refusal = route.options.admission?()
    } else if let endpoint, method == .options {
      refusal = Self.optionsAnswer(endpoint, head, hasOrigin: origin != nil)
    } else if let endpoint {
      refusal = core.answers.methodNotAllowed(endpoint)
    } else {
      refusal = FastResponse(core.answers.notFound)
    }
    if let length = statedLength, length > maxBodyBytes {
      if let route { refusal = core.answers.bodyTooLarge(route.options) }
      refusalEnds = true
    }
  }

  /// Takes the next bytes of the body.
  ///
  /// - Returns: true where that led to a refusal.
  mutating func append(_ bytes: ByteBuffer, core: ServerCore) -> Bool {
    let length = (body?.readableBytes ?? 0) + bytes.readableBytes
    guard let route, refusal == nil else {
      // Chunked bodies of refused requests have no stated length: count what is dropped.
      dropped += bytes.readableBytes
      if dropped > Self.droppedBodyBytesMax { refusalEnds = true }
      return refusalEnds
    }
    if length > route.options.maxBodyBytes {
      refusal = core.answers.bodyTooLarge(route.options)
      refusalEnds = true
      return true
    }
    let total = core.bufferedBodyBytes.add(bytes.readableBytes, ordering: .relaxed).newValue
    bufferedBytes += bytes.readableBytes
    if total > core.parameters.maxBufferedBodyBytes {
      refusal = FastResponse(core.answers.overloaded)
      refusalEnds = true
      return true
    }
    if var whole = body {
      body = nil
      whole.writeImmutableBuffer(bytes)
      body = whole
    } else if let statedLength, statedLength > bytes.readableBytes {
      var whole = ByteBufferAllocator().buffer(capacity: statedLength)
      whole.writeImmutableBuffer(bytes)
      body = whole
    } else {
      body = bytes
    }
    return false
  }

  private var dropped = 0
  private var bufferedBytes = 0

  /// Gives back what the body counted for, where no exchange takes it over.
  func releaseBody(_ core: ServerCore) {
    if bufferedBytes > 0 { core.bufferedBodyBytes.subtract(bufferedBytes, ordering: .relaxed) }
  }

  func exchange(_ state: Exchange.State, bufferedBytes: Int? = nil) -> Exchange {
    Exchange(
      state: state, endpoint: endpoint, method: method, keepsAlive: keepsAlive,
      isHTTP10: head.version == .http1_0, origin: origin,
      bufferedBytes: bufferedBytes ?? self.bufferedBytes,
      requestBodyBytes: body?.readableBytes ?? 0, startedNanoseconds: startedNanoseconds)
  }

  func fastRequest(remoteAddress: String) -> FastRequest {
    FastRequest(
      method: method == .head ? .get : method, head: head, body: body, pathEnd: pathEnd,
      remoteAddress: remoteAddress, isHead: method == .head)
  }

  func asyncRequest(parameters: [String: String], remoteAddress: String) -> HTTPRequest {
    let uri = head.uri
    return HTTPRequest(
      head: head, method: method == .head ? .get : method,
      path: String(uri.utf8.prefix(pathEnd)) ?? "",
      query: String(uri.utf8.dropFirst(pathEnd + 1)) ?? "", parameters: parameters,
      body: body.map { Array($0.readableBytesView) } ?? [], remoteAddress: remoteAddress)
  }

  private static func pathEnd(_ target: Span<UInt8>) -> Int {
    var index = 0
    while index < target.count && target[index] != UInt8(ascii: "?") { index += 1 }
    return index
  }

  /// Servers must take `GET http://host/path` too (RFC 9112 section 3.2.2).
  private static func originForm(_ head: HTTPRequestHead) -> HTTPRequestHead {
    guard head.uri.hasPrefix("http://") || head.uri.hasPrefix("https://") else { return head }
    // "http:", "", authority, the rest.
    let parts = head.uri.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
    var changed = head
    changed.uri = parts.count > 3 ? "/" + parts[3] : "/"
    return changed
  }

  private static func method(_ method: NIOHTTP1.HTTPMethod) -> HTTPMethod? {
    switch method {
    case .GET: .get
    case .HEAD: .head
    case .POST: .post
    case .PUT: .put
    case .PATCH: .patch
    case .DELETE: .delete
    case .OPTIONS: .options
    default: nil
    }
  }

  /// A preflight (WHATWG Fetch section 3.2.2), or what the path allows.
  private static func optionsAnswer(
    _ endpoint: Router.Endpoint, _ head: HTTPRequestHead, hasOrigin: Bool
  ) -> FastResponse {
    var headers = [(name: "Allow", value: endpoint.allow)]
    if hasOrigin {
      headers.append((name: "Access-Control-Allow-Methods", value: endpoint.allow))
      if let asked = head.headers.first(name: "Access-Control-Request-Headers") {
        headers.append((name: "Access-Control-Allow-Headers", value: asked))
      }
      headers.append((name: "Access-Control-Max-Age", value: "600"))
    }
    return FastResponse(PreparedResponse(status: .ok, headers: headers))
  }
}
