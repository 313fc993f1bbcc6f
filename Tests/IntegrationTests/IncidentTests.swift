import Events
import Foundation
import HTTPClient
import JetStreamLog
import LocalServers
import NATSClient
import Ports
import PostgresClient
import Testing

/// Incidents on a running system, as people get to know of them. The rows are put beside those of the watch.
@Suite("Incidents on a running system", .serialized, .endsWhatItStarts)
struct IncidentTests {
  private static let json = [HTTPHeader("Content-Type", "application/json")]

  /// Starts a system that tells the desk of what is at least a warning on the site `shop`.
  private func start(_ purpose: String, _ desk: WebhookDesk) async throws -> ProofSystem {
    let streams = try TemporaryFolder.make("\(purpose)-streams") + "/Streams"
    try FileManager.default.copyItem(atPath: "\(SDKPython.root)/Streams", toPath: streams)
    try """
    webhooks:
      desk:
        url: \(desk.url)
        secret_env: TEST_WEBHOOK_DESK
        severity: warning
        sites: [shop]
        allow_private: true

    """.write(toFile: streams + "/notifications.yaml", atomically: true, encoding: .utf8)
    return try await ProofSystem(
      purpose, streams: streams, more: ["TEST_WEBHOOK_DESK": WebhookDesk.secret])
  }

  /// Writes a row of the default pipeline, or writes it anew.
  private func put(
    _ id: Int64, severity: Int = 2, site: String = "shop", campaign: String = "spring",
    isOver: Bool = false, revision: Int = 1, in system: ProofSystem
  ) async throws {
    let schema = "p_default_\(try await system.activeVersion())"
    let points = (0..<24).map { $0 }
    let seen = points.map { $0 < 18 ? 30 + $0 % 5 : 9 + $0 % 3 }
    try await system.execute(
      """
      insert into \(schema).incidents (id, site, campaign, content, kind, begin_at, end_at,
        evidence, severity, observed, expected, expected_lower, expected_upper, series_start,
        series_observed, series_expected, contributor_dimension, contributor_value,
        contributor_share, group_id, revision, digest)
      select \(id), '\(site)', '\(campaign)', '', 2, t, case when \(isOver) then now() end, 8.25,
        \(severity), 58, 190.5, 161.5, 219.5,
        array(select (extract(epoch from t + interval '5 minutes' * i) * 1000000)::int8
          from generate_series(-18, 5) i),
        '{\(seen.map(String.init).joined(separator: ","))}'::int8[],
        '{\(points.map { "\(31.75 + Double($0 % 4) / 4)" }.joined(separator: ","))}'::float8[], 'variant', 'b', 0.7,
        \(id), \(revision), 0
      from (select date_trunc('hour', now()) - interval '1 hour' as t) place
      on conflict (id) do update set severity = excluded.severity, end_at = excluded.end_at,
        revision = excluded.revision
      """)
  }

  @Test(
    "a webhook is told of each change once, signed, though it fails twice and the process is killed between"
  )
  func webhook() async throws {
    let desk = try await WebhookDesk()
    let system = try await start("incident-hooks", desk)
    desk.answer(500, 500)
    try await put(4711, in: system)
    try await put(4712, severity: 0, in: system)
    try await put(4713, site: "blog", in: system)
    #expect(await eventually(withinMs: 20_000) { !desk.messages.isEmpty })
    await system.kill()
    try await system.start(isReady: true)
    #expect(await eventually(withinMs: 30_000) { !desk.accepted.isEmpty })
    try await put(4711, isOver: true, revision: 2, in: system)
    #expect(await eventually(withinMs: 20_000) { desk.accepted.count > 1 })

    #expect(desk.accepted.map(\.id) == ["inc_4711_1", "inc_4711_2"])
    #expect(desk.messages.filter { $0.status == 500 }.map(\.id) == ["inc_4711_1", "inc_4711_1"])
    #expect(
      try desk.accepted.map { try $0.content.type } == ["incident.opened", "incident.closed"])
    #expect(Set(desk.messages.filter { $0.id == "inc_4711_1" }.map(\.body)).count == 1)
    for message in desk.messages {
      #expect(try WebhookDesk.isSigned(message))
      #expect(abs(message.timestamp - ProofSystem.now / 1_000_000) < 120)
      #expect(try message.content.data.campaign == "spring")
      #expect(try message.content.data.summary.contains("70 % below what is usual"))
    }

