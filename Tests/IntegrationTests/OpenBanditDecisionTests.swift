import Foundation
import HTTPClient
import LocalServers
import Testing

/// A public log of decisions that were drawn at random, as live traffic: what another policy would have earned is what the
/// reference implementation says, and a drift is seen at once.
@Suite(
  "Real decisions through the decision API and the unmodified Segment SDK", .serialized,
  .endsWhatItStarts, .enabled(if: OpenBandit.canRun, OpenBandit.missing))
struct OpenBanditDecisionTests {
  private struct Golden: Decodable {
    struct Estimate: Decodable { var value: Double }

    var campaign: String
    var n: Int
    var truth: Double
    var earned: Double
    var estimates: [String: Estimate]

    private enum CodingKeys: String, CodingKey {
      case campaign, n, estimates
      case truth = "on_policy_truth"
      case earned = "logged_ctr"
    }

    static func read(_ campaign: String) throws -> Golden {
      let data = try Data(contentsOf: URL(filePath: "\(OpenBandit.folder)/ope_golden.json"))
      let all = try JSONDecoder().decode([Golden].self, from: data)
      return try #require(all.first { $0.campaign == campaign })
    }
  }

  private struct Report: Decodable {
    struct Served: Decodable {
      var soFar: Double?

      private enum CodingKeys: String, CodingKey { case soFar = "so_far" }
    }
    struct Shadow: Decodable {
      struct SoFar: Decodable {
        var decisions: Int
        var ips: Double
        var snips: Double
        var dr: Double
        var switchDR: Double

        private enum CodingKeys: String, CodingKey {
          case decisions, ips, snips, dr
          case switchDR = "switch_dr"
        }
      }
      var soFar: SoFar?

      private enum CodingKeys: String, CodingKey { case soFar = "so_far" }
    }
    struct Arm: Decodable {
      var trials: Int?
      var rewards: Double?
    }

    var trials: Int
    var served: Served
    var shadows: [Shadow]
    var arms: [Arm]
  }

  private struct Replayed: Decodable {
    struct Estimate: Decodable { var value: Double }
    struct Anytime: Decodable { var interval: [Double] }

    var evaluated: Int
    var logged: Estimate
    var estimates: [String: Estimate]
    var anytime: Anytime
  }

  /// As the reference calls them, and as reports do.
  private static let names = [
    "ipw": "ips", "snipw": "snips", "dm": "direct", "dr": "dr", "sndr": "sndr",
    "switch-dr": "switch_dr", "dr-os": "dr_os",
  ]

  private static func plan(_ campaign: String, arms: Int, policy: String) throws -> String {
    let table = try String(
      contentsOfFile: "\(OpenBandit.folder)/\(campaign)_bts_action_dist.csv", encoding: .utf8)
    let rows = table.split(separator: "\n").dropFirst().map { $0.split(separator: ",") }
    let chances = (0..<3).map { position in
      "\"\(position + 1)\": [\(rows.map { String($0[position]) }.joined(separator: ", "))]"
    }
    return """
      decisions:
        fashion:
          campaign: \(campaign)
          arms: [\((0..<arms).map { "\"\($0)\"" }.joined(separator: ", "))]
          default: "0"
          policy: \(policy)
          floor: 0
          features: [position]
          shadows:
            bts: {name: given, feature: position, chances: {\(chances.joined(separator: ", "))}}

      """
  }

