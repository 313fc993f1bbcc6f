import Foundation
import HTTPClient
@testable import LocalServers
import Testing

/// A program of Debian's prometheus package, nil where it is not installed.
private func installed(_ name: String) -> String? {
  ["/usr/bin/\(name)", "/usr/local/bin/\(name)"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }
}

/// What Prometheus gets to see, and what it makes of it: the real programs are asked.
@Suite(
  "Prometheus", .serialized,
  .enabled(
    if: installed("promtool") != nil && installed("prometheus") != nil,
    "needs Debian's prometheus package: Scripts/setup --tests"))
struct PrometheusTests {
  private static let dashboards = "\(SDKPython.root)/Dashboards"

  private func promtool(_ arguments: String...) async throws {
    let run = try ProgramRun(try #require(installed("promtool")), arguments)
    let code = try await run.end(withinMs: 30_000)
    let text = try run.text
    #expect(code == 0, "promtool \(arguments.joined(separator: " ")):\n\(text)")
  }

  @Test("accepts its configuration and the alert rules, whose tests pass")
  func rules() async throws {
    try await promtool("check", "config", "\(Self.dashboards)/prometheus.yml")
    try await promtool("check", "rules", "\(Self.dashboards)/rules/smartcontent.rules.yml")
    try await promtool("test", "rules", "\(Self.dashboards)/rules/smartcontent.test.yml")
  }

  @Test("has a test of every alert, in which it fires")
  func alertsAreTested() throws {
    let rules = try String(
      contentsOfFile: "\(Self.dashboards)/rules/smartcontent.rules.yml", encoding: .utf8)
    let tests = try String(
      contentsOfFile: "\(Self.dashboards)/rules/smartcontent.test.yml", encoding: .utf8)
    for match in rules.matches(of: /alert: (\w+)/) {
      let fires = tests.firstMatch(
        of: try Regex("- alertname: \(match.1)\\n\\s+eval_time: \\S+\\n\\s+exp_alerts:\\n"))
      #expect(fires != nil, "no test lets \(match.1) fire")
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
      "/bin/sh", ["-c", "\(try #require(installed("promtool"))) check metrics < \(path)"])
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

    let prometheus = try await start(scraping: roles)
    let up = "count(up{job=~\"smartcontent-.*\"} == 1)"
    try await prometheus.waitUntil(up, is: Double(SDKRoles.Role.usual.count))
    try await prometheus.waitUntil(
      "sum(smartcontent_campaign_impressions_total{campaign=\"\(campaign)\"})", is: 7)
    try await prometheus.waitUntil("min(smartcontent_partition_running)", is: 1)
    for expression in try Self.dashboardExpressions() {
      #expect(try prometheus.accepts(expression), "Prometheus refuses \(expression)")
    }
    await prometheus.program.kill()
  }

  @Test("can show the dashboard: every panel has its place, its source and a query")
  func dashboard() throws {
    let data = try Data(
      contentsOf: URL(filePath: "\(Self.dashboards)/grafana/dashboards/smartcontent.json"))
    let dashboard = try JSONDecoder().decode(Dashboard.self, from: data)
    #expect(dashboard.uid == "smartcontent")
    #expect(dashboard.schemaVersion == 39)
    #expect(Set(dashboard.panels.map(\.id)).count == dashboard.panels.count)
    #expect(dashboard.templating.list.contains { $0.name == "datasource" })
    var taken: Set<[Int]> = []
    for panel in dashboard.panels {
      #expect(panel.gridPos.x + panel.gridPos.w <= 24, "\(panel.title) is too wide")
      for x in panel.gridPos.x..<panel.gridPos.x + panel.gridPos.w {
        for y in panel.gridPos.y..<panel.gridPos.y + panel.gridPos.h {
          #expect(taken.insert([x, y]).inserted, "\(panel.title) covers another panel")
        }
      }
      guard panel.type != "row" else { continue }
      #expect(panel.datasource?.uid == "${datasource}", "\(panel.title)")
      #expect(panel.targets?.isEmpty == false, "\(panel.title) shows nothing")
    }
  }

  private struct Dashboard: Decodable {
    struct Panel: Decodable {
      struct Place: Decodable { var x, y, w, h: Int }
      struct Source: Decodable { var uid: String }
      struct Target: Decodable { var expr: String }
      var id: Int
      var type: String
      var title: String
      var gridPos: Place
      var datasource: Source?
      var targets: [Target]?
    }
    struct Templating: Decodable {
      struct Variable: Decodable { var name: String }
      var list: [Variable]
    }
    var uid: String
    var schemaVersion: Int
    var panels: [Panel]
    var templating: Templating
  }

  /// The panels' queries as Grafana would send them.
  private static func dashboardExpressions() throws -> [String] {
    let data = try Data(
      contentsOf: URL(filePath: "\(dashboards)/grafana/dashboards/smartcontent.json"))
    return try JSONDecoder().decode(Dashboard.self, from: data).panels
      .flatMap { $0.targets ?? [] }.map {
        $0.expr.replacing("$__rate_interval", with: "1m").replacing("$pipeline", with: "default")
      }
  }

  // MARK: A Prometheus of our own

  private struct Server {
    let program: ChildProgram
    let url: String
    private let client: HTTPClient

    init(program: ChildProgram, url: String) throws {
      self.program = program
      self.url = url
      client = try HTTPClient()
    }

    private func ask(_ expression: String) throws -> HTTPAnswer {
      let allowed = CharacterSet.alphanumerics
      let query = expression.addingPercentEncoding(withAllowedCharacters: allowed) ?? ""
      return try client.get("\(url)/api/v1/query?query=\(query)")
    }

    func accepts(_ expression: String) throws -> Bool { try ask(expression).status == 200 }

    /// The value of an expression with one result, nil where it has none.
    func value(_ expression: String) throws -> Double? {
      let answer = try ask(expression)
      guard answer.status == 200 else { throw HarnessError("\(expression): \(answer.text)") }
      return answer.text.firstMatch(of: /"value":\[[\d.]+,"([^"]+)"\]/).flatMap { Double($0.1) }
    }

    func waitUntil(_ expression: String, is expected: Double) async throws {
      var last: Double?
      let isReached = try await eventually(withinMs: 30_000, everyMs: 100) {
        last = try value(expression)
        return last == expected
      }
      #expect(isReached, "\(expression) is \(last.map { "\($0)" } ?? "nothing"), not \(expected)")
    }
  }

  /// The configuration of Dashboards/ with the addresses of `roles`, scraped every second.
  private func start(scraping roles: SDKRoles) async throws -> Server {
    let folder = try TemporaryFolder.make("prometheus")
    let port = try LoopbackPort.free(1)[0]
    let jobs = SDKRoles.Role.usual.map { role in
      """
        - job_name: smartcontent-\(role.rawValue)
          static_configs: [{targets: ["\(roles.url(role).dropFirst("http://".count))"]}]
      """
    }
    let configuration = """
      global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
      rule_files: ["\(Self.dashboards)/rules/smartcontent.rules.yml"]
      scrape_configs:
      \(jobs.joined(separator: "\n"))
      """
    try configuration.write(
      toFile: "\(folder)/prometheus.yml", atomically: true, encoding: .utf8)
    let program = try ChildProgram(
      path: try #require(installed("prometheus")),
      arguments: [
        "--config.file=\(folder)/prometheus.yml", "--storage.tsdb.path=\(folder)/data",
        "--web.listen-address=127.0.0.1:\(port)", "--log.level=warn",
      ], logPath: "\(folder)/prometheus.log")
    try await SmartContentProgram.waitUntilReady(
      program, url: "http://127.0.0.1:\(port)/-/ready")
    return try Server(program: program, url: "http://127.0.0.1:\(port)")
  }
}