    // A restart sends nothing again that was accepted, once that is noted.
    let isNoted = try await eventually(withinMs: 20_000) {
      try HTTPClient().get(system.url + "/metrics").text.contains(
        #"smartcontent_incident_notices_total{receiver="desk",outcome="accepted"} 2.0"#)
    }
    #expect(isNoted)
    await system.kill()
    try await system.start(isReady: true)
    try await put(4714, in: system)
    #expect(await eventually(withinMs: 30_000) { desk.accepted.count > 2 })
    #expect(desk.accepted.map(\.id) == ["inc_4711_1", "inc_4711_2", "inc_4714_1"])

    // The log of facts has what the desk is not told, too, and each change once.
    let facts = JetStreamFacts(
      NATSConnection(
        try NATSAddress(try system.environment["SMARTCONTENT_NATS"] ?? ""), name: "test"),
      stream: "facts")
    var known: [String] = []
    let isKnown = try await eventually(withinMs: 20_000) {
      known = try await facts.read(kind: "incident", after: 0).map {
        "\($0.fact.id) \($0.fact.type)"
      }
      return known.count >= 5
    }
    #expect(isKnown)
    #expect(
      known.sorted() == [
        "4711 incident.closed", "4711 incident.opened", "4712 incident.opened",
        "4713 incident.opened", "4714 incident.opened",
      ])
    let output = try await system.run(["doctor"])
    #expect(output.text.contains("incidents"), "\(output.text)")
    #expect(output.text.contains("webhook desk"), "\(output.text)")
  }

  @Test("incidents are listed, counted and shown, and what people say of them comes into the log")
  func people() async throws {
    let desk = try await WebhookDesk()
    let system = try await start("incident-people", desk)
    _ = try system.post("/p.gif?k=dev&t=view&cid=spring&uid=u&eid=e1", "")
    try await put(815, in: system)
    let hostile = "<img src=x onerror=alert(1)>"
    try await put(816, severity: 1, campaign: hostile, isOver: true, in: system)

    let client = try HTTPClient()
    let list = try client.get(
      system.url + "/v1/incidents?open=true&site_id=shop&timezone=Europe/Berlin"
    ).text
    #expect(list.contains(#""incidents":[{"id":"815","site":"shop","campaign":"spring""#))
    #expect(list.contains("clicks of campaign spring are 70 % below what is usual"))
    #expect(list.contains(#""next":null"#) && !list.contains(#""id":"816""#))
    #expect(try client.get(system.url + "/v1/incidents/815").text.contains(#""members":[]"#))
    #expect(try client.get(system.url + "/v1/incidents/1").status == 404)
    let isCounted = try await eventually(withinMs: 20_000) {
      let metrics = try client.get(system.url + "/metrics").text
      return metrics.contains(
        #"smartcontent_incident{id="815",site="shop",campaign="spring",content="",kind="rate_down","#
          + #"severity="critical"} 1"#)
        && metrics.contains(
          #"smartcontent_incidents_open{site="shop",severity="critical",kind="rate_down"} 1"#)
        && metrics.contains(#"smartcontent_incidents_total{severity="warning"} 1"#)
    }
    #expect(isCounted)

    let url = system.url + "/v1/incidents/815/feedback"
    let body = Array(#"{"verdict":"expected","note":"a sale, says ada@example.org"}"#.utf8)
    for _ in 0..<2 {
      let answer = try client.post(url, headers: Self.json, body: body)
      #expect(answer.status == 200, "\(answer.text)")
      #expect(answer.text.contains(#""id":"815.expected""#))
    }
    let foreign = Self.json + [HTTPHeader("Origin", "https://elsewhere.example.org")]
    #expect(try client.post(url, headers: foreign, body: body).status == 403)
    #expect(
      try client.post(url, headers: Self.json, body: Array(#"{"verdict":"no"}"#.utf8)).status
        == 400)
    let log = try await system.run(["events", "cat"]).lines.filter {
      $0.contains("incident_feedback")
    }
    #expect(log.count == 2)
    #expect(log.allSatisfy { $0.contains(#""incident":"815","verdict":"expected""#) })
    #expect(log.allSatisfy { $0.contains("a sale, says ") && !$0.contains("ada@") })
    let isOnce = try await eventually(withinMs: 20_000) {
      try client.get(system.url + "/v1/accounting").text.contains(#""duplicate":1"#)
    }
    #expect(isOnce)

    try await page(system, hostile: hostile)
  }

  /// The live page shows both, runs no name, and a button's verdict arrives.
  private func page(_ system: ProofSystem, hostile: String) async throws {
    guard Chromium.path != nil else { return }
    let browser = try await Chromium()
    let tab = try await browser.tab()
    try await tab.open(system.url)
    func text(_ selector: String) async throws -> String {
      try await tab.evaluate(
        "(document.querySelector('\(selector)') || { textContent: '' }).textContent",
        as: String.self)
    }
    let isShown = try await eventually(withinMs: 20_000) {
      try await text("#incidents [data-id=\"815\"] .summary").hasPrefix("Clicks of campaign spring")
    }
    #expect(isShown)
    #expect(try await text("#incidentNote") == "1 goes on")
    #expect(try await text("#incidents [data-id=\"815\"] .grave") == "critical")
    #expect(try await text("#incidents [data-id=\"816\"] .summary").contains(hostile))
    #expect(
      try await tab.evaluate(
        "document.querySelectorAll('#incidents [data-id=\"815\"] svg polyline').length",
        as: Int.self)
        == 3)
    try await tab.run("document.querySelectorAll('#incidents [data-id=\"815\"] button')[1].click()")
    let isSaid = try await eventually(withinMs: 20_000) {
      try await text("#incidents [data-id=\"815\"] .said").hasPrefix("Thank you")
    }
    #expect(isSaid)
    #expect(
      try await system.run(["events", "cat"]).text.contains(#""verdict":"not_an_anomaly""#))
    for (name, width, height) in [("desk", 1200, 1500), ("phone", 390, 2200)] {
      try await tab.call(
        "Emulation.setDeviceMetricsOverride",
        "{\"width\":\(width),\"height\":\(height),\"deviceScaleFactor\":1,\"mobile\":false}")
      #expect(
        try await tab.evaluate(
          "document.documentElement.scrollWidth <= innerWidth", as: Bool.self),
        "the page is too wide for a \(name)")
    }
    #expect(tab.exceptions == [])
  }
}
