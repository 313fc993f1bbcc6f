import Dataflow
import Events
import Foundation
import Glibc
import HTTPClient
import JetStreamLog
@testable import LocalServers
import NATSClient
import Ports
import PostgresClient
@testable import PostgresViews
import Testing
import Views

/// From a metric to the call that wakes somebody up, with the real programs and configurations.
@Suite(
  "Alerts", .serialized, .endsWhatItStarts,
  .enabled(
    if: PrometheusServer.isInstalled && PrometheusServer.installed("amtool") != nil
      && PrometheusServer.installed("prometheus-alertmanager") != nil,
    "needs Debian's prometheus and prometheus-alertmanager packages: Scripts/setup --tests"))
struct AlertTests {
  private static let configuration = "\(Board.folder)/alertmanager.yml"

  private func amtool(_ arguments: String...) async throws -> String {
    let run = try ProgramRun(try #require(PrometheusServer.installed("amtool")), arguments)
    let code = try await run.end(withinMs: 20_000)
    let text = try run.text
    try #require(code == 0, "amtool \(arguments.joined(separator: " ")):\n\(text)")
    return text
  }

  @Test("Alertmanager accepts its configuration")
  func configuration() async throws {
    _ = try await amtool("check-config", Self.configuration)
  }

  @Test(
    "the webhook hears of all, and severity decides who else does",
    arguments: [
      ("severity=critical", "webhook,pagerduty"), ("severity=warning", "webhook,mail"),
      ("severity=info", "webhook"), ("team=other", "webhook,mail"),
    ])
  func routes(label: String, receivers: String) async throws {
    let text = try await amtool(
      "config", "routes", "test", "--config.file", Self.configuration, label)
    #expect(text.split(separator: "\n").contains(Substring(receivers)), "\(text)")
  }

  @Test("only alerts that exist mute others or are muted, and every severity is one that is routed")
  func names() throws {
    var rules = ""
    for file in try FileManager.default.contentsOfDirectory(atPath: "\(Board.folder)/rules")
    where file.hasSuffix(".rules.yml") {
      rules += try TextFile.read("\(Board.folder)/rules/\(file)")
    }
    let alerts = rules.matches(of: /alert: (\w+)/).map { String($0.1) }
    #expect(Set(alerts).count == alerts.count && alerts.count > 30)
    let text = try TextFile.read(Self.configuration)
    let matchers = text.matches(of: /alertname=~?"([^"]+)"/).flatMap { $0.1.split(separator: "|") }
    #expect(matchers.count > 10)
    for matcher in matchers {
      let expression = try Regex(String(matcher))
      #expect(alerts.contains { $0.wholeMatch(of: expression) != nil }, "there is no \(matcher)")
    }
    for match in rules.matches(of: /severity: (\w+)/) {
      #expect(["critical", "warning", "info"].contains(match.1))
    }
  }

  @Test("from /metrics to PagerDuty, the webhook and a mail: when it begins and when it is over")
  func calls() async throws {
    let system = try await ProofSystem("alerts")
    let receiver = try await CallReceiver()
    let mail = try MailSink()
    let alertmanager = try await start(calling: receiver, mail)
    let prometheus = try await PrometheusServer.start(
      scraping: ["smartcontent-dev": String(system.url.dropFirst("http://".count))],
      shortened: true, alertmanager: alertmanager)
    // An increase is seen from a first value on.
    try await prometheus.waitUntil(
      "count(smartcontent_processor_poison_frames_total{pipeline=\"default\", stream=\"events-00\"})",
      is: 1)

    // A frame that nobody can read: critical. Its message is one of those that PagerDuty groups.
    try system.store(frame: Array("no frame".utf8), in: "events-00", id: "poison")
    var found: Page?
    _ = try await eventually(withinMs: 30_000, everyMs: 100) {
      found = try pages(receiver).first {
        $0.eventAction == "trigger" && $0.payload?.summary.contains("PoisonFrames") == true
      }
      return found != nil
    }
    let trigger = try #require(found, "PagerDuty got \(receiver.calls(to: "/v2/enqueue"))")
    #expect(trigger.routingKey == "routing-key-of-a-test")
    #expect(trigger.payload?.severity == "critical")
    #expect(trigger.payload?.summary.hasPrefix("[FIRING:1] SmartContentPoisonFrames") == true)
    #expect(trigger.payload?.customDetails.firing.contains("stream = events-00") == true)
    try expectShape(try #require(receiver.calls(to: "/v2/enqueue").first))

    // Events that are rejected again and again: a warning.
    let isMailed = try await eventually(withinMs: 60_000, everyMs: 500) {
      for number in 0..<5 { _ = try system.post("/p.gif?k=dev&t=nonsense&eid=\(number)", "") }
      return mail.mails.contains { $0.text.contains("SmartContentDeadLetters") }
    }
    #expect(isMailed, "no mail came, but \(mail.mails.map { $0.text.prefix(300) })")
    let mailed = try #require(mail.mails.first)
    #expect(mailed.recipients == ["<operators@example.org>"])
    #expect(mailed.credentials == ["smartcontent@example.org", "password-of-a-test"])

    for name in ["SmartContentPoisonFrames", "SmartContentDeadLetters"] {
      let isTold = await eventually(withinMs: 20_000, everyMs: 100) {
        receiver.calls(to: "/webhook").contains { $0.body.contains("\"alertname\":\"\(name)\"") }
      }
      #expect(isTold, "the webhook was not told of \(name)")
    }
    #expect(
      receiver.calls(to: "/webhook").allSatisfy { $0.authorization == "Bearer token-of-a-test" })

    // Ten minutes, here ten seconds, without another such frame.
    let isOver = try await eventually(withinMs: 60_000, everyMs: 200) {
      try pages(receiver).contains {
        $0.eventAction == "resolve" && $0.dedupKey == trigger.dedupKey
      }
    }
    #expect(isOver)
    // A warning wakes nobody up.
    #expect(try pages(receiver).allSatisfy { $0.payload?.severity ?? "critical" == "critical" })
  }

