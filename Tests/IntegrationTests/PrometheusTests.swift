import Foundation
import HTTPClient
@testable import LocalServers
import Testing

/// What Prometheus gets to see, and what it makes of it: the real programs are asked.
@Suite(
  "Prometheus", .serialized,
  .enabled(if: PrometheusServer.isInstalled, Comment(rawValue: PrometheusServer.missing)))
struct PrometheusTests {
  private static let rules = "\(Board.folder)/rules"

  private static func ruleFiles(_ ending: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: rules).filter { $0.hasSuffix(ending) }
      .sorted().map { "\(rules)/\($0)" }
  }

  private func promtool(_ arguments: String...) async throws { try await promtool(arguments) }

  private func promtool(_ arguments: [String]) async throws {
    let run = try ProgramRun(try #require(PrometheusServer.installed("promtool")), arguments)
    let code = try await run.end(withinMs: 120_000)
    let text = try run.text
    #expect(code == 0, "promtool \(arguments.joined(separator: " ")):\n\(text)")
  }

  @Test("accepts its configuration and the alert rules, whose tests pass")
  func rules() async throws {
    try await promtool("check", "config", "\(Board.folder)/prometheus.yml")
    try await promtool(["check", "rules"] + Self.ruleFiles(".rules.yml"))
    try await promtool(["test", "rules"] + Self.ruleFiles(".test.yml"))
  }

  @Test("has a test of every alert, in which it fires, and of every series that is recorded")
  func alertsAreTested() throws {
    let rules = try Self.ruleFiles(".rules.yml").map(TextFile.read).joined()
    let tests = try Self.ruleFiles(".test.yml").map(TextFile.read).joined()
    for match in rules.matches(of: /alert: (\w+)/) {
      let fires = tests.firstMatch(
        of: try Regex("- alertname: \(match.1)\\n\\s+eval_time: \\S+\\n\\s+exp_alerts:\\n"))
      #expect(fires != nil, "no test lets \(match.1) fire")
    }
    for match in rules.matches(of: /record: (\S+)/) {
      let uses = (rules + tests).ranges(of: match.1).count
      #expect(uses > 1, "no rule and no test uses \(match.1)")
    }
  }

  @Test("finds no fault with the metrics of any role", arguments: SDKRoles.Role.usual)
  func lint(role: SDKRoles.Role) async throws {
    let roles = try await SDKRoles.shared()
    let url = roles.url(role) + "/metrics"
    let answer = try HTTPClient().get(url)
    #expect(answer.header("Content-Type")?.hasPrefix("text/plain; version=0.0.4") == true)
    let path = try TemporaryFolder.make("metrics") + "/metrics.txt"
    try answer.text.write(toFile: path, atomically: true, encoding: .utf8)
    let run = try ProgramRun(
      "/bin/sh",
      ["-c", "\(try #require(PrometheusServer.installed("promtool"))) check metrics < \(path)"])
    let code = try await run.end(withinMs: 10_000)
    let text = try run.text
    #expect(code == 0, "\(text)")
  }

  @Test(
    "has OpenMetrics that its reference parser reads",
    .enabled(if: SDKPython.has("prometheus_client"), Comment(rawValue: SDKPython.missing)),
    arguments: SDKRoles.Role.usual)
  func openMetrics(role: SDKRoles.Role) async throws {
    let roles = try await SDKRoles.shared()
    let run = try SDKPython.start(
      client: "openmetrics_parse.py", [roles.url(role) + "/metrics"])
    let code = try await run.end(withinMs: 20_000)
    let text = try run.text
    try #require(code == 0, "\(text)")
    let families = try JSONDecoder().decode(
      [String: Int].self, from: Data(try run.lastLine.utf8))
    #expect(families.keys.contains { $0.hasPrefix("smartcontent_") })
  }

  @Test("scrapes every role and answers what the query API answers")
  func scrape() async throws {
    let roles = try await SDKRoles.shared()
    let campaign = "scraped"
    let events = (0..<7).map {
      """
      {"type":"track","event":"Content Impression","messageId":"\(campaign)-\($0)",\
      "anonymousId":"\(campaign)-\($0)","properties":{"campaign_id":"\(campaign)"}}
      """
    }
    let sent = try HTTPClient().post(
      roles.url(.collect) + "/v1/batch", headers: [HTTPHeader("Content-Type", "application/json")],
      body: Array(
        "{\"writeKey\":\"\(SDKRoles.writeKey)\",\"batch\":[\(events.joined(separator: ","))]}".utf8)
    )
    try #require(sent.status == 200)

    let prometheus = try await PrometheusServer.start(
      scraping: Dictionary(
        uniqueKeysWithValues: SDKRoles.Role.usual.map {
          ("smartcontent-\($0.rawValue)", String(roles.url($0).dropFirst("http://".count)))
        }))
    let up = "count(up{job=~\"smartcontent-.*\"} == 1)"
    try await prometheus.waitUntil(up, is: Double(SDKRoles.Role.usual.count))
    try await prometheus.waitUntil(
      "sum(smartcontent_campaign_impressions_total{campaign=\"\(campaign)\"})", is: 7)
    try await prometheus.waitUntil("min(smartcontent_partition_running)", is: 1)
    await prometheus.program.kill()
  }
}
