public import HTTPServer
public import Events
public import Metrics
import Synchronization

/// Puts every protocol of the catalog on a server's routes: reads requests on the event loop,
/// hands their events to the pipeline, and answers when they are durable.
public final class IngestRoutes: Sendable {
  let keys: @Sendable () -> WriteKeyTable
  let keyGuard = KeyGuard()
  private let keyMeters: KeyMeters
  let gates: GateRow
  private let redirects: RedirectPolicy
  private let debugger: EventDebugger?
  private let pipeline: IngestPipeline
  let clock: CollectorClock
  private let requests: MetricFamily<Counter>
  private let events: MetricFamily<Counter>
  private let rejected: MetricFamily<Counter>
  private let rejectedRequests: MetricFamily<Counter>
  private let dropped: MetricFamily<Counter>
  private let verdicts: VerdictMeters
  private let producer: String
  private let uniqueIDs = Atomic<UInt64>(0)
  private let overloaded: PreparedResponse
  private let keyOverloaded: PreparedResponse
  let unknownKey: PreparedResponse

  /// - Parameters:
  ///   - keys: the write keys that are accepted now; asked for once per request.
  ///   - gates: what every event passes, in this order.
  ///   - debugger: is told what becomes of requests while somebody looks.
  ///   - producer: the same random number as the pipeline's target; makes ids of events that have none
  ///     unique.
  public init(
    keys: @autoclosure @escaping @Sendable () -> WriteKeyTable, gates: [any EventGate] = [],
    redirects: RedirectPolicy = .none, debugger: EventDebugger? = nil,
    pipeline: IngestPipeline, producer: Key128, metrics: MetricRegistry,
    clock: CollectorClock = .system
  ) {
    self.keys = keys
    self.gates = GateRow(gates: gates)
    self.redirects = redirects
    self.debugger = debugger
    self.pipeline = pipeline
    self.clock = clock
    self.producer = producer.description
    requests = metrics.counter(CollectorMetrics.requests)
    events = metrics.counter(CollectorMetrics.events)
    rejected = metrics.counter(CollectorMetrics.rejected)
    rejectedRequests = metrics.counter(CollectorMetrics.rejectedRequests)
    keyMeters = KeyMeters(metrics)
    dropped = metrics.counter(CollectorMetrics.dropped)
    verdicts = VerdictMeters(metrics)
    overloaded =
      Problem(
        .serviceUnavailable, code: "overloaded",
        detail: "Too many events wait for the log; send the same request again.",
        retryAfterSeconds: pipeline.parameters.retryAfterSeconds
      ).prepared
    keyOverloaded =
      Problem(
        .tooManyRequests, code: Self.shareExceeded,
        detail: "Too many events of this write key wait for the log; send the same request again.",
        retryAfterSeconds: pipeline.parameters.retryAfterSeconds
      ).prepared
    unknownKey =
      Problem(
        .unauthorized, code: "unknown_write_key",
        detail: "The write key is missing or unknown; send it as k, by Basic authorization or "
          + "as writeKey.",
        headers: [(name: "WWW-Authenticate", value: "Basic realm=\"write key\"")]
      ).prepared
  }

  private static let shareExceeded = "share_exceeded"

  /// Adds the routes of all protocols, and the one that says what would become of a request.
  public func add(to routes: inout Routes) {
    addValidation(to: &routes)
    for ingest in ProtocolCatalog.all {
      let meters = Meters(
        name: ingest.name, requests: requests, events: events, rejected: rejected,
        reasons: rejectedRequests, debugger: debugger)
      var options = RouteOptions(
        maxBodyBytes: ingest.bodyBytesMax, bodyTooLarge: .badRequest, crossOrigin: .mirrored)
      let admission = { @Sendable [pipeline, overloaded] () -> FastResponse? in
        guard pipeline.isSaturated else { return nil }
        meters.refused.add()
        meters.debugger?.refused(meters.name, "overloaded")
        return FastResponse(overloaded)
      }
      for endpoint in ingest.endpoints {
        options.admission = endpoint.isLink ? nil : admission
        options.allowsOrigin = { [keys] origin, query in
          Array(query.utf8).withUnsafeBytes { query in
            QueryField.text(endpoint.keyField, in: query).flatMap { keys().find($0) }?
              .allows(origin: origin) ?? true
          }
        }
        routes.fast(endpoint.method, endpoint.path, options: options) { request, responder in
          self.answer(request, responder, endpoint, ingest, meters)
        }
      }
    }
  }

