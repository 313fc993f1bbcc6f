@testable import Collector
import Events
@testable import HTTPServer
import Testing

@Suite("Verdicts on bots")
struct BotGateTests {
  static let rules = BotRules(
    version: 3,
    patterns: [
      BotRules.Pattern("googlebot", .crawler), BotRules.Pattern("headlesschrome", .headless),
      BotRules.Pattern("python-requests", .httpLibrary), BotRules.Pattern("bare", .mailPrefetcher),
    ], rate: BotRules.Rate(eventsMax: 3, clicksMax: 2),
    deciding: [.crawler, .headless, .mailPrefetcher, .prefetch, .rate, .dataCenter])

  private func key() -> WriteKey {
    WriteKey(key: "k", site: "shop", mapping: CompiledMapping(standardMapping))
  }

  private func event(_ kind: EventKind = .view, at time: Int64 = testNow, person: UInt64 = 1)
    -> IncomingEvent
  {
    IncomingEvent(
      kind: kind, key: Key128(low: 1, high: 2), person: Key128(low: person, high: 0),
      eventTime: time, receivedAt: testNow, dimensions: DimensionTuple(site: "shop").encoded,
      id: "e", name: "n", source: "pixel/web", payload: Array("{}".utf8))
  }

  /// An event behind both gates.
  private func judged(
    _ agent: String, _ headers: [String: String] = [:], address: String = "198.51.100.7",
    payload: String = "{}", gate: BotGate = BotGate(rules)
  ) throws -> IncomingEvent {
    let facts = RequestFacts(
      userAgent: agent, clientAddress: address, header: { headers[$0] })
    var event = event()
    event.payload = Array(payload.utf8)
    for gate in [PrivacyGate(), gate] as [any EventGate] {
      #expect(try gate.admit(&event, facts, key()) == .pass)
    }
    return event
  }

  private func reasons(_ event: IncomingEvent) -> [String] {
    let verdict = BotVerdict(encoded: event.bot)
    #expect(verdict.version == 3)
    return verdict.reasons.names
  }

  private static let browser =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"