  @Test("from an outage in the traffic to facts, metrics and PagerDuty, and back when it is over")
  func outage() async throws {
    let system = try await ProofSystem("outage")
    let receiver = try await CallReceiver()
    let alertmanager = try await start(calling: receiver, MailSink())
    let address = String(system.url.dropFirst("http://".count))
    let prometheus = try await PrometheusServer.start(
      scraping: ["smartcontent-dev": address], shortened: true, alertmanager: alertmanager)
    try await prometheus.waitUntil("smartcontent_incidents_total{severity=\"critical\"}", is: 0)

    // What the pipeline makes of the traffic, where the system's own pipeline would write it.
    let traffic = OutageTraffic(now: ProofSystem.now)
    let version = try await system.activeVersion()
    let schema = try ViewSchema(PipelineSpec(name: "default", version: version))
    let postgres = try PostgresConnection(
      PostgresSettings(connection: try system.environment["SMARTCONTENT_POSTGRES"] ?? ""))
    func write(until: Int64) throws -> [IncidentRow] {
      let rows = try traffic.incidents(until: until)
      try postgres.transaction(.durableWrite) { session throws(PostgresError) in
        try IncidentTable.write(rows, logTime: until, in: schema, session)
        return .commit(())
      }
      return rows
    }
    let rows = try write(until: traffic.outageEnd)
    let told = rows.filter { $0.group == $0.id && $0.severity == .critical && $0.end == nil }
    let head = try #require(told.first, "the traffic came to \(rows)")
    #expect(told.map(\.kind) == [.trafficDown] && head.site == "shop", "\(told)")
    let id = "\(head.id)"

    var page: Page?
    _ = try await eventually(withinMs: 60_000, everyMs: 100) {
      page = try pages(receiver).first {
        $0.eventAction == "trigger"
          && $0.payload?.customDetails.firing.contains("id = \(id)") == true
      }
      return page != nil
    }
    let trigger = try #require(page, "PagerDuty got \(receiver.calls(to: "/v2/enqueue"))")
    let details = try #require(trigger.payload?.customDetails.firing)
    #expect(trigger.payload?.severity == "critical")
    #expect(details.contains("summary = traffic_down of"), "\(details)")
    #expect(details.contains("\(head.observed) so far, usually"), "\(details)")
    #expect(details.contains("link = http://127.0.0.1:8090/v1/incidents/\(id)"), "\(details)")
    let metrics = try HTTPClient().get(system.url + "/metrics").text
    #expect(metrics.contains("smartcontent_incident{id=\"\(id)\",site=\"shop\""))
    #expect(try HTTPClient().get(system.url + "/v1/incidents/\(id)").status == 200)

    let facts = JetStreamFacts(
      NATSConnection(
        try NATSAddress(try system.environment["SMARTCONTENT_NATS"] ?? ""), name: "test"),
      stream: "facts")
    func isTold(_ type: String) async throws -> Bool {
      try await eventually(withinMs: 20_000) {
        try await facts.read(kind: "incident", after: 0).contains {
          $0.fact.id == id && $0.fact.type == type
        }
      }
    }
    #expect(try await isTold("incident.opened"))

    let after = try write(until: traffic.outageEnd + 3_600_000_000)
    #expect(after.filter { $0.kind == .trafficDown }.allSatisfy { $0.end != nil })
    #expect(try await isTold("incident.closed"))
    let isOver = try await eventually(withinMs: 60_000, everyMs: 200) {
      try pages(receiver).contains {
        $0.eventAction == "resolve" && $0.dedupKey == trigger.dedupKey
      }
    }
    #expect(isOver)
  }