  /// The counters of one protocol, looked up once.
  private final class Meters: Sendable {
    let name: String
    let stored: Counter
    let rejectedRequests: Counter
    let unknownKey: Counter
    let limited: Counter
    let refused: Counter
    let unavailable: Counter
    let events: Counter
    private let rejected: MetricFamily<Counter>
    private let reasons: MetricFamily<Counter>
    let debugger: EventDebugger?

    init(
      name: String, requests: MetricFamily<Counter>, events: MetricFamily<Counter>,
      rejected: MetricFamily<Counter>, reasons: MetricFamily<Counter>, debugger: EventDebugger?
    ) {
      self.name = name
      self.debugger = debugger
      stored = requests.with(name, "stored")
      rejectedRequests = requests.with(name, "rejected")
      unknownKey = requests.with(name, "unknown_key")
      limited = requests.with(name, "limited")
      refused = requests.with(name, "refused")
      unavailable = requests.with(name, "unavailable")
      self.events = events.with(name)
      self.rejected = rejected
      self.reasons = reasons
    }

    /// An event went to the dead letters.
    func countRejection(_ reason: String, _ key: KeyMeter) {
      rejected.with(name, key.label, reason).add()
    }

    /// Nothing of a request was stored.
    func countRejection(_ reason: String, key: String = KeyMeters.unknown, detail: String = "") {
      reasons.with(name, key, reason).add()
      debugger?.refused(name, reason, key: key, detail: detail)
    }
  }

  private func answer(
    _ request: FastRequest, _ responder: Responder, _ endpoint: IngestEndpoint,
    _ ingest: IngestProtocol, _ meters: Meters
  ) -> FastResponse? {
    if request.isHead && !endpoint.isLink { return nothingToStore(ingest) }
    let receivedAt = clock.nowMicros()
    let keys = self.keys()
    if keys.isRestricted || keyMeters.isAnyPaused(nowMicros: clock.steadyMicros),
      request.bodyByteCount > 0,
      let refusal = refusalBeforeReading(request, endpoint, keys, meters)
    {
      return refusal
    }
    if let encoding = Self.unknownEncoding(request) {
      return refuse(
        "unsupported_encoding",
        "Content-Encoding \(encoding) is not known here; send gzip, deflate or plain.", meters)
    }
    let reading: IngestReading
    do {
      reading = try read(request, endpoint, ingest, keys, receivedAt)
    } catch {
      return refuse("bad_compression", error.description, meters)
    }
    switch reading {
    case .unknownKey:
      meters.unknownKey.add()
      meters.countRejection("unknown_write_key")
      return FastResponse(unknownKey)
    case .unknownKeyOnLink(let onward):
      meters.unknownKey.add()
      meters.countRejection("unknown_write_key")
      return onward
    case .problem(let code, let detail): return refuse(code, detail, meters)
    case .refused(let rejection, let key):
      if keys.isRestricted, let refusal = take(1, key, request, meters) { return refusal }
      let keyMeter = keyMeters.meter(of: key)
      let letter = gates.clean(rejection, facts(request), key, ingest.name).event(
        protocolName: ingest.name, site: key.site, source: key.source, receivedAt: receivedAt)
      let problem = Problem(
        .badRequest, code: rejection.code.rawValue, detail: rejection.detail)
      let shown = debugger?.entries(
        PassedGates(rejections: [rejection]), ingest, endpoint, key, receivedAt)
      submit([], [letter], responder, keyMeter, meters) { [debugger] _ in
        debugger?.add(shown)
        meters.rejectedRequests.add()
        meters.countRejection(rejection.code.rawValue, keyMeter)
        return FastResponse(problem)
      }
    case .events(let read, let refusals, let key, let reply):
      if endpoint.isLink {
        if request.isHead { return nothingToStore(ingest, reply) }
        if pipeline.isSaturated, let unavailable = reply.unavailable {
          meters.refused.add()
          return unavailable
        }
      }
      if keys.isRestricted,
        let refusal = take(read.count + refusals.count, key, request, meters, reply)
      {
        return refusal
      }
      let keyMeter = keyMeters.meter(of: key)
      if let unavailable = reply.unavailable {
        responder.complete(unavailable, afterMs: pipeline.parameters.linkDeadlineMs)
      }
      let passed = passGates(read, refusals, request, endpoint, ingest, key)
      let (accepted, rejections) = (passed.events, passed.rejections)
      for drop in passed.dropped { dropped.with(meters.name, drop.reason).add() }
      let shown = debugger?.entries(passed, ingest, endpoint, key, receivedAt)
      if accepted.isEmpty && rejections.isEmpty {
        debugger?.add(shown)
        meters.stored.add()
        return nothingToStore(ingest, reply)
      }
      let letters = rejections.map {
        $0.event(
          protocolName: ingest.name, site: key.site, source: key.source, receivedAt: receivedAt)
      }
      let named = rejections.map {
        RejectedEvent(index: $0.index, code: $0.code.rawValue, message: $0.detail)
      }
      let count = accepted.count
      let tally = verdicts.tally(accepted)
      // A request of which nothing can be used is refused, so that its sender hears of it; where
      // something was taken, the rest is named in a 200. Who follows a link arrives all the same.
      let refusal =
        count == 0 && !endpoint.isLink && !reply.namesRefused
        ? rejections.first.map(Self.problem) : nil
      submit(accepted, letters, responder, keyMeter, meters, unavailable: reply.unavailable) {
        [debugger, verdicts] stored in
        debugger?.add(shown)
        if refusal == nil { meters.stored.add() } else { meters.rejectedRequests.add() }
        meters.events.add(count)
        keyMeter.events.add(count)
        verdicts.add(tally)
        for event in named { meters.countRejection(event.code, keyMeter) }
        if let refusal { return FastResponse(refusal) }
        return (reply.stored ?? ingest.answer)(
          StoredAnswer(
            position: stored.position, positionHeader: stored.header, rejected: named))
      }
    }
    return nil
  }

