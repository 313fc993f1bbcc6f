/// The traffic of the invented site as a sequence of requests: a pure function of its seed, the
/// run's name and the times that it is given.
///
///     audience -> sessions -> events -> pixels, single events, open batches -> requests
///                                                                   \-> some of them once more
///
/// Rare sorts of traffic come at fixed places of the sequence instead of by chance, so that a run of
/// a hundred events already has all of them.
struct DemoGenerator: Sendable {
  /// Visitors on the site at the same time.
  private static let sessionCount = 24
  /// SDKs that collect batches at the same time.
  private static let batcherCount = 4
  /// Segment's server SDKs send a batch after half a second at the latest.
  private static let batchAgeMax: Int64 = 500_000
  private static let batchEventCountMax = 20

  private struct OpenBatch: Sendable {
    var events: [DemoEvent] = []
    var wanted = 1
    var openedAt: Int64 = 0
  }

  private struct Resend: Sendable {
    var request: DemoRequest
    /// The number of the event before which it is sent.
    var dueEvent: Int
  }

  private var random: SplitMix64
  private let run: String
  private let script: DemoSessionScript
  private let wire: DemoWire
  private var audience = DemoAudience()
  /// Gone through one after the other before the ordinary sessions.
  private var openingSessions: [DemoSession] = []
  private var sessions: [DemoSession] = []
  private var batches: [OpenBatch]
  private var resends: [Resend] = []
  private var eventCount = 0
  private var closedBatchCount = 0
  private var malformedCount = 0
  private(set) var facets = DemoFacets()

  /// - Parameters:
  ///   - run: part of every event id; two runs with the same one would be duplicates of each other.
  ///   - label: see ``DemoSessionScript/label``.
  init(seed: UInt64, run: String, label: String, writeKey: String, catalog: DemoCatalog = .shop) {
    random = SplitMix64(seed: seed)
    self.run = run
    script = DemoSessionScript(catalog: catalog, label: label)
    wire = DemoWire(writeKey: writeKey)
    batches = (0..<Self.batcherCount).map { _ in OpenBatch() }
    openingSessions = [0, 1].map { campaign in
      script.fullVisit(
        of: audience.member(random: &random), campaign: campaign, random: &random)
    }
    openingSessions.append(
      script.session(of: audience.bot(random: &random), hour: 0, random: &random))
    facets.sessions = openingSessions.count
  }

  /// The names of all campaigns that the traffic has.
  var campaigns: [String] { script.catalog.campaigns.map(script.name) }

  /// Makes one more event.
  ///
  /// - Parameter now: microseconds since the Unix epoch, not before that of an earlier call.
  /// - Returns: the requests that are now due, in order; often none.
  mutating func step(now: Int64) -> [DemoRequest] {
    let event = event(now: now)
    eventCount += 1
    facets.add(event)
    var requests: [DemoRequest] = []
    switch random.index(weights: Self.isForPixel(event) ? [45, 45, 10] : [0, 90, 10]) {
    case 0: requests += pixel(event)
    case 1: requests += collect(event, now: now)
    default:
      facets.singles += 1
      requests.append(wire.single(event))
    }
    for index in batches.indices
    where !batches[index].events.isEmpty && now - batches[index].openedAt >= Self.batchAgeMax {
      requests += close(index, now: now)
    }
    return requests + dueResends()
  }

  /// The open batches, and everything that was to be sent again later.
  mutating func finish(now: Int64) -> [DemoRequest] {
    var requests: [DemoRequest] = []
    for index in batches.indices where !batches[index].events.isEmpty {
      requests += close(index, now: now)
    }
    requests += resends.map(\.request)
    resends = []
    return requests
  }

  // MARK: Events

  private mutating func event(now: Int64) -> DemoEvent {
    let (person, step) = nextStep(now: now)
    let timing = timing()
    let micros = now - delay(timing)
    return DemoEvent(
      id: "\(run)-\(eventCount)", action: step.action, place: step.place, person: person,
      time: micros - micros % 1_000, timing: timing)
  }

