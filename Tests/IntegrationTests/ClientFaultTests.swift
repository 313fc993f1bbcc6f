import Foundation
import HTTPClient
import LocalServers
import Testing

/// Unmodified clients through a network that refuses, cuts and loses answers, with the collector and
/// nats-server killed under them. All at once, each with a proxy of its own.
@Suite(
  "Clients under faults", .serialized, .endsWhatItStarts,
  .enabled(if: SDKPython.path != nil, Comment(rawValue: SDKPython.missing)))
struct ClientFaultTests {
  /// A program in Clients/ and what its events count for.
  private struct Client: Sendable {
    let name: String
    let program: String
    /// What has to be installed.
    let module: String
    var options: [String] = []
    var events = 200
    /// Impressions, views and clicks.
    var counts = [100, 0, 100]

    var label: String { "fault-\(name)" }

    func arguments(url: String) -> [String] {
      let common = [
        "--url", url, "--key", SDKRoles.writeKey, "--events", String(events), "--batch", "10",
      ]
      // The one that has no queue has no flushes either.
      let named =
        program == "cloudevents_events.py"
        ? ["--campaign", label, "--deadline", "240"] : ["--label", label, "--step", "40"]
      return common + named + options
    }
  }

  private static let clients = [
    Client(name: "segment", program: "segment_events.py", module: "segment.analytics.client"),
    Client(
      name: "segment-gzip", program: "segment_events.py", module: "segment.analytics.client",
      options: ["--gzip"]),
    Client(name: "rudder", program: "rudder_events.py", module: "rudderstack.analytics.client"),
    Client(
      name: "posthog-v0", program: "posthog_events.py", module: "posthog",
      options: ["--mode", "v0"]),
    Client(
      name: "posthog-v1", program: "posthog_events.py", module: "posthog",
      options: ["--mode", "v1-gzip"]),
    // Page views, clicks, impressions, and pings by turns.
    Client(
      name: "snowplow", program: "snowplow_events.py", module: "snowplow_tracker",
      // It heeds no Retry-After, and would be through before the others have begun.
      options: ["--timeout", "240", "--batch", "3"], counts: [50, 50, 50]),
    Client(
      name: "snowplow-get", program: "snowplow_events.py", module: "snowplow_tracker",
      options: ["--method", "get", "--timeout", "240"], events: 24, counts: [6, 6, 6]),
    // Every fifth is a click; all happened weeks before they come.
    Client(
      name: "cloudevents", program: "cloudevents_events.py", module: "cloudevents",
      counts: [160, 0, 40]),
  ]

  /// What has to happen to requests of each client.
  private enum Fault: String, CaseIterable {
    /// Answered 503 or 429 before the collector has it, cut off, and stored with the answer lost.
    case busy, limited, cut, lost
    /// The collector was killed.
    case away
    /// nats-server was killed: a 503 of the collector's own, or events in its spool.
    case logAway = "log away"

    /// Of a request, as the proxy says it.
    func isSaid(in line: Substring, hasSpool: Bool) -> Bool {
      switch self {
      case .busy, .limited, .cut, .lost, .away: line.contains("\"did\": \"\(rawValue)\"")
      case .logAway: line.contains(hasSpool ? "\"spooled\": true" : "\"status\": 503")
      }
    }
  }

  /// A client that runs through its proxy.
  private struct Run {
    let client: Client
    let proxy: ProgramRun
    let program: ProgramRun

    func hasMet(_ fault: Fault, hasSpool: Bool) throws -> Bool {
      try proxy.text.split(separator: "\n").contains { fault.isSaid(in: $0, hasSpool: hasSpool) }
    }

    var requests: Int {
      get throws { try proxy.text.split(separator: "\n").count - 1 }
    }

    /// Whether there were so many requests, or the client has nothing left to send.
    func hasMade(requests: Int) throws -> Bool {
      try !program.isRunning || self.requests >= requests
    }
  }