  @Test("Browsers of people have no reasons; programs have those of their names")
  func agents() throws {
    #expect(try reasons(judged(Self.browser)) == [])
    #expect(try reasons(judged("Mozilla/5.0 (compatible; Googlebot/2.1)")) == ["crawler"])
    #expect(
      try reasons(judged(Self.browser.replacing("Chrome/", with: "HeadlessChrome/"))) == [
        "headless"
      ])
    #expect(try reasons(judged("Mozilla/5.0")) == ["mail-prefetcher"])
    #expect(try reasons(judged("python-requests/2.31")) == ["http-library"])
    #expect(try dimensions(judged("Mozilla/5.0")).traffic == "bot")
    #expect(try dimensions(judged("python-requests/2.31")).traffic == "")
    #expect(!Self.rules.isBot(.httpLibrary))
    #expect(Self.rules.isBot([.httpLibrary, .rate]))
  }

  @Test("Whose browser it was in the event counts more than who sent it")
  func payloadAgent() throws {
    let event = try judged(
      "python-requests/2.31", payload: #"{"context":{"userAgent":"\#(Self.browser)"}}"#)
    #expect(reasons(event) == [])
    #expect(event.agent == "Chrome 126/Windows/desktop")
  }

  @Test("Browsers that fetch ahead say so, and it can be judged again from the log")
  func prefetch() throws {
    for headers in [
      ["purpose": "prefetch"], ["sec-purpose": "prefetch;prerender"], ["x-moz": "prefetch"],
    ] {
      let event = try judged(Self.browser, headers)
      #expect(reasons(event) == ["prefetch"])
      let agent = try #require(Agent(label: event.agent))
      #expect(Self.rules.reasons(of: agent) == .prefetch)
    }
  }

  @Test("Requests from ranges of data centres have their reason")
  func dataCenters() throws {
    let ranges = try AddressRanges("# a cloud\n203.0.113.0/24\n\n2001:db8::/32 # another\n")
    var rules = Self.rules
    rules.rate = nil
    let gate = BotGate(rules, dataCenters: ranges)
    for (address, expected) in [
      ("203.0.113.9", true), ("203.0.114.0", false), ("::ffff:203.0.113.1", true),
      ("2001:db8:ffff::1", true), ("2001:db9::", false), ("unknown", false),
    ] {
      #expect(
        try reasons(judged(Self.browser, address: address, gate: gate))
          == (expected ? ["data-center"] : []))
    }
    // Servers and apps send events of people, whose addresses stand in the events.
    func named(_ agent: String, _ payload: String) throws -> [String] {
      try reasons(judged(agent, address: "203.0.113.9", payload: payload, gate: gate))
    }
    let browser = #""userAgent":"\#(Self.browser)""#
    #expect(try named("okhttp/4.12", "{}") == [])
    #expect(try named("analytics-python/2.2", #"{"context":{\#(browser)}}"#) == [])
    #expect(
      try named("analytics-python/2.2", #"{"context":{\#(browser),"ip":"198.51.100.7"}}"#) == [])
    #expect(
      try named("analytics-python/2.2", #"{"context":{\#(browser),"ip":"203.0.113.77"}}"#)
        == ["data-center"])
    #expect(try named(Self.browser, #"{"context":{"ip":"198.51.100.7"}}"#) == [])
    #expect(throws: AddressRangeError(line: 2)) { try AddressRanges("10.0.0.0/8\n10.0.0.0/33\n") }
  }

  private static func numbered(
    _ number: UInt64, _ kind: EventKind = .view, at time: Int64 = testNow, person: UInt64 = 1
  ) -> IncomingEvent {
    IncomingEvent(
      kind: kind, key: Key128(low: number, high: number + 1), person: Key128(low: person, high: 0),
      eventTime: time, receivedAt: testNow, dimensions: DimensionTuple(site: "shop").encoded,
      id: "e", name: "n", source: "pixel/web", payload: Array("{}".utf8))
  }

  /// Which of a request's events are too fast.
  private static func judged(_ table: RateTable, _ events: [IncomingEvent]) -> [Bool] {
    var before = RequestRates()
    return events.map { table.isTooFast(PersonAct($0), &before) }
  }

  @Test("More than a person can do is a reason, by the events' own times")
  func rates() {
    let table = RateTable(BotRules.Rate(eventsMax: 3, clicksMax: 2))
    func taken(_ events: [IncomingEvent]) -> [Bool] {
      events.map { event in
        defer { table.count(PersonAct(event)) }
        return Self.judged(table, [event])[0]
      }
    }
    #expect(taken((1...5).map { Self.numbered($0) }) == [false, false, false, true, true])
    // Another person, and the same one later.
    #expect(taken([Self.numbered(6, person: 2)]) == [false])
    #expect(taken([Self.numbered(7, at: testNow + 5_000_000)]) == [false])
    // Old events that come all at once were not fast.
    let old = (0..<20).map {
      Self.numbered(100 + $0, at: Int64($0) * 5_000_000, person: 3)
    }
    #expect(!taken(old).contains(true))
    let clicks = (0..<4).map {
      Self.numbered(200 + $0, .click, at: testNow + Int64($0) * 6_000_000, person: 4)
    }
    #expect(taken(clicks).contains(true))
  }

  @Test("Events of one request are judged together, and only what is taken counts, once by its id")
  func ratesCountOnce() {
    let table = RateTable(BotRules.Rate(eventsMax: 3, clicksMax: 100))
    let events = (1...5).map { Self.numbered($0) }
    let others = (11...14).map { Self.numbered($0, person: 2) }
    for _ in 0..<4 {
      #expect(Self.judged(table, events) == [false, false, false, true, true])
      let mixed = [events[0], others[0], events[1], others[1], events[2], others[2], others[3]]
      #expect(
        Self.judged(table, mixed) == [false, false, false, false, false, false, true])
    }
    for _ in 0..<4 {
      table.count(PersonAct(events[0]))
      table.count(PersonAct(events[1]))
      // Copies of what counts already add nothing.
      #expect(Self.judged(table, Array(events[0..<2])) == [false, false])
    }
    #expect(Self.judged(table, [events[2], events[3]]) == [false, true])
  }

  @Test("Requests that are only looked at, or find no room, make nobody fast")
  func ratesOfRequests() async throws {
    let clicks = (0..<2).map {
      #"{"t":"click","uid":"ann","eid":"c\#($0)","n":"x"}"#
    }.joined(separator: ",")
    let body = Array(#"{"k":"dev","e":[\#(clicks)]}"#.utf8)
    let gate = BotGate(Self.rules)
    try await RunningCollector.run(
      clock: .system, publisher: ScriptedPublisher.storing,
      routes: { pipeline, registry, routes in
        IngestRoutes(
          keys: testKeys, gates: [PrivacyGate(), gate], pipeline: pipeline,
          producer: RunningCollector.producer, metrics: registry
        ).add(to: &routes)
      }
    ) { port, _ in
      func reasons() async throws -> [Bool] {
        let answer = try await RawRequest.send(
          "POST", "/v1/validate?path=/v1/e", headers: "User-Agent: \(Self.browser)\r\n",
          body: body, port: port)
        #expect(answer.status == 200, "\(answer.body)")
        guard case .array(let events)? = try JSONTree(Array(answer.body.utf8))["events"] else {
          return []
        }
        return events.map { $0["event"]?["bot"]?["is_bot"] == .bool(true) }
      }
      for _ in 0..<4 { #expect(try await reasons() == [false, false]) }
      for _ in 0..<3 {
        let answer = try await RawRequest.send(
          "POST", "/v1/e", headers: "User-Agent: \(Self.browser)\r\n", body: body, port: port)
        #expect(answer.status == 200, "\(answer.body)")
        #expect(try await reasons() == [false, false])
      }
    }
  }

  @Test("Verdict and agent survive the frame, and frames without them have no columns")
  func frame() throws {
    let judged = try judged("Mozilla/5.0 (compatible; Googlebot/2.1)")
    let header = FrameHeader(
      kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 2), epoch: 1,
      producerSequence: 1)
    var encoder = FrameEncoder()
    encoder.append(judged)
    encoder.append(event())
    let bytes = encoder.seal(header)
    try bytes.withUnsafeBytes { bytes in
      let frame = try FrameView(bytes)
      #expect(frame.agent(0) == judged.agent && frame.agent(1) == "")
      #expect(frame.bot(0) == judged.bot && frame.bot(1) == 0)
      #expect(IncomingEvent(frame, event: 0).agent == judged.agent)
      var json = JSONWriter()
      CloudEvent.appendLines(
        of: frame, at: CloudEvent.Place(stream: "events-00", sequence: 1, storedAt: 0), to: &json)
      let lines = text(json.bytes)
      #expect(
        lines.contains(
          #""agent":"Googlebot 2/other/bot/Googlebot","botrules":3,"botreasons":"crawler""#))
    }
    encoder.append(event())
    let plain = encoder.seal(header)
    #expect(plain.count < bytes.count - 8)
  }
}
