@testable import Collector
import Events
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
    #expect(throws: AddressRangeError(line: 2)) { try AddressRanges("10.0.0.0/8\n10.0.0.0/33\n") }
  }

  @Test("More than a person can do is a reason, by the events' own times")
  func rates() {
    let table = RateTable(BotRules.Rate(eventsMax: 3, clicksMax: 2))
    var fast = 0
    for _ in 0..<5 where table.isTooFast(event()) { fast += 1 }
    #expect(fast == 2)
    // Another person, and the same one later.
    #expect(!table.isTooFast(event(person: 2)))
    #expect(!table.isTooFast(event(at: testNow + 5_000_000)))
    // Old events that come all at once were not fast.
    for step in 0..<20 {
      #expect(!table.isTooFast(event(.view, at: Int64(step) * 5_000_000, person: 3)))
    }
    let clicks = (0..<4).map {
      table.isTooFast(event(.click, at: testNow + Int64($0) * 6_000_000, person: 4))
    }
    #expect(clicks.contains(true))
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
