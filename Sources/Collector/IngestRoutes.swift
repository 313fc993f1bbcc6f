public import HTTPServer
public import Events
public import Metrics
import Synchronization

/// Puts every protocol of the catalog on a server's routes: reads requests on the event loop,
/// hands their events to the pipeline, and answers when they are durable.
public final class IngestRoutes: Sendable {
  let keys: @Sendable () -> WriteKeyTable
  let keyGuard = KeyGuard()
  let keyMeters: KeyMeters
  let gates: GateRow
  let keptTemplates = KeptTemplates()
  let redirects: RedirectPolicy
  let protocols: [IngestProtocol]
  private let debugger: EventDebugger?
  let pipeline: IngestPipeline
  private let personKeys: PersonKeyVault?
  let clock: CollectorClock
  private let requests: MetricFamily<Counter>
  private let events: MetricFamily<Counter>
  private let unnamed: MetricFamily<Counter>
  private let rejected: MetricFamily<Counter>
  private let rejectedRequests: MetricFamily<Counter>
  private let dropped: MetricFamily<Counter>
  private let verdicts: VerdictMeters
  private let producer: String
  private let uniqueIDs = Atomic<UInt64>(0)
  let overloaded: PreparedResponse
  let keyOverloaded: PreparedResponse

  /// - Parameters:
  ///   - keys: the write keys that are accepted now; asked for once per request.
  ///   - gates: what every event passes, in this order.
  ///   - debugger: is told what becomes of requests while somebody looks.
  ///   - personKeys: the same as the gates have.
  ///   - producer: the same random number as the pipeline's target; makes ids of events that have none
  ///     unique.
  public init(
    keys: @autoclosure @escaping @Sendable () -> WriteKeyTable, gates: [any EventGate] = [],
    redirects: RedirectPolicy = .none, snowplowPaths: SnowplowPaths = SnowplowPaths(),
    debugger: EventDebugger? = nil,
    personKeys: PersonKeyVault? = nil, pipeline: IngestPipeline, producer: Key128,
    metrics: MetricRegistry,
    clock: CollectorClock = .system
  ) {
    self.keys = keys
    self.gates = GateRow(gates: gates)
    self.redirects = redirects
    protocols = ProtocolCatalog.all(snowplowPaths)
    self.debugger = debugger
    self.personKeys = personKeys
    self.pipeline = pipeline
    self.clock = clock
    self.producer = producer.description
    requests = metrics.counter(CollectorMetrics.requests)
    events = metrics.counter(CollectorMetrics.events)
    unnamed = metrics.counter(CollectorMetrics.unnamed)
    rejected = metrics.counter(CollectorMetrics.rejected)
    rejectedRequests = metrics.counter(CollectorMetrics.rejectedRequests)
    keyMeters = KeyMeters(metrics)
    dropped = metrics.counter(CollectorMetrics.dropped)
    verdicts = VerdictMeters(metrics)
    overloaded =
      Problem(
        .serviceUnavailable, code: Self.logOverloaded,
        detail: "Too many events wait for the log; send the same request again.",
        retryAfterSeconds: pipeline.parameters.retryAfterSeconds
      ).prepared
    keyOverloaded =
      Problem(
        .tooManyRequests, code: Self.shareExceeded,
        detail: "Too many events of this write key wait for the log; send the same request again.",
        retryAfterSeconds: pipeline.parameters.retryAfterSeconds
      ).prepared
  }

  /// The answer of a protocol to a request without a write key that is known.
  static func unknownKey(_ ingest: IngestProtocol) -> FastResponse {
    FastResponse(
      Problem(
        .unauthorized, code: "unknown_write_key",
        detail: "The write key is missing or unknown; send it \(ingest.keyAdvice).",
        headers: [(name: "WWW-Authenticate", value: "Basic realm=\"write key\"")]))
  }

  static let shareExceeded = "share_exceeded"
  static let logOverloaded = "overloaded"

