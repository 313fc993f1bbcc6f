import Events
import HTTPServer
import Metrics

/// Requests of which nothing is stored, and what they count as.
extension IngestRoutes {
  func refuse(_ code: String, _ detail: String, _ meters: IngestMeters) -> FastResponse {
    meters.rejectedRequests.add()
    meters.countRejection(code, detail: detail)
    return FastResponse(Problem(.badRequest, code: code, detail: detail))
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
    let name = request.withQuery { query in
      query.withUnsafeBytes { query in
        WriteKeyName.find(
          input(query, UnsafeRawBufferPointer(start: nil, count: 0), request, keys, 0),
          field: endpoint.keyField)
      }
    }
    guard let key = name.flatMap({ keys.find($0) }) else { return nil }
    let now = clock.steadyMicros()
    if keyMeters.isPaused(key, nowMicros: now) {
      return refuseShare(keyMeters.meter(of: key), meters)
    }
    return keyGuard.refusal(key, origin: request.header("origin"), nowMicros: now)
      .map { answer($0, key, meters) }
  }

  /// Takes the events of a request out of its key's limit.
  ///
  /// - Returns: the answer where the key's policy refuses the request.
  func take(
    _ events: Int, _ key: WriteKey, _ request: FastRequest, _ meters: IngestMeters,
    _ reply: IngestReply = IngestReply()
  ) -> FastResponse? {
    guard
      let refusal = keyGuard.take(
        events, key, origin: request.header("origin"), nowMicros: clock.steadyMicros())
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
