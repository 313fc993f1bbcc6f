import Events
import Foundation
import HTTPClient
import LocalServers
import Testing

/// Decisions on running servers: learned from what persons do within a second, from every impression though the
/// process was killed, and answered while everything else is away.
@Suite("Decisions on running servers", .serialized, .endsWhatItStarts)
struct DecisionProofTests {
  private struct Decided: Decodable, Sendable {
    var id: String
    var arm: String
    var probabilities: [String: Double]
    var token: String
    var isDefault: Bool

    private enum CodingKeys: String, CodingKey {
      case arm, probabilities, token
      case id = "decision_id"
      case isDefault = "default"
    }
  }

  private struct Report: Decodable {
    struct Arm: Decodable {
      var arm: String
      var probability: Double?
      var trials: Int?
      var rewards: Double?
    }

    var trials: Int
    var isCaughtUp: Bool
    var arms: [Arm]

    private enum CodingKeys: String, CodingKey {
      case trials, arms
      case isCaughtUp = "complete"
    }
  }

  /// A collector that decides and a reader that reports, each with a model of its own.
  private func start(_ purpose: String, activation: String = "immediate") async throws -> SDKRoles {
    let streams = try TemporaryFolder.make("\(purpose)-streams") + "/Streams"
    try FileManager.default.copyItem(atPath: "\(SDKPython.root)/Streams", toPath: streams)
    try """
    decisions:
      hero:
        campaign: spring
        content: post-1
        arms: [a, b]
        default: a
        floor: 0.02
        activation: \(activation)
        shadows: {even: uniform}

    """.write(toFile: streams + "/decisions.yaml", atomically: true, encoding: .utf8)
    return try await SDKRoles(
      purpose, starting: [.processOne, .collect, .serve], streams: streams,
      more: ["SMARTCONTENT_DECISION_SECRET": String(repeating: "5c", count: 32)])
  }