  /// - Parameter hold: a file without which only the first requests are answered.
  private func start(
    _ client: Client, seed: Int, hold: String, _ roles: SDKRoles
  ) async throws -> Run {
    let target = String(roles.url(.collect).dropFirst("http://".count))
    let proxy = try SDKPython.start(
      client: "faulty_proxy.py",
      ["--target", target, "--seed", String(seed), "--hold", hold])
    try await proxy.waitUntilSaid("\"port\"", withinMs: 20_000)
    struct Said: Decodable { var port: Int }
    let first = try proxy.text.split(separator: "\n").first ?? ""
    let port = try JSONDecoder().decode(Said.self, from: Data(first.utf8)).port
    let program = try SDKPython.start(
      client: client.program, client.arguments(url: "http://127.0.0.1:\(port)"))
    return Run(client: client, proxy: proxy, program: program)
  }

  /// What a client takes for delivered, as ids of the log.
  private func delivered(_ text: String) throws -> [String] {
    struct Some: Decodable { var delivered: [String] }
    struct One: Decodable { var id: String }
    return try text.split(separator: "\n").flatMap { line in
      let bytes = Data(line.utf8)
      if line.hasPrefix(#"{"delivered": ["#) {
        return try JSONDecoder().decode(Some.self, from: bytes).delivered
      }
      guard line.hasPrefix(#"{"id": "#) else { return [] }
      // CloudEvents: an id is one of its source.
      return ["/tests/cloudevents " + (try JSONDecoder().decode(One.self, from: bytes).id)]
    }
  }

  @Test(
    "each client meets each fault, and what it takes for delivered is in the log and counts once",
    .timeLimit(.minutes(8)), arguments: [false, true])
  func faults(hasSpool: Bool) async throws {
    for client in Self.clients {
      try #require(SDKPython.has(client.module), Comment(rawValue: SDKPython.missing))
    }
    let roles = try await SDKRoles("client-faults", hasSpool: hasSpool)
    let hold = try TemporaryFolder.make("client-faults-hold") + "/go"
    var runs: [Run] = []
    for (seed, client) in Self.clients.enumerated() {
      runs.append(try await start(client, seed: seed + 1, hold: hold, roles))
    }
    func allMet(_ fault: Fault) throws -> Bool {
      try runs.allSatisfy { try !$0.program.isRunning || $0.hasMet(fault, hasSpool: hasSpool) }
    }
    // In the middle of requests: each client has had some answers, and none goes on before the others.
    #expect(
      try await eventually(withinMs: 60_000, everyMs: 10) {
        try runs.allSatisfy { try $0.hasMade(requests: 8) }
      })
    await roles.kill(.collect)
    try TextFile.write("", to: hold)
    #expect(try await eventually(withinMs: 30_000, everyMs: 10) { try allMet(.away) })
    try await roles.start(.collect)
    // Away until each client was told, by a 503 or by a 200 out of the spool.
    #expect(
      try await eventually(withinMs: 60_000, everyMs: 50) {
        await roles.kill(.nats)
        return try allMet(.logAway)
      })
    if hasSpool {
      // The collector dies with frames in its spool, before the log is back.
      await roles.kill(.collect)
      try await roles.start(.collect)
    }
    // And both for a moment, with requests and frames under way. Some clients wait long after what has failed often.
    let made = try runs.map { try $0.requests }
    #expect(
      try await eventually(withinMs: 90_000, everyMs: 10) {
        try zip(runs, made).allSatisfy { try $0.hasMade(requests: $1 + 1) }
      })
    await roles.kill(.collect)
    try await roles.start(.collect)
    await roles.kill(.nats)
    try await roles.waitUntilReady(.collect)

    for run in runs {
      let code = try await run.program.end(withinMs: 240_000)
      let text = try run.program.text
      #expect(code == 0, "\(run.client.name): \(text.suffix(1500))")
      for fault in Fault.allCases {
        let isMet = try run.hasMet(fault, hasSpool: hasSpool)
        #expect(isMet, "\(run.client.name) has not met: \(fault.rawValue)")
      }
    }

    // With an empty spool it is more than just ready.
    let client = try HTTPClient()
    let isDrained = try await eventually(withinMs: 30_000, everyMs: 20) {
      try client.get(roles.url(.collect) + "/health/ready").text.hasPrefix(#"{"status":"ok""#)
    }
    #expect(isDrained)
    let position = try roles.fence("client-faults")
    let counts = try LoggedEvents.counts(natsURL: roles.natsURL)
    #expect(counts.values.contains { $0 > 1 }, "no lost answer was sent again")
    for run in runs {
      let ids = try delivered(try run.program.text)
      #expect(ids.count == run.client.events, "\(run.client.name)")
      let missing = ids.filter { counts[$0] == nil }
      #expect(missing.isEmpty, "\(run.client.name): \(missing.count) are not in the log")
      let counted = try query(run.client, roles, after: position)
      #expect(counted == run.client.counts, "\(run.client.name)")
    }
  }

  @Test(
    "a write key's own limit slows a client down and loses nothing", .timeLimit(.minutes(2)),
    arguments: ["segment", "posthog-v0"])
  func ownLimit(name: String) async throws {
    let client = try #require(Self.clients.first { $0.name == name })
    try #require(SDKPython.has(client.module), Comment(rawValue: SDKPython.missing))
    let keys = try TemporaryFolder.make("client-limit-keys") + "/keys.json"
    let adding = try SmartContentProgram.start(
      [
        "keys", "add", "--site", "default", "--value", SDKRoles.writeKey, "--rate", "20",
        "--keys-file", keys,
      ], name: "keys", folder: try TemporaryFolder.make("client-limit-add"), environment: [:])
    let ending = await adding.waitForEnd(timeoutMs: 10_000)
    #expect(ending == .exited(0), "\(adding.log())")
    let roles = try await SDKRoles(
      "client-limit", starting: [.collect], more: ["SMARTCONTENT_KEYS_FILE": keys])
    let program = try SDKPython.start(
      client: client.program,
      [
        "--url", roles.url(.collect), "--key", SDKRoles.writeKey, "--events", "120", "--batch",
        "10", "--label", "limited", "--step", "40",
      ] + client.options)
    let code = try await program.end(withinMs: 60_000)
    let text = try program.text
    #expect(code == 0, "\(text.suffix(1500))")
    let ids = try delivered(text)
    #expect(ids.count == 120)
    let counts = try LoggedEvents.counts(natsURL: roles.natsURL)
    #expect(ids.allSatisfy { counts[$0] != nil })
    let metrics = try HTTPClient().get(roles.url(.collect) + "/metrics").text
    #expect(metrics.contains(#"reason="rate_limited"}"#), "it was never told to wait")
  }

  /// Impressions, views and clicks of a client's campaign.
  private func query(_ client: Client, _ roles: SDKRoles, after: String) throws -> [Int] {
    struct Answer: Decodable {
      struct Row: Decodable { var metrics: [Int] }
      var results: [Row]
    }
    let body = """
      {"metrics":["impressions","views","clicks"],"date_range":"all",\
      "filters":[["is","campaign",["\(client.label)"]]]}
      """
    let answer = try HTTPClient(HTTPClientSettings(timeoutMs: 65_000)).post(
      roles.url(.serve) + "/v1/query?after=\(after)&timeout=60",
      headers: [HTTPHeader("Content-Type", "application/json")], body: Array(body.utf8))
    guard answer.status == 200 else { throw HarnessError("\(answer.status): \(answer.text)") }
    return try JSONDecoder().decode(Answer.self, from: Data(answer.body)).results.first?.metrics
      ?? []
  }
}