  // MARK: PagerDuty

  /// A call of the Events API v2.
  private struct Page: Decodable {
    struct Payload: Decodable {
      struct Details: Decodable { var firing: String }
      var summary: String
      var severity: String
      var customDetails: Details
    }
    var routingKey: String
    var dedupKey: String
    var eventAction: String
    var payload: Payload?
  }

  private func pages(_ receiver: CallReceiver) throws -> [Page] {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try receiver.calls(to: "/v2/enqueue").map {
      try decoder.decode(Page.self, from: Data($0.body.utf8))
    }
  }

  /// The members of a call that a real Alertmanager made, and those of the capture itself where the folder
  /// shared/wire is beside the project.
  private func expectShape(_ call: CallReceiver.Call) throws {
    #expect(call.contentType == "application/json")
    let members = try paths(call.body)
    #expect(
      members == [
        "client", "client_url", "dedup_key", "event_action", "payload",
        "payload.custom_details", "payload.custom_details.firing",
        "payload.custom_details.num_firing", "payload.custom_details.num_resolved",
        "payload.custom_details.resolved", "payload.severity", "payload.source", "payload.summary",
        "routing_key",
      ])
    let capture = "\(SDKPython.root)/../shared/wire/am2-00.raw"
    guard FileManager.default.fileExists(atPath: capture) else { return }
    let body = try TextFile.read(capture).components(separatedBy: "\r\n\r\n")[1]
    #expect(try paths(body) == members)
  }

  /// The names of all members, with those that they are in.
  private func paths(_ json: String) throws -> [String] {
    func walk(_ value: Any, _ place: String) -> [String] {
      guard let object = value as? [String: Any] else { return [] }
      return object.flatMap { [place + $0.key] + walk($0.value, "\(place)\($0.key).") }
    }
    return walk(try JSONSerialization.jsonObject(with: Data(json.utf8)), "").sorted()
  }

  // MARK: Alertmanager

  /// The configuration of Dashboards/ with other addresses and secrets, shorter durations (``RuleText``), and mail without
  /// TLS, for which the sink has no certificate.
  ///
  /// - Returns: its address.
  private func start(calling receiver: CallReceiver, _ mail: MailSink) async throws -> String {
    let folder = try TemporaryFolder.make("alertmanager")
    for (name, secret) in [
      ("pagerduty-routing-key", "routing-key-of-a-test"), ("smtp-password", "password-of-a-test"),
      ("webhook-token", "token-of-a-test"),
    ] {
      try TextFile.write(secret, to: "\(folder)/\(name)")
    }
    var text = RuleText.shortened(try TextFile.read(Self.configuration))
    for (real, ours) in [
      ("https://events.pagerduty.com", receiver.url),
      ("https://alerts.example.org/smartcontent", "\(receiver.url)/webhook"),
      ("mail.example.org:587", "127.0.0.1:\(mail.port)"),
      ("smtp_require_tls: true", "smtp_require_tls: false"),
      ("/etc/alertmanager/secrets", folder),
    ] {
      try #require(text.contains(real), "the configuration has no \(real)")
      text.replace(real, with: ours)
    }
    try TextFile.write(text, to: "\(folder)/alertmanager.yml")
    let address = "127.0.0.1:\(try LoopbackPort.free(1)[0])"
    let program = try ChildProgram(
      path: try #require(PrometheusServer.installed("prometheus-alertmanager")),
      arguments: [
        "--config.file=\(folder)/alertmanager.yml", "--storage.path=\(folder)/data",
        "--web.listen-address=\(address)", "--cluster.listen-address=", "--log.level=warn",
      ], logPath: "\(folder)/alertmanager.log")
    TestExit.atEnd { program.signal(SIGKILL) }
    try await SmartContentProgram.waitUntilReady(program, url: "http://\(address)/-/ready")
    return address
  }
}
