import Events
import HTTPServer
import Metrics

/// Requests of which nothing is stored, and what they count as.
extension IngestRoutes {
  func refuse(
    _ code: String, _ detail: String, _ request: FastRequest, _ endpoint: IngestEndpoint,
    _ meters: IngestMeters
  ) -> FastResponse {
    meters.rejectedRequests.add()
    meters.countRejection(
      code, key: label(ofKeyBeside: request, endpoint) ?? KeyMeters.unknown, detail: detail)
    return FastResponse(Problem(.badRequest, code: code, detail: detail))
  }

  /// A request of which nothing can be used is refused, so that its sender hears of it; where something was
  /// taken, the rest is named in a 200. Who follows a link arrives all the same.
  static func refusal(
    accepted: Int, _ rejections: [Rejection], _ endpoint: IngestEndpoint, _ reply: IngestReply
  ) -> Problem? {
    guard accepted == 0, !endpoint.isLink, !reply.namesRefused else { return nil }
    return rejections.first.map {
      Problem(.badRequest, code: $0.code.rawValue, detail: $0.detail)
    }
  }

  /// Counts what the server refused before the route heard of it.
  func count(
    _ refusal: ServerRefusal, _ request: FastRequest?, _ endpoint: IngestEndpoint,
    _ meters: IngestMeters
  ) {
    (refusal.isOfServer ? meters.refused : meters.rejectedRequests).add()
    meters.countRejection(
      refusal.rawValue,
      key: request.flatMap { label(ofKeyBeside: $0, endpoint) } ?? KeyMeters.unknown)
  }

  /// Of the write key that a request names outside of its body; nil where it names none that is known.
  private func label(ofKeyBeside request: FastRequest, _ endpoint: IngestEndpoint) -> String? {
    let keys = self.keys()
    return keyName(request, endpoint, keys).flatMap { keys.find($0) }.map {
      keyMeters.meter(of: $0).label
    }
  }

  private func keyName(
    _ request: FastRequest, _ endpoint: IngestEndpoint, _ keys: WriteKeyTable
  ) -> String? {
    request.withQuery { query in
      query.withUnsafeBytes { query in
        WriteKeyName.find(
          input(query, UnsafeRawBufferPointer(start: nil, count: 0), request, keys, 0),
          field: endpoint.keyField)
      }
    }
  }

  /// Of the page that sends the request; nil where it says none. Images have no `Origin`, but mostly a `Referer`; a link
  /// may be followed from anywhere.
  func origin(_ request: FastRequest, _ endpoint: IngestEndpoint) -> String? {
    if let origin = request.header("origin") { return origin }
    guard endpoint.method == .get, !endpoint.isLink, let page = request.header("referer"),
      !page.isEmpty
    else { return nil }
    return OriginRule.origin(ofPage: page)
  }

  func refuseShare(_ key: KeyMeter, _ meters: IngestMeters) -> FastResponse {
    meters.limited.add()
    meters.countRejection(Self.shareExceeded, key: key.label)
    return FastResponse(keyOverloaded)
  }

  /// Refuses a request that names its key outside of its body, where the key's policy says so. One
  /// without a body costs no more to be read, and its protocol may have another answer for it.
  func refusalBeforeReading(
    _ request: FastRequest, _ endpoint: IngestEndpoint, _ keys: WriteKeyTable,
    _ meters: IngestMeters
  ) -> FastResponse? {
    guard let key = keyName(request, endpoint, keys).flatMap({ keys.find($0) }) else { return nil }
    let now = clock.steadyMicros()
    if keyMeters.isPaused(key, nowMicros: now) {
      return refuseShare(keyMeters.meter(of: key), meters)
    }
    return keyGuard.refusal(key, origin: origin(request, endpoint), nowMicros: now)
      .map { answer($0, key, meters) }
  }

  /// Takes the events of a request out of its key's limit.
  ///
  /// - Returns: the answer where the key's policy refuses the request.
  func take(
    _ events: Int, _ key: WriteKey, _ request: FastRequest, _ endpoint: IngestEndpoint,
    _ meters: IngestMeters, _ reply: IngestReply = IngestReply()
  ) -> FastResponse? {
    guard
      let refusal = keyGuard.take(
        events, key, origin: origin(request, endpoint), nowMicros: clock.steadyMicros())
    else { return nil }
    let answer = answer(refusal, key, meters)
    return refusal.reason == .rate ? reply.unavailable ?? answer : answer
  }

  func answer(_ refusal: KeyRefusal, _ key: WriteKey, _ meters: IngestMeters) -> FastResponse {
    switch refusal.reason {
    case .origin: meters.rejectedRequests.add()
    case .rate: meters.limited.add()
    }
    meters.countRejection(refusal.reason.rawValue, key: keyMeters.meter(of: key).label)
    return refusal.answer
  }
}