  private mutating func nextStep(now: Int64) -> (DemoPerson, DemoSession.Step) {
    while !openingSessions.isEmpty {
      if let step = openingSessions[0].next() { return (openingSessions[0].person, step) }
      openingSessions.removeFirst()
    }
    while true {
      if sessions.count < Self.sessionCount { sessions.append(newSession(now: now)) }
      let index = random.index(below: sessions.count)
      if let step = sessions[index].next() { return (sessions[index].person, step) }
      sessions[index] = newSession(now: now)
    }
  }

  private mutating func newSession(now: Int64) -> DemoSession {
    facets.sessions += 1
    let visitor = audience.visitor(random: &random)
    facets.returning = audience.returningCount
    let hour = Int(now / 3_600_000_000 % 24)
    return script.session(of: visitor, hour: hour, random: &random)
  }

  private func timing() -> DemoEvent.Timing {
    if eventCount % 90 == 29 { return .veryLate }
    if eventCount % 60 == 13 { return .late }
    if eventCount % 40 == 7 { return .outOfOrder }
    return .live
  }

  /// Microseconds.
  private mutating func delay(_ timing: DemoEvent.Timing) -> Int64 {
    let second: Int64 = 1_000_000
    return switch timing {
    case .live: Int64(random.index(below: 200_000))
    case .outOfOrder: Int64(random.index(below: 3_000_000)) + second
    case .late: (Int64(random.index(below: 38 * 60)) + 120) * second
    case .veryLate: (Int64(random.index(below: 26 * 3_600)) + 2 * 3_600) * second
    }
  }

  // MARK: Requests

  /// A pixel has no fields for traits and for events with names of their own.
  private static func isForPixel(_ event: DemoEvent) -> Bool {
    switch event.action {
    case .impression, .view, .click, .engagement, .conversion: true
    case .identify, .custom: false
    }
  }

  private mutating func pixel(_ event: DemoEvent) -> [DemoRequest] {
    let number = facets.pixels
    facets.pixels += 1
    let request = wire.pixel(event)
    if number % 30 == 4 { resendLater(request) }
    guard number % 50 == 3 else { return [request] }
    facets.malformedEvents += 1
    return [request, wire.malformedPixel(id: malformedID())]
  }

  private mutating func collect(_ event: DemoEvent, now: Int64) -> [DemoRequest] {
    let index = random.index(below: batches.count)
    if batches[index].events.isEmpty {
      batches[index].openedAt = now
      batches[index].wanted = 1 + random.index(below: Self.batchEventCountMax)
    }
    batches[index].events.append(event)
    let isFull = batches[index].events.count >= batches[index].wanted
    return isFull ? close(index, now: now) : []
  }

  private mutating func close(_ index: Int, now: Int64) -> [DemoRequest] {
    var events = batches[index].events
    batches[index].events = []
    let number = closedBatchCount
    closedBatchCount += 1
    facets.batches += 1
    if number % 5 == 3 { events.shuffle(using: &random) }

    let malformedIDs = number % 10 == 1 ? [malformedID(), malformedID()] : []
    facets.malformedEvents += malformedIDs.count
    let request = wire.batch(events, malformedIDs: malformedIDs, sentAt: now)
    if number % 8 == 0 {
      // The same ids at another time of sending, which is what SDKs do.
      resendLater(wire.batch(events, sentAt: now + 1_000_000, expectation: .duplicate))
    }
    guard number % 25 == 2 else { return [request] }
    facets.malformedBodies += 1
    return [request, wire.malformedBody(events, sentAt: now)]
  }

  private mutating func malformedID() -> String {
    malformedCount += 1
    return "\(run)-malformed-\(malformedCount)"
  }

  private mutating func resendLater(_ request: DemoRequest) {
    var copy = request
    copy.expectation = .duplicate
    copy.malformedCount = 0
    facets.resentEvents += copy.events.count
    resends.append(Resend(request: copy, dueEvent: eventCount + 20 + random.index(below: 60)))
  }

  private mutating func dueResends() -> [DemoRequest] {
    let due = resends.filter { $0.dueEvent <= eventCount }
    if !due.isEmpty { resends.removeAll { $0.dueEvent <= eventCount } }
    return due.map(\.request)
  }
}
