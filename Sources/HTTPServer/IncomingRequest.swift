import NIOCore
import Synchronization

/// A request while its body arrives. Once it is whole nothing changes it any more.
final class IncomingRequest: @unchecked Sendable {
  // While it arrives it is touched on its connection's event loop alone.

  let head: RequestHead
  let method: HTTPMethod
  let endpoint: Router.Endpoint?
  let route: Router.Route?
  private let origin: String?
  private let startedNanoseconds: UInt64
  @exclusivity(unchecked) private(set) var body: ByteBuffer?
  private let statedLength: Int?
  /// The answer if the request is refused whatever its body holds.
  @exclusivity(unchecked) private(set) var refusal: FastResponse?
  /// True where the body is too long to be read and dropped: answer at once and end.
  @exclusivity(unchecked) private(set) var refusalEnds = false

  /// The body of a request that is refused anyway is dropped up to this length, so that the
  /// connection can stay.
  private static let droppedBodyBytesMax = 1024 * 1024

  init(_ head: RequestHead, core: ServerCore) {
    let endpoint = head.withPath { core.router.endpoint(for: $0) }
    let method = head.method
    let route = method.flatMap { endpoint?.methods[$0.rawValue] }
    self.head = head
    self.endpoint = endpoint
    self.route = route
    self.method = method ?? .get
    if case .length(let length) = head.framing { statedLength = length } else { statedLength = nil }
    startedNanoseconds = NIODeadline.now().uptimeNanoseconds
    if case .mirrored? = endpoint?.crossOrigin, let page = head.origin {
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
      tell(.bodyTooLarge)
    }
  }

  /// Tells the route that the server refuses a request of its.
  func tell(_ refusal: ServerRefusal) {
    route?.options.refused?(
      refusal, fastRequest(remoteAddress: "", isOfTrustedProxy: false))
  }

  /// Takes the next bytes of the body.
  ///
  /// - Returns: true where that led to a refusal.
  func append(_ bytes: ByteBuffer, core: ServerCore) -> Bool {
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
      tell(.bodyTooLarge)
      return true
    }
    let total = core.bufferedBodyBytes.add(bytes.readableBytes, ordering: .relaxed).newValue
    bufferedBytes += bytes.readableBytes
    if total > core.parameters.maxBufferedBodyBytes {
      refusal = FastResponse(core.answers.overloaded)
      refusalEnds = true
      tell(.overloaded)
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

  @exclusivity(unchecked) private var dropped = 0
  @exclusivity(unchecked) private var bufferedBytes = 0

  /// Gives back what the body counted for, where no exchange takes it over.
  func releaseBody(_ core: ServerCore) {
    if bufferedBytes > 0 { core.bufferedBodyBytes.subtract(bufferedBytes, ordering: .relaxed) }
  }

  func exchange(_ state: Exchange.State, bufferedBytes: Int? = nil) -> Exchange {
    Exchange(
      state: state, endpoint: endpoint, method: method, keepsAlive: head.keepsAlive,
      isHTTP10: head.isHTTP10, origin: origin,
      bufferedBytes: bufferedBytes ?? self.bufferedBytes,
      requestBodyBytes: body?.readableBytes ?? 0, startedNanoseconds: startedNanoseconds)
  }

  func fastRequest(remoteAddress: String, isOfTrustedProxy: Bool) -> FastRequest {
    FastRequest(self, remoteAddress: remoteAddress, isOfTrustedProxy: isOfTrustedProxy)
  }

  func asyncRequest(
    parameters: [String: String], remoteAddress: String, isOfTrustedProxy: Bool
  ) -> HTTPRequest {
    HTTPRequest(
      head: head, method: method == .head ? .get : method, parameters: parameters,
      body: body.map { Array($0.readableBytesView) } ?? [], remoteAddress: remoteAddress,
      isSecure: isOfTrustedProxy && ForwardedClient.isSecure(head))
  }

  /// A preflight (WHATWG Fetch section 3.2.2), or what the path allows.
  private static func optionsAnswer(
    _ endpoint: Router.Endpoint, _ head: RequestHead, hasOrigin: Bool
  ) -> FastResponse {
    var headers = [(name: "Allow", value: endpoint.allow)]
    if hasOrigin {
      headers.append((name: "Access-Control-Allow-Methods", value: endpoint.allow))
      // Who names none may be told by what others ask for.
      headers.append(
        (
          name: "Access-Control-Allow-Headers",
          value: head.header("Access-Control-Request-Headers")
            ?? "Content-Type, Authorization, SP-Anonymous"
        ))
      headers.append((name: "Access-Control-Max-Age", value: "600"))
    }
    return FastResponse(PreparedResponse(status: .ok, headers: headers))
  }
}
