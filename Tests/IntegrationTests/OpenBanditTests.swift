import Foundation
import HTTPClient
import LocalServers
import Testing

/// Public logs of real impressions and clicks, beside the repository where they are at all.
enum OpenBandit {
  static let folder = SDKPython.root + "/../shared/data/open-bandit"
  static let files = ["all_bts", "all_random", "men_bts", "men_random"]
  static let isHere = files.allSatisfy {
    FileManager.default.fileExists(atPath: "\(folder)/\($0).csv.gz")
  }
  static let canRun = isHere && SDKPython.has("segment.analytics.client")
  static let missing: Comment =
    "needs the Open Bandit sample in ../shared/data/open-bandit and the test clients: Scripts/setup --tests"
}

/// The main job on real input: what the file says is what the query API answers, whatever happens
/// on the way.
@Suite(
  "Real impressions and clicks through the unmodified Segment SDK", .serialized, .endsWhatItStarts,
  .enabled(if: OpenBandit.canRun, OpenBandit.missing))
struct OpenBanditTests {
  /// The file's own counts, as the client program prints them.
  private struct Sent: Decodable {
    var rows: Int
    var impressions: [String: Int]
    var clicks: [String: Int]
    var errors: [String]

    var eventCount: Int { impressions.values.reduce(0, +) + clicks.values.reduce(0, +) }
  }

  private func start(
    _ file: String, campaign: String, to roles: SDKRoles, _ options: [String] = []
  ) throws -> ProgramRun {
    try SDKPython.start(
      client: "segment_open_bandit.py",
      [
        "\(OpenBandit.folder)/\(file).csv.gz", "--url", roles.url(.collect), "--key",
        SDKRoles.writeKey, "--campaign", campaign,
      ] + options)
  }

  private func finish(_ run: ProgramRun) async throws -> Sent {
    let code = try await run.end(withinMs: 180_000)
    let text = try run.text
    try #require(code == 0, "the client failed: \(text.suffix(2000))")
    return try JSONDecoder().decode(Sent.self, from: Data(try run.lastLine.utf8))
  }

  /// The query of the API's contract, word by word.
  private func expectExact(_ sent: Sent, campaign: String, in roles: SDKRoles) throws {
    let position = try roles.fence(campaign)
    let body = """
      {"metrics":["impressions","clicks"],"dimensions":["content"],\
      "date_range":["2019-11-24T00:00:00Z","2019-12-01T00:00:00Z"],\
      "filters":[["is","campaign",["\(campaign)"]]]}
      """
    let answer = try HTTPClient(HTTPClientSettings(timeoutMs: 65_000)).post(
      roles.url(.serve) + "/v1/query?after=\(position)&timeout=60",
      headers: [HTTPHeader("Content-Type", "application/json")], body: Array(body.utf8))
    let text = answer.text
    try #require(answer.status == 200, "\(text)")
    struct Answer: Decodable {
      struct Row: Decodable {
        var dimensions: [String]
        var metrics: [Int]
      }
      var results: [Row]
    }
    let rows = try JSONDecoder().decode(Answer.self, from: Data(answer.body)).results
    var impressions: [String: Int] = [:]
    var clicks: [String: Int] = [:]
    for row in rows {
      impressions[row.dimensions[0]] = row.metrics[0]
      if row.metrics[1] > 0 { clicks[row.dimensions[0]] = row.metrics[1] }
    }
    #expect(impressions == sent.impressions)
    #expect(clicks == sent.clicks)
  }

  @Test("come out per item exactly as the file has them", arguments: OpenBandit.files)
  func exact(file: String) async throws {
    let roles = try await SDKRoles.shared()
    let sent = try await finish(try start(file, campaign: file, to: roles, ["--gzip"]))
    #expect(sent.rows == 10_000)
    try expectExact(sent, campaign: file, in: roles)
  }

  @Test("come out the same with every batch sent twice")
  func twice() async throws {
    let roles = try await SDKRoles.shared()
    let before = try duplicates(in: roles)
    let sent = try await finish(
      try start("all_bts", campaign: "twice", to: roles, ["--twice"]))
    try expectExact(sent, campaign: "twice", in: roles)
    #expect(try duplicates(in: roles) - before >= sent.eventCount)
  }

  /// Committed duplicates of the default pipeline.
  private func duplicates(in roles: SDKRoles) throws -> Int {
    let texts = try [.processOne, .processTwo].map { role in
      try HTTPClient().get(roles.url(role) + "/metrics").text
    }
    return texts.joined(separator: "\n").split(separator: "\n").filter {
      $0.hasPrefix("smartcontent_events_accounted_total{") && $0.contains("class=\"duplicate\"")
        && $0.contains("pipeline=\"default\"")
    }.compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }
      .reduce(0) { $0 + Int($1) }
  }

  @Test("come out the same with the processor and then nats-server killed on the way")
  func kills() async throws {
    let roles = try await SDKRoles("kills")
    let processes: [SDKRoles.Role] = [.processOne, .processTwo]
    let run = try start("men_random", campaign: "kills", to: roles, ["--step", "500"])
    try await run.waitUntilSaid("progress 2000\n", withinMs: 60_000)
    for role in processes { await roles.kill(role) }
    for role in processes { try await roles.start(role) }
    try await run.waitUntilSaid("progress 5000\n", withinMs: 60_000)
    await roles.kill(.nats)
    try await run.waitUntilSaid("progress 7000\n", withinMs: 120_000)
    for role in processes { await roles.kill(role) }
    await roles.kill(.nats)
    for role in processes { try await roles.start(role) }
    let sent = try await finish(run)
    #expect(sent.rows == 10_000)
    try expectExact(sent, campaign: "kills", in: roles)
  }
}