  private func decide(_ person: String, _ roles: SDKRoles, _ client: HTTPClient) throws -> Decided {
    let answer = try client.post(
      roles.url(.collect) + "/v1/decide",
      headers: [HTTPHeader("Content-Type", "application/json")],
      body: Array(#"{"k":"dev","decision":"hero","person":"\#(person)"}"#.utf8))
    guard answer.status == 200 else { throw HarnessError("\(answer.status): \(answer.text)") }
    return try JSONDecoder().decode(Decided.self, from: Data(answer.body))
  }

  private func report(_ roles: SDKRoles) throws -> Report {
    let answer = try HTTPClient().get(roles.url(.serve) + "/v1/decisions/hero")
    guard answer.status == 200 else { throw HarnessError("\(answer.status): \(answer.text)") }
    return try JSONDecoder().decode(Report.self, from: Data(answer.body))
  }

  /// Sends an event for each decision, with its token.
  private func send(
    _ kind: String, _ decisions: [(person: String, decided: Decided)], _ roles: SDKRoles
  ) throws {
    for start in stride(from: 0, to: decisions.count, by: 50) {
      let some = decisions[start..<min(start + 50, decisions.count)].map { person, decided in
        """
        {"t":"\(kind)","cid":"spring","cnt":"post-1","var":"\(decided.arm)","uid":"\(person)",\
        "eid":"\(kind)-\(decided.id)","decision":"\(decided.token)"}
        """
      }
      let answer = try HTTPClient().post(
        roles.url(.collect) + "/v1/e", headers: [HTTPHeader("Content-Type", "application/json")],
        body: Array(#"{"k":"dev","e":[\#(some.joined(separator: ","))]}"#.utf8))
      guard answer.status == 200 else { throw HarnessError("\(answer.status): \(answer.text)") }
    }
  }

  /// Until the model knows the log the default arm is served.
  private func untilLearned(_ roles: SDKRoles, _ client: HTTPClient) async throws {
    #expect(
      try await eventually(withinMs: 20_000, everyMs: 20) {
        try !decide("early", roles, client).isDefault
      })
  }

  @Test(
    "What persons do changes what is served within a second, here and in the process that reports")
  func learns() async throws {
    let roles = try await start("decide-learns")
    let client = try HTTPClient()
    try await untilLearned(roles, client)
    let decisions = try (0..<300).map { number in
      (person: "p\(number)", decided: try decide("p\(number)", roles, client))
    }
    #expect(decisions.allSatisfy { !$0.decided.isDefault })
    #expect(Set(decisions.map(\.decided.arm)) == ["a", "b"])
    try send("impression", decisions, roles)
    let before = try decide("before", roles, client).probabilities["b"] ?? 0
    let clicks = decisions.filter { $0.decided.arm == "b" }
    #expect(clicks.count > 60)
    let begin = ContinuousClock.now
    try send("click", clicks, roles)
    let sent = ContinuousClock.now
    let hasMoved = try await eventually(withinMs: 5_000, everyMs: 10) {
      try (decide("after", roles, client).probabilities["b"] ?? 0) > max(0.9, before)
    }
    let moved = ContinuousClock.now
    #expect(hasMoved)
    #expect(moved - sent < .seconds(1), "from \(before), \(moved - begin) after the first click")
    let isReported = try await eventually(withinMs: 10_000, everyMs: 20) {
      let report = try report(roles)
      return report.isCaughtUp && report.arms[1].rewards == Double(clicks.count)
    }
    #expect(isReported)
  }

  /// Has another policy decide, and waits until it does.
  private func promote(_ policy: String, _ roles: SDKRoles, _ client: HTTPClient) async throws {
    let answer = try client.post(
      roles.url(.serve) + "/v1/decisions/hero/promotion",
      headers: [HTTPHeader("Content-Type", "application/json")],
      body: Array(#"{"policy":"\#(policy)"}"#.utf8))
    try #require(answer.status == 200, "\(answer.text)")
    let begin = ContinuousClock.now
    let decides = try await eventually(withinMs: 10_000, everyMs: 20) {
      try (decide("promoted", roles, client).probabilities["b"] ?? 0) == 0.5
    }
    #expect(decides && begin.duration(to: .now) < .seconds(2))
    #expect(
      try await eventually(withinMs: 10_000, everyMs: 20) {
        let report = try client.get(roles.url(.serve) + "/v1/decisions/hero").text
        return report.contains(#""deciding":"\#(policy)""#) && report.contains(#""by":"person""#)
      })
  }

  private struct Replayed: Decodable {
    struct Reproduced: Decodable {
      struct NotCompared: Decodable {
        var version: Int

        private enum CodingKeys: String, CodingKey { case version = "other_version" }
      }

      var notCompared: NotCompared
      var compared: Int
      var same: Int

      private enum CodingKeys: String, CodingKey {
        case compared, same
        case notCompared = "not_compared"
      }
    }
    struct Estimate: Decodable {
      var value: Double
      var interval: [Double]
    }

    var decisions: Int
    var evaluated: Int
    var isPlansOwn: Bool
    var reproduced: Reproduced
    var logged: Estimate
    var estimates: [String: Estimate]

    private enum CodingKeys: String, CodingKey {
      case decisions, evaluated, reproduced, logged, estimates
      case isPlansOwn = "is_plans_own"
    }
  }

  /// Runs `replay` with these options.
  private func replay(
    _ options: [String], _ roles: SDKRoles
  ) async throws -> (ending: ProcessEnding?, text: String) {
    let program = try await roles.command(["replay"] + options, name: "replay")
    let ending = await program.waitForEnd(timeoutMs: 60_000)
    return (ending, program.log(lines: 400))
  }

  @Test(
    "Made again from the log, decisions of a server come out to the bit, and other policies are estimated"
  )
  func replayed() async throws {
    let roles = try await start("decide-replayed")
    let client = try HTTPClient()
    try await untilLearned(roles, client)
    var shown = 0
    var rewarded = 0
    for round in 0..<6 {
      let decisions = try (0..<50).map { number in
        (
          person: "r\(round)-\(number)", decided: try decide("r\(round)-\(number)", roles, client)
        )
      }
      let clicks = decisions.filter { $0.decided.arm == "b" && Int($0.person.suffix(1)) != 3 }
      shown += decisions.count
      rewarded += clicks.count
      try send("click", clicks, roles)
      let isKnown = try await eventually(withinMs: 10_000, everyMs: 20) {
        try report(roles).arms[1].rewards == Double(rewarded)
      }
      #expect(isKnown)
      if round == 3 { try await promote("even", roles, client) }
    }
    let (ending, own) = try await replay(["--policy", "thompson"], roles)
    try #require(ending == .exited(0), "\(own)")
    let found = try JSONDecoder().decode(Replayed.self, from: Data(own.utf8))
    #expect(found.isPlansOwn && found.decisions > shown)
    #expect(
      found.reproduced.same == found.reproduced.compared && found.evaluated >= shown, "\(own)")
    // Those of the policy that was promoted on the way among them.
    #expect(found.reproduced.notCompared.version == 0 && found.reproduced.compared >= shown)
    #expect((found.logged.value * Double(found.evaluated)).rounded() == Double(rewarded))
    let again = try await replay(["--policy", "thompson"], roles)
    #expect(again.text == own)
    // A plan of one name, a policy with a parameter, and a stretch that ends before all of it.
    let greedy = try await replay(
      ["--decision", "hero", "--policy", "{name: epsilon_greedy, epsilon: 0.2}"], roles)
    try #require(greedy.ending == .exited(0), "\(greedy.text)")
    let other = try JSONDecoder().decode(Replayed.self, from: Data(greedy.text.utf8))
    #expect(!other.isPlansOwn && other.reproduced.same == found.reproduced.same)
    let estimate = try #require(other.estimates["snips"])
    #expect(estimate.value > 0.3 && estimate.interval[0] < estimate.value, "\(greedy.text)")
    let before = try await replay(["--policy", "uniform", "--until", "1h"], roles)
    #expect(before.ending == .exited(0) && before.text.contains(#""decisions":0,"#), "\(before)")
    for (options, said) in [
      (["--policy", "nonsense"], "kl_ucb"), (["--decision", "none"], "hero"),
      (["--policy", "ucb1", "--metric", "clicks"], "use one"), (["--metric", "clicks"], "--until"),
    ] {
      let refused = try await replay(options, roles)
      #expect(refused.ending != .exited(0) && refused.text.contains(said), "\(refused)")
    }
  }

  @Test("Killed right after its answers, a server knows the chances of every impression afterwards")
  func killed() async throws {
    let roles = try await start("decide-killed", activation: "{echoed: 1h}")
    let client = try HTTPClient()
    try await untilLearned(roles, client)
    // With the log standing still none of these events is stored before the process is gone.
    await roles.pause(.nats)
    let decisions = try (0..<200).map { number in
      (person: "k\(number)", decided: try decide("k\(number)", roles, client))
    }
    await roles.kill(.collect)
    await roles.goOn(.nats)
    try await roles.start(.collect)
    try send("impression", decisions, roles)
    let isKnown = try await eventually(withinMs: 20_000, everyMs: 50) {
      try report(roles).trials == decisions.count
    }
    let learned = try report(roles)
    #expect(isKnown, "\(learned.trials) of \(decisions.count)")
    let counts = try LoggedEvents.counts(natsURL: roles.natsURL)
    let lost = decisions.filter { counts[$0.decided.id] == nil }
    #expect(lost.count > 100, "the test proves nothing where no event is lost: \(lost.count)")
    for arm in ["a", "b"] {
      let shown = decisions.filter { $0.decided.arm == arm }.count
      #expect(learned.arms.first { $0.arm == arm }?.trials == shown)
    }
  }

  @Test(
    "While the log, Redis and Postgres are away decisions go on, and readiness says what is wrong")
  func away() async throws {
    let roles = try await start("decide-away")
    let client = try HTTPClient(HTTPClientSettings(timeoutMs: 2_000))
    try await untilLearned(roles, client)
    let decisions = try (0..<200).map { number in
      (person: "s\(number)", decided: try decide("s\(number)", roles, client))
    }
    try send("click", decisions.filter { $0.decided.arm == "b" }, roles)
    #expect(
      try await eventually(withinMs: 10_000, everyMs: 20) {
        try (decide("x", roles, client).probabilities["b"] ?? 0) > 0.9
      })
    for server in [LocalServer.nats, .redis, .postgres] { await roles.pause(server) }
    var slowest = Duration.zero
    for number in 0..<500 {
      let begin = ContinuousClock.now
      let decided = try decide("away\(number)", roles, client)
      slowest = max(slowest, begin.duration(to: .now))
      #expect(!decided.isDefault && (decided.probabilities["b"] ?? 0) > 0.9)
    }
    #expect(slowest < .milliseconds(500), "\(slowest)")
    let isSaid = try await eventually(withinMs: 40_000, everyMs: 200) {
      let text = try client.get(roles.url(.collect) + "/health/ready").text
      return text.contains(#""name":"learning","status":"degraded""#)
    }
    #expect(isSaid)
    #expect(try !decide("still", roles, client).isDefault)
    for server in [LocalServer.nats, .redis, .postgres] { await roles.goOn(server) }
    let isBack = try await eventually(withinMs: 40_000, everyMs: 200) {
      let text = try client.get(roles.url(.collect) + "/health/ready").text
      return text.contains(#""name":"learning","status":"ok""#)
    }
    #expect(isBack)
  }

  @Test(
    "The unmodified PostHog SDK for Python gets variants, and what it sends back activates them",
    .enabled(if: SDKPython.has("posthog"), Comment(rawValue: SDKPython.missing)))
  func postHog() async throws {
    let roles = try await start("decide-posthog", activation: "{echoed: 1h}")
    let client = try HTTPClient()
    try await untilLearned(roles, client)
    let run = try SDKPython.start(
      client: "posthog_flags.py",
      [
        "--url", roles.url(.collect), "--key", SDKRoles.writeKey, "--flag", "hero", "--persons",
        "60",
      ])
    let code = try await run.end(withinMs: 60_000)
    let said = try run.text
    try #require(code == 0, "\(said.suffix(2000))")
    let variants = try JSONDecoder().decode(
      [String: String].self, from: Data(try run.lastLine.utf8))
    #expect(variants.count == 60 && Set(variants.values) == ["a", "b"])
    let isKnown = try await eventually(withinMs: 20_000, everyMs: 50) {
      try report(roles).trials == 60
    }
    let learned = try report(roles)
    #expect(isKnown, "\(learned.trials)")
    for arm in ["a", "b"] {
      #expect(
        learned.arms.first { $0.arm == arm }?.trials == variants.values.filter { $0 == arm }.count)
    }
  }
}
