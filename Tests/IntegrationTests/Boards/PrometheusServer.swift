import Foundation
import Glibc
import HTTPClient
@testable import LocalServers

/// A real Prometheus with the real rules, beside a system of a test.
struct PrometheusServer {
  let program: ChildProgram
  let url: String
  private let client: HTTPClient

  /// Needed by the tests that start one.
  static let missing = "needs Debian's prometheus package: Scripts/setup --tests"
  static let isInstalled = installed("promtool") != nil && installed("prometheus") != nil

  /// A program of a Debian package, nil where it is not installed.
  static func installed(_ name: String) -> String? {
    ["/usr/bin/\(name)", "/usr/local/bin/\(name)"].first {
      FileManager.default.isExecutableFile(atPath: $0)
    }
  }

  /// Scrapes and evaluates every second.
  ///
  /// - Parameters:
  ///   - targets: addresses without a scheme, by name of the job.
  ///   - shortened: whether the rules' durations are, see ``RuleText``.
  ///   - alertmanager: its address.
  static func start(
    scraping targets: [String: String], shortened: Bool = false, alertmanager: String? = nil
  ) async throws -> PrometheusServer {
    guard let path = installed("prometheus") else { throw HarnessError(missing) }
    let folder = try TemporaryFolder.make("prometheus")
    let port = try LoopbackPort.free(1)[0]
    let jobs = targets.sorted(by: <).map { name, address in
      "  - {job_name: \(name), static_configs: [{targets: [\"\(address)\"]}]}"
    }
    let rules = "\(Board.folder)/rules"
    try FileManager.default.createDirectory(
      atPath: "\(folder)/rules", withIntermediateDirectories: true)
    for file in try FileManager.default.contentsOfDirectory(atPath: rules)
    where file.hasSuffix(".rules.yml") {
      let text = try TextFile.read("\(rules)/\(file)")
      try TextFile.write(shortened ? RuleText.shortened(text) : text, to: "\(folder)/rules/\(file)")
    }
    let configuration = try configuration(
      jobs: jobs.joined(separator: "\n"), alertmanager: alertmanager)
    try TextFile.write(configuration, to: "\(folder)/prometheus.yml")
    let program = try ChildProgram(
      path: path,
      arguments: [
        "--config.file=\(folder)/prometheus.yml", "--storage.tsdb.path=\(folder)/data",
        "--web.listen-address=127.0.0.1:\(port)", "--log.level=warn",
      ], logPath: "\(folder)/prometheus.log")
    TestExit.atEnd { program.signal(SIGKILL) }
    try await SmartContentProgram.waitUntilReady(
      program, url: "http://127.0.0.1:\(port)/-/ready")
    return PrometheusServer(
      program: program, url: "http://127.0.0.1:\(port)", client: try HTTPClient())
  }

  /// The configuration that is shipped, so that what it lacks is missing here too: with other targets, and every second.
  private static func configuration(jobs: String, alertmanager: String?) throws -> String {
    let shipped = try TextFile.read("\(Board.folder)/prometheus.yml")
    guard let targets = shipped.range(of: "\nscrape_configs:\n") else {
      throw HarnessError("prometheus.yml has no scrape_configs at its end")
    }
    return shipped[..<targets.upperBound]
      .replacing(/(_interval|_timeout): \d+s/) { "\($0.output.1): 1s" }
      .replacing("\"alertmanager:9093\"", with: alertmanager.map { "\"\($0)\"" } ?? "")
      + "\(jobs)\n"
  }

  /// The values that an expression has now.
  func values(_ expression: String) throws -> [Double] {
    let query = expression.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
    let answer = try client.get("\(url)/api/v1/query?query=\(query)")
    guard answer.status == 200 else { throw HarnessError("\(expression): \(answer.text)") }
    return answer.text.matches(of: /"value":\[[\d.e+]+,"([^"]+)"\]/).compactMap { Double($0.1) }
  }

  private struct Labels: Decodable { var data: [String] }

  /// The values of a label of a metric.
  func labels(_ label: some StringProtocol, of metric: some StringProtocol) throws -> [String] {
    let answer = try client.get("\(url)/api/v1/label/\(label)/values?match[]=\(metric)")
    return try JSONDecoder().decode(Labels.self, from: Data(answer.text.utf8)).data
  }

  func waitUntil(_ expression: String, is expected: Double) async throws {
    var last: [Double] = []
    let isReached = try await eventually(withinMs: 30_000, everyMs: 100) {
      last = try values(expression)
      return last == [expected]
    }
    guard isReached else {
      throw HarnessError(
        "\(expression) is \(last.isEmpty ? "nothing" : "\(last)"), not \(expected)")
    }
  }

  /// The rules that could not be evaluated, with why.
  func brokenRules() throws -> [String] {
    struct Answer: Decodable {
      struct Rule: Decodable {
        var name: String
        var health: String
        var lastError: String?
      }
      struct Group: Decodable { var rules: [Rule] }
      struct Groups: Decodable { var groups: [Group] }
      var data: Groups
    }
    let answer = try JSONDecoder().decode(
      Answer.self, from: Data(try client.get("\(url)/api/v1/rules").text.utf8))
    return answer.data.groups.flatMap(\.rules).filter { $0.health != "ok" }
      .map { "\($0.name) is \($0.health): \($0.lastError ?? "")" }
  }
}