  private func start(_ campaign: String, arms: Int, policy: String) async throws -> SDKRoles {
    let purpose = "bandit-\(campaign)-\(policy)"
    let streams = try TemporaryFolder.make("\(purpose)-streams") + "/Streams"
    try FileManager.default.copyItem(atPath: "\(SDKPython.root)/Streams", toPath: streams)
    try Self.plan(campaign, arms: arms, policy: policy)
      .write(toFile: streams + "/decisions.yaml", atomically: true, encoding: .utf8)
    let roles = try await SDKRoles(
      purpose, starting: [.processOne, .collect, .serve], streams: streams,
      more: ["SMARTCONTENT_DECISION_SECRET": String(repeating: "5c", count: 32)])
    // Until the model has read the log, what shadows would do is not known.
    let client = try HTTPClient()
    let isReady = try await eventually(withinMs: 20_000, everyMs: 50) {
      try client.get(roles.url(.collect) + "/health/ready").text
        .contains(#""name":"learning","status":"ok""#)
    }
    try #require(isReady)
    return roles
  }

  private func send(_ file: String, rows: Int, to roles: SDKRoles) async throws {
    let run = try SDKPython.start(
      client: "segment_open_bandit.py",
      [
        "\(OpenBandit.folder)/\(file).csv.gz", "--url", roles.url(.collect), "--key",
        SDKRoles.writeKey, "--campaign", file, "--rows", "\(rows)", "--decide", "fashion",
      ])
    let code = try await run.end(withinMs: 300_000)
    let said = try run.text
    try #require(code == 0, "\(said.suffix(2000))")
  }

  private func report(_ roles: SDKRoles) throws -> Report {
    let answer = try HTTPClient().get(roles.url(.serve) + "/v1/decisions/fashion")
    guard answer.status == 200 else { throw HarnessError("\(answer.status): \(answer.text)") }
    return try JSONDecoder().decode(Report.self, from: Data(answer.body))
  }

  @Test(
    "What another policy would have earned is what the reference says, live and by replay",
    arguments: [("all", 80), ("men", 34)])
  func counterfactual(campaign: String, arms: Int) async throws {
    let golden = try Golden.read(campaign)
    let roles = try await start(campaign, arms: arms, policy: "uniform")
    try await send("\(campaign)_random", rows: golden.n, to: roles)
    let clicks = golden.earned * Double(golden.n)
    let isLearned = try await eventually(withinMs: 30_000, everyMs: 50) {
      let report = try report(roles)
      return report.trials == golden.n
        && report.arms.reduce(0) { $0 + ($1.rewards ?? 0) }.rounded() == clicks.rounded()
    }
    let learned = try report(roles)
    try #require(isLearned, "\(learned.trials) decisions")
    let soFar = try #require(learned.shadows.first?.soFar)
    #expect(soFar.decisions == golden.n)
    #expect(((learned.served.soFar ?? 0) - golden.earned).magnitude < 1e-6)
    for (name, value) in [
      ("ipw", soFar.ips), ("snipw", soFar.snips), ("dr", soFar.dr), ("switch-dr", soFar.switchDR),
    ] {
      let truth = try #require(golden.estimates[name]?.value)
      #expect((value - truth).magnitude < 1e-6, "\(name): \(value), \(truth)")
    }
    let texts = try await [replay("bts", roles), replay("bts", roles)]
    #expect(texts[0] == texts[1])
    let replayed = try JSONDecoder().decode(Replayed.self, from: Data(texts[0].utf8))
    #expect(replayed.evaluated == golden.n)
    for (name, ours) in Self.names {
      let truth = try #require(golden.estimates[name]?.value)
      let value = try #require(replayed.estimates[ours]?.value)
      #expect((value - truth).magnitude < 1e-6, "\(name): \(value), \(truth)")
    }
    let interval = replayed.anytime.interval
    #expect(interval[0] <= golden.truth && golden.truth <= interval[1], "\(interval)")
  }

  private func replay(_ policy: String, _ roles: SDKRoles) async throws -> String {
    let program = try await roles.command(["replay", "--policy", policy], name: "replay")
    let ending = await program.waitForEnd(timeoutMs: 120_000)
    let lines = program.log(lines: 100).split(separator: "\n")
    try #require(ending == .exited(0), "\(lines.suffix(20))")
    return String(lines.last ?? "")
  }

  private struct Decided: Decodable {
    var id: String
    var probabilities: [String: Double]

    private enum CodingKeys: String, CodingKey {
      case probabilities
      case id = "decision_id"
    }
  }

  private func decide(_ more: String, _ roles: SDKRoles, _ client: HTTPClient) throws -> Decided {
    let answer = try client.post(
      roles.url(.collect) + "/v1/decide",
      headers: [HTTPHeader("Content-Type", "application/json")],
      body: Array(
        #"{"k":"dev","decision":"fashion","person":"drift"\#(more)}"#.utf8))
    guard answer.status == 200 else { throw HarnessError("\(answer.status): \(answer.text)") }
    return try JSONDecoder().decode(Decided.self, from: Data(answer.body))
  }

  @Test(
    "An arm that begins to earn 5 % at half-time is served more within a second of its first hundred rewards"
  )
  func drift() async throws {
    let roles = try await start("men", arms: 34, policy: "thompson")
    let client = try HTTPClient()
    try await send("men_random", rows: 5_000, to: roles)
    let arm = "7"
    #expect(
      try await eventually(withinMs: 30_000, everyMs: 50) { try report(roles).trials == 5_000 })
    let before = try decide("", roles, client).probabilities[arm] ?? 0
    for number in 0..<100 {
      let made = try decide(
        #","made":{"arm":"\#(arm)","probability":0.0294117647058823}"#, roles, client)
      let reward = try client.post(
        roles.url(.collect) + "/v1/decisions/\(made.id)/reward",
        headers: [HTTPHeader("Content-Type", "application/json")],
        body: Array(#"{"k":"dev","value":\#(number % 20 == 0 ? 1 : 0)}"#.utf8))
      try #require(reward.status == 200, "\(reward.text)")
    }
    let rewarded = ContinuousClock.now
    let hasMoved = try await eventually(withinMs: 10_000, everyMs: 10) {
      try (decide("", roles, client).probabilities[arm] ?? 0) > 2 * before
    }
    let after = try decide("", roles, client).probabilities[arm] ?? 0
    #expect(hasMoved, "from \(before) to \(after)")
    #expect(rewarded.duration(to: .now) < .seconds(1))
  }
}