  private func refuse(_ code: String, _ detail: String, _ meters: Meters) -> FastResponse {
    meters.rejectedRequests.add()
    meters.countRejection(code, detail: detail)
    return FastResponse(Problem(.badRequest, code: code, detail: detail))
  }

  private func refuseShare(_ key: KeyMeter, _ meters: Meters) -> FastResponse {
    meters.limited.add()
    meters.countRejection(Self.shareExceeded, key: key.label)
    return FastResponse(keyOverloaded)
  }

  /// Refuses a request that names its key outside of its body, where the key's policy says so. One
  /// without a body costs no more to be read, and its protocol may have another answer for it.
  private func refusalBeforeReading(
    _ request: FastRequest, _ endpoint: IngestEndpoint, _ keys: WriteKeyTable, _ meters: Meters
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
  private func take(
    _ events: Int, _ key: WriteKey, _ request: FastRequest, _ meters: Meters,
    _ reply: IngestReply = IngestReply()
  ) -> FastResponse? {
    guard
      let refusal = keyGuard.take(
        events, key, origin: request.header("origin"), nowMicros: clock.steadyMicros())
    else { return nil }
    let answer = answer(refusal, key, meters)
    return refusal.reason == .rate ? reply.unavailable ?? answer : answer
  }

  private func answer(_ refusal: KeyRefusal, _ key: WriteKey, _ meters: Meters) -> FastResponse {
    switch refusal.reason {
    case .origin: meters.rejectedRequests.add()
    case .rate: meters.limited.add()
    }
    meters.countRejection(refusal.reason.rawValue, key: keyMeters.meter(of: key).label)
    return refusal.answer
  }

  /// What is left of a request's events behind the gates, and what they refused besides.
  func passGates(
    _ events: [IncomingEvent], _ rejections: [Rejection], _ request: FastRequest,
    _ endpoint: IngestEndpoint, _ ingest: IngestProtocol, _ key: WriteKey
  ) -> PassedGates {
    var passed = PassedGates(rejections: rejections)
    guard !gates.gates.isEmpty else {
      passed.events = events
      return passed
    }
    let facts = facts(request)
    passed.rejections = rejections.map { gates.clean($0, facts, key, ingest.name) }
    passed.events.reserveCapacity(events.count)
    var places = PlacesInBatch(without: rejections)
    for var event in events {
      let index = places.next()
      switch gates.pass(&event, facts, key) {
      case .passed, nil: passed.events.append(event)
      case .dropped(let reason): passed.dropped.append((index, reason))
      case .refused(let refusal, let gate):
        passed.rejections.append(
          Rejection(refusal, index: index, path: endpoint.path, event: event, gate: gate))
      }
    }
    return passed
  }

  private func facts(_ request: FastRequest) -> RequestFacts {
    RequestFacts(
      userAgent: request.header("user-agent") ?? "", clientAddress: request.remoteAddress,
      header: { request.header($0) })
  }

  private static func problem(_ rejection: Rejection) -> Problem {
    Problem(.badRequest, code: rejection.code.rawValue, detail: rejection.detail)
  }

  private func nothingToStore(
    _ ingest: IngestProtocol, _ reply: IngestReply = IngestReply()
  ) -> FastResponse {
    let frame = PublishedFrame(generation: pipeline.generation, partition: nil, sequence: 0)
    return (reply.stored ?? ingest.answer)(
      StoredAnswer(
        position: frame.positionText, positionHeader: frame.positionHeader, rejected: []))
  }

  private func submit(
    _ events: [IncomingEvent], _ letters: [IncomingEvent], _ responder: Responder,
    _ key: KeyMeter, _ meters: Meters, unavailable: FastResponse? = nil,
    stored: @escaping @Sendable ((position: String?, header: [UInt8])) -> FastResponse
  ) {
    let retryAfterSeconds = pipeline.parameters.retryAfterSeconds
    pipeline.submit(events, deadLetters: letters, key: key.number) { outcome, frame, batch in
      switch outcome {
      case .stored(let position):
        if let frame {
          batch.add(responder, stored((frame.positionText, frame.positionHeader)))
        } else {
          let text = position.description
          batch.add(responder, stored((text, PublishedFrame.header(text))))
        }
      case .spooled: batch.add(responder, stored((nil, PublishedFrame.spooledHeader)))
      case .overloaded(.log):
        meters.refused.add()
        meters.debugger?.refused(meters.name, "overloaded")
        batch.add(responder, unavailable ?? FastResponse(self.overloaded))
      case .overloaded(.key):
        let pauseMicros = Int64(self.pipeline.parameters.sharePauseMs) * 1000
        self.keyMeters.pause(key, untilMicros: self.clock.steadyMicros() + pauseMicros)
        let refusal = self.refuseShare(key, meters)
        batch.add(responder, unavailable ?? refusal)
      case .unavailable(let reason):
        meters.unavailable.add()
        meters.debugger?.refused(meters.name, "log_unavailable", detail: reason)
        batch.add(
          responder,
          unavailable
            ?? FastResponse(
              Problem(
                .serviceUnavailable, code: "log_unavailable",
                detail: "Not stored: \(reason). Send the same request again; nothing counts twice.",
                retryAfterSeconds: retryAfterSeconds)))
      }
    }
  }

  private func read(
    _ request: FastRequest, _ endpoint: IngestEndpoint, _ ingest: IngestProtocol,
    _ keys: WriteKeyTable, _ receivedAt: Int64
  ) throws(InflateError) -> IngestReading {
    try request.withQuery { query throws(InflateError) in
      try query.withUnsafeBytes { query throws(InflateError) in
        try read(request, query, endpoint, ingest, keys, receivedAt)
      }
    }
  }

  /// - Parameter query: in the place of the request's own.
  func read(
    _ request: FastRequest, _ query: UnsafeRawBufferPointer, _ endpoint: IngestEndpoint,
    _ ingest: IngestProtocol, _ keys: WriteKeyTable, _ receivedAt: Int64
  ) throws(InflateError) -> IngestReading {
    let isCompressed = Self.isCompressed(request)
    return try request.withBody { body throws(InflateError) in
      try body.withUnsafeBytes { body throws(InflateError) in
        guard isCompressed else {
          return endpoint.read(input(query, body, request, keys, receivedAt))
        }
        let inflated = try inflate(body, maxBytes: ingest.bodyBytesMax)
        return inflated.withUnsafeBytes {
          endpoint.read(input(query, $0, request, keys, receivedAt))
        }
      }
    }
  }

  private func input(
    _ query: UnsafeRawBufferPointer, _ body: UnsafeRawBufferPointer, _ request: FastRequest,
    _ keys: WriteKeyTable, _ receivedAt: Int64
  ) -> IngestInput {
    IngestInput(
      query: query, body: body, header: { request.header($0) },
      headerFields: { request.headerFields }, keys: keys, receivedAt: receivedAt,
      uniqueID: { self.uniqueID() }, redirects: redirects)
  }

  /// The encoding of the body where it is none that can be read, at most 20 characters of it.
  static func unknownEncoding(_ request: FastRequest) -> String? {
    guard request.bodyByteCount > 0,
      let encoding = request.header("content-encoding")?.lowercased(),
      !["gzip", "deflate", "identity", ""].contains(encoding)
    else { return nil }
    return String(encoding.filter { $0.isASCII && ($0.isLetter || $0 == "-") }.prefix(20))
  }

  /// The field says so, or the body begins with gzip's magic number: some browsers' SDKs cannot
  /// set the field.
  private static func isCompressed(_ request: FastRequest) -> Bool {
    guard request.bodyByteCount > 0 else { return false }
    if let encoding = request.header("content-encoding") {
      return encoding.lowercased() == "gzip" || encoding.lowercased() == "deflate"
    }
    return request.withBody { body in
      body.byteCount > 2 && body.unsafeLoad(as: UInt8.self) == 0x1f
        && body.unsafeLoad(fromByteOffset: 1, as: UInt8.self) == 0x8b
    }
  }

  private func uniqueID() -> String {
    "\(producer)-\(uniqueIDs.add(1, ordering: .relaxed).newValue)"
  }
}