  /// Adds the routes of all protocols, and the one that says what would become of a request.
  public func add(to routes: inout Routes) {
    addValidation(to: &routes)
    BrowserSettings.declare(on: &routes, keys: keys)
    addSnowplowHealth(to: &routes)
    for ingest in protocols {
      let meters = IngestMeters(
        name: ingest.name, requests: requests, events: events, unnamed: unnamed, rejected: rejected,
        reasons: rejectedRequests, debugger: debugger)
      var options = RouteOptions(
        maxBodyBytes: ingest.bodyBytesMax, bodyTooLarge: .badRequest, crossOrigin: .mirrored)
      let admission = { @Sendable [pipeline, overloaded] () -> FastResponse? in
        guard pipeline.isSaturated else { return nil }
        meters.refused.add()
        meters.countRejection(Self.logOverloaded)
        return FastResponse(overloaded)
      }
      for endpoint in ingest.endpoints {
        options.admission = endpoint.isLink ? nil : admission
        options.refused = { refusal, request in self.count(refusal, request, endpoint, meters) }
        routes.fast(endpoint.method, endpoint.path, options: options) { request, responder in
          self.answer(request, responder, endpoint, ingest, meters)
        }
      }
    }
  }

  private func answer(
    _ request: FastRequest, _ responder: Responder, _ endpoint: IngestEndpoint,
    _ ingest: IngestProtocol, _ meters: IngestMeters
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
        "Content-Encoding \(encoding) is not known here; send gzip, deflate or plain.", request,
        endpoint, meters)
    }
    do {
      // Answered while the body is there, which rows borrow.
      let takesRows = !endpoint.isLink && gates.rowGates != nil
      return try read(request, endpoint, ingest, keys, receivedAt, takesRows: takesRows) {
        answer($0, $1, request, responder, endpoint, ingest, keys, receivedAt, meters)
      }
    } catch {
      return refuse("bad_compression", error.description, request, endpoint, meters)
    }
  }

  /// - Parameter body: what was read.
  private func answer(
    _ reading: consuming IngestReading, _ body: UnsafeRawBufferPointer, _ request: FastRequest,
    _ responder: Responder, _ endpoint: IngestEndpoint, _ ingest: IngestProtocol,
    _ keys: WriteKeyTable, _ receivedAt: Int64, _ meters: IngestMeters
  ) -> FastResponse? {
    switch consume reading {
    case .unknownKey:
      meters.unknownKey.add()
      meters.countRejection("unknown_write_key")
      return Self.unknownKey(ingest)
    case .unknownKeyOnLink(let onward):
      meters.unknownKey.add()
      meters.countRejection("unknown_write_key")
      return onward
    case .problem(let code, let detail):
      return refuse(code, detail, request, endpoint, meters)
    case .refused(let rejection, let key):
      if keys.isRestricted, let refusal = take(1, key, request, endpoint, meters) {
        return refusal
      }
      let keyMeter = keyMeters.meter(of: key)
      let letter = gates.clean(rejection, facts(request, key), key, ingest.name).event(
        protocolName: ingest.name, site: key.site, source: key.source, receivedAt: receivedAt)
      let problem = Problem(
        .badRequest, code: rejection.code.rawValue, detail: rejection.detail)
      let shown = debugger?.entries(
        PassedGates(rejections: [rejection]), ingest, endpoint, key, receivedAt)
      submit(EventBatch([]), [letter], responder, keyMeter, meters) { [debugger] _ in
        debugger?.add(shown)
        meters.rejectedRequests.add()
        meters.countRejection(rejection.code.rawValue, keyMeter)
        return FastResponse(problem)
      }
    case .events(let events, let refusals, let key, let reply):
      if endpoint.isLink {
        if request.isHead { return nothingToStore(ingest, reply) }
        if pipeline.isSaturated, let unavailable = reply.unavailable {
          meters.refused.add()
          meters.countRejection(Self.logOverloaded, key: keyMeters.meter(of: key).label)
          return unavailable
        }
      }
      if keys.isRestricted,
        let refusal = take(
          (reply.rows?.list.count ?? events.count) + refusals.count, key, request, endpoint, meters,
          reply)
      {
        return refusal
      }
      let keyMeter = keyMeters.meter(of: key)
      if let unavailable = reply.unavailable {
        responder.complete(unavailable, afterMs: pipeline.parameters.linkDeadlineMs)
      }
      let isWatched = debugger?.isWatched(receivedAt) ?? false
      let passed =
        reply.rows.flatMap {
          isWatched ? nil : passRows($0, reply.templates, events, refusals, request, ingest, key)
        } ?? passGates(events, refusals, request, endpoint, ingest, key, reply, body)
      let (accepted, rejections) = (passed.batch(in: body), passed.rejections)
      for drop in passed.dropped { dropped.with(meters.name, drop.reason).add() }
      let shown =
        isWatched ? debugger?.entries(passed, ingest, endpoint, key, receivedAt) : nil
      if accepted.isEmpty && rejections.isEmpty {
        debugger?.add(shown)
        meters.stored.add()
        return nothingToStore(ingest, reply)
      }
      let letters = rejections.map {
        $0.event(
          protocolName: ingest.name, site: key.site, source: key.source, receivedAt: receivedAt)
      }
      let named = rejections.map(\.named)
      let count = accepted.count
      let unnamed = accepted.unnamedCount
      let tally = verdicts.tally(accepted)
      let refusal = Self.refusal(accepted: count, rejections, endpoint, reply)
      let own = reply.stored
      submit(
        accepted, letters, responder, keyMeter, meters, claims: passed.claims,
        unavailable: reply.unavailable
      ) { [debugger, verdicts] stored in
        debugger?.add(shown)
        if refusal == nil { meters.stored.add() } else { meters.rejectedRequests.add() }
        meters.events.add(count)
        if unnamed > 0 { meters.unnamed.add(unnamed) }
        keyMeter.events.add(count)
        verdicts.add(tally)
        for event in named { meters.countRejection(event.code, keyMeter) }
        if let refusal { return FastResponse(refusal) }
        if own == nil, named.isEmpty, let texts = stored { return texts.answer(of: ingest) }
        return (own ?? ingest.answer)(
          StoredAnswer(
            position: stored?.position,
            positionHeader: stored?.header ?? PublishedFrame.spooledHeader, rejected: named))
      }
    }
    return nil
  }

  /// The same of events that may have come as rows.
  private func passGates(
    _ events: consuming [IncomingEvent], _ rejections: [Rejection], _ request: FastRequest,
    _ endpoint: IngestEndpoint, _ ingest: IngestProtocol, _ key: WriteKey, _ reply: IngestReply,
    _ body: UnsafeRawBufferPointer
  ) -> PassedGates {
    var likeness = reply.likeness
    if let rows = reply.rows { (events, likeness) = rows.whole(events, in: body) }
    return passGates(events, rejections, request, endpoint, ingest, key, likeness: likeness)
  }

  /// What is left of a batch with rows behind the gates.
  ///
  /// - Parameters:
  ///   - templates: those of the rows.
  ///   - events: the whole ones.
  /// - Returns: nil where some gate has to see every event as a whole.
  private func passRows(
    _ rows: EventRows, _ templates: [EventTemplates.Template], _ events: [IncomingEvent],
    _ rejections: [Rejection],
    _ request: FastRequest, _ ingest: IngestProtocol, _ key: WriteKey
  ) -> PassedGates? {
    let facts = facts(request, key)
    guard facts.claims == nil, var passed = gates.pass(rows, events, facts, key) else { return nil }
    passed.rejections = rejections.map { gates.clean($0, facts, key, ingest.name) }
    keptTemplates.put(templates, clean: facts.memory.cleanTemplates, of: key)
    return passed
  }

  /// What is left of a request's events behind the gates, and what they refused besides.
  ///
  /// - Parameter likeness: of each event, or of none.
  func passGates(
    _ events: consuming [IncomingEvent], _ rejections: [Rejection], _ request: FastRequest,
    _ endpoint: IngestEndpoint, _ ingest: IngestProtocol, _ key: WriteKey,
    likeness: [EventTemplates.Likeness] = []
  ) -> PassedGates {
    var passed = PassedGates(rejections: rejections)
    guard !gates.gates.isEmpty else {
      passed.events = events
      return passed
    }
    let facts = facts(request, key)
    passed.claims = facts.claims
    passed.rejections = rejections.map { gates.clean($0, facts, key, ingest.name) }
    var places = PlacesInBatch(without: rejections)
    gates.expect(events)
    // In place: most events pass all gates as they came, and none is copied.
    var stopped: [Int] = []
    for offset in events.indices {
      let index = places.next()
      facts.memory.likeness = likeness.isEmpty ? .none : likeness[offset]
      switch gates.pass(&events[offset], facts, key) {
      case .passed: continue
      case .dropped(let reason): passed.dropped.append((index, reason))
      case .refused(let refusal, let gate):
        passed.rejections.append(
          Rejection(
            refusal, index: index, path: endpoint.path, event: events[offset], gate: gate))
      }
      stopped.append(offset)
    }
    guard !stopped.isEmpty else {
      passed.events = events
      return passed
    }
    var others = stopped[...]
    for offset in events.indices {
      if offset == others.first {
        others.removeFirst()
      } else {
        passed.events.append(events[offset])
      }
    }
    return passed
  }

  private func facts(_ request: FastRequest, _ key: WriteKey) -> RequestFacts {
    var facts = RequestFacts(
      userAgent: request.header("user-agent") ?? "", clientAddress: request.remoteAddress,
      header: { request.header($0) })
    if key.policy.personalData == .encrypt, personKeys != nil { facts.claims = SealClaims() }
    return facts
  }

  private func nothingToStore(
    _ ingest: IngestProtocol, _ reply: IngestReply = IngestReply()
  ) -> FastResponse {
    let texts = PositionTexts(Position.text(generation: pipeline.generation, []))
    return (reply.stored ?? ingest.answer)(
      StoredAnswer(position: texts.position, positionHeader: texts.header, rejected: []))
  }

  /// - Parameters:
  ///   - claims: settled first, see ``PersonKeyVault``.
  ///   - stored: gets nil while the events wait in the spool.
  private func submit(
    _ events: EventBatch, _ letters: [IncomingEvent], _ responder: Responder,
    _ key: KeyMeter, _ meters: IngestMeters, claims: SealClaims?, unavailable: FastResponse? = nil,
    stored: @escaping @Sendable (PositionTexts?) -> FastResponse
  ) {
    guard let claims, let personKeys else {
      return submit(
        events, letters, responder, key, meters, unavailable: unavailable, stored: stored)
    }
    personKeys.settle(
      claims, events.whole, letters, mayRemove: pipeline.spoolState?.takesFrames == true
    ) {
      if let (events, letters) = $0 {
        return self.submit(
          EventBatch(events), letters, responder, key, meters, unavailable: unavailable,
          stored: stored)
      }
      let problem = PersonKeyVault.unavailable(self.pipeline.parameters.retryAfterSeconds)
      meters.unavailable.add()
      meters.countRejection(problem.code, key: key.label)
      var batch = ResponseBatch()
      batch.add(responder, unavailable ?? FastResponse(problem))
      batch.deliver()
    }
  }

  private func submit(
    _ events: EventBatch, _ letters: [IncomingEvent], _ responder: Responder,
    _ key: KeyMeter, _ meters: IngestMeters, unavailable: FastResponse? = nil,
    stored: @escaping @Sendable (PositionTexts?) -> FastResponse
  ) {
    let retryAfterSeconds = pipeline.parameters.retryAfterSeconds
    let hasRoom = pipeline.submit(events, deadLetters: EventBatch(letters), key: key.number) {
      settlement, batch in
      switch settlement {
      case .stored(let frames): batch.add(responder, stored(frames.texts))
      case .spooled: batch.add(responder, stored(nil))
      case .overloaded(.log):
        meters.refused.add()
        meters.countRejection(Self.logOverloaded, key: key.label)
        batch.add(responder, unavailable ?? FastResponse(self.overloaded))
      case .overloaded(.key):
        let pauseMicros = Int64(self.pipeline.parameters.sharePauseMs) * 1000
        self.keyMeters.pause(key, untilMicros: self.clock.steadyMicros() + pauseMicros)
        let refusal = self.refuseShare(key, meters)
        batch.add(responder, unavailable ?? refusal)
      case .unavailable(let reason):
        meters.unavailable.add()
        meters.countRejection("log_unavailable", key: key.label, detail: reason)
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
    if hasRoom { gates.taken(events) }
  }

  func uniqueID() -> String {
    "\(producer)-\(uniqueIDs.add(1, ordering: .relaxed).newValue)"
  }
}
