import Events
import HTTPServer
import Logging
import Metrics
import Ports
import Synchronization
import Testing
import Views

@testable import QueryAPI

/// Requests about incidents, without a socket or a store.
@Suite("Incidents over HTTP")
struct IncidentServiceTests {
  /// 2026-11-30 10:15:00 UTC.
  private static let begin: Int64 = 1_796_033_700_000_000

  private final class MemoryIncidents: IncidentReader {
    let rows: [IncidentRow]
    let asked = Mutex<[IncidentQuestion]>([])

    init(_ rows: [IncidentRow]) { self.rows = rows }

    func incidents(_ question: IncidentQuestion) async throws(ViewReadError) -> [IncidentRow] {
      asked.withLock { $0.append(question) }
      return Array(
        rows.filter { row in
          (question.id.map { $0 == row.id } ?? true)
            && (question.group.map { $0 == row.group } ?? true)
            && (question.isOpen.map { $0 == (row.end == nil) } ?? true)
            && (question.before.map { (row.begin, row.id) < ($0.begin, $0.id) } ?? true)
        }.prefix(question.limit))
    }

    func incidentCounts() async throws(ViewReadError) -> [IncidentRow.Severity: Int64] {
      Dictionary(grouping: rows, by: \.severity).mapValues { Int64($0.count) }
    }
  }

  private static func row(
    _ id: Int64, group: Int64? = nil, severity: IncidentRow.Severity = .warning,
    end: Int64? = nil, contributor: IncidentRow.Contributor? = nil
  ) -> IncidentRow {
    IncidentRow(
      id: id, site: "shop", campaign: "spring", content: "", kind: .rateDown, begin: begin,
      end: end, evidence: 8, severity: severity, observed: 38, expected: 100, lower: 80,
      upper: 120, contributor: contributor, group: group ?? id)
  }

  private let incidents = MemoryIncidents([
    row(9), row(8, group: 9), row(7, end: begin + 1),
    row(
      5, severity: .critical,
      contributor: IncidentRow.Contributor(dimension: .variant, value: "b", share: 0.7)),
  ])
  private let published = Published()

  private final class Published: Sendable {
    let events = Mutex<[IncomingEvent]>([])
  }

  private func view(_ incidents: (any IncidentReader)?) -> ReadViewSource {
    var view = SimulatedView(partitions: [SimulatedPartition(events: [])]).executor.view
    view.incidents = incidents
    return ReadViewSource(view)
  }

  private func routes(hasLog: Bool = true, watches: Bool = true) throws -> Routes {
    var routes = Routes()
    let published = published
    let spans: FindSpans = { from, until in
      [LogSpan(stream: "events-00", first: 12, last: UInt64(12 + (until - from) / 60_000_000))]
    }
    IncidentRoutes(
      views: [view(watches ? incidents : nil)],
      access: try QueryAccess(token: nil, boundTo: "127.0.0.1"), registry: MetricRegistry(),
      feedback: hasLog
        ? FeedbackIntake(cleaned: { $0.replacing("secret", with: "…") }) {
          event async throws(Problem) in
          published.events.withLock { $0.append(event) }
          return "1~0.5"
        } : nil,
      spans: hasLog ? spans : nil, clock: { Self.begin + 60_000_000 }
    ).declare(on: &routes)
    return routes
  }

  private func ask(
    _ method: HTTPMethod, _ target: String, _ body: String = "", hasLog: Bool = true,
    watches: Bool = true
  ) async throws -> String {
    let routes = try routes(hasLog: hasLog, watches: watches)
    let response = try await routes.answer(method, target, body: Array(body.utf8))
    guard case .bytes(let bytes)? = response?.body else { return "" }
    return String(decoding: bytes, as: UTF8.self)
  }

  private func ids(_ answer: String) -> [String] {
    answer.matches(of: /\{"id":"(\d+)","site"/).map { String($0.1) }
  }

  @Test("they come a page at a time, and each page says where the next one begins")
  func pages() async throws {
    var target = "/v1/incidents?limit=2"
    var pages: [[String]] = []
    while true {
      let answer = try await ask(.get, target)
      pages.append(ids(answer))
      guard let next = answer.firstMatch(of: /"next":"([^"]+)"/) else {
        #expect(answer.contains(#""next":null,"as_of":"2026-11-30T10:16:00.000Z""#))
        break
      }
      target = "/v1/incidents?limit=2&before=\(next.1)"
    }
    #expect(pages == [["9", "8"], ["7", "5"]])
  }

  @Test("as CSV each is a row, and the header of the answer says where the next page begins")
  func csv() async throws {
    let routes = try routes()
    let answer = try #require(
      try await routes.answer(.get, "/v1/incidents?format=csv&limit=3"))
    #expect(answer.headers.contains { $0.name == "SmartContent-Next" && $0.value.hasSuffix("~7") })
    let lines = try await ask(.get, "/v1/incidents?format=csv").split(separator: "\r\n")
    #expect(lines[0].hasPrefix("id,site,campaign,content,kind,severity,open,begin,end,evidence,"))
    #expect(lines.count == 5)
    #expect(
      lines[3].hasPrefix(
        "7,shop,spring,,rate_down,warning,false,2026-11-30T10:15:00.000Z,2026-11-30T10:15:00.000001Z,8,38,100,80,120,-0.62,,,,7,,1,"
      ))
    #expect(lines[4].contains(",variant,b,0.7,5,,1,"))
  }

  @Test(
    "each is explained by its bins, by the others that began with it, and by where its events are in the log"
  )
  func why() async throws {
    let answer = try await ask(.get, "/v1/incidents/8/why")
    #expect(answer.contains(#""incident":"8""#) && answer.contains(#""observed":38"#), "\(answer)")
    // As likely as the one that it began with; all as usual is e^8 times less likely.
    #expect(answer.contains(#"{"explanation":"rate_down","incident":"9","odds":1.0}"#), "\(answer)")
    #expect(answer.contains(#"{"explanation":"as_usual","incident":null,"odds":0.000335"#))
    #expect(answer.contains(#""log":[{"stream":"events-00","first":12,"last":13}]"#))
    #expect(answer.contains("1 more began with it"))
    #expect(try await ask(.get, "/v1/incidents/9/why", hasLog: false).contains(#""log":null"#))
    let problem = await #expect(throws: Problem.self) {
      try await ask(.get, "/v1/incidents/77/why")
    }
    #expect(problem?.code == "unknown_incident")
  }

  @Test("what is asked for reaches the store as it was meant")
  func question() async throws {
    _ = try await ask(
      .get,
      "/v1/incidents?site_id=shop&campaign=a%20b&content=p%201&open=false&since=2026-11-30T10:15:00Z"
        + "&severity=critical")
    #expect(
      incidents.asked.withLock { $0 } == [
        IncidentQuestion(
          site: "shop", campaign: "a b", content: "p 1", isOpen: false, since: Self.begin,
          severity: .critical,
          limit: IncidentRequest.limitDefault + 1)
      ])
  }

  @Test("one comes with the others of its group, in the times of its reader")
  func one() async throws {
    let answer = try await ask(.get, "/v1/incidents/8?timezone=Asia/Tokyo")
    #expect(ids(answer) == ["8", "9"])
    #expect(answer.contains("on a Monday at 19, since 19:15"))
  }

  @Test(
    "what is wrong is named",
    arguments: [
      ("/v1/incidents?open=yes", "?open: "), ("/v1/incidents?severity=grave", "?severity: "),
      ("/v1/incidents?since=yesterday", "?since: "), ("/v1/incidents?limit=0", "?limit: "),
      ("/v1/incidents?before=7", "?before: "), ("/v1/incidents?page=2", "?page: "),
      ("/v1/incidents?timezone=Mars/Olympus", "?timezone: "),
      ("/v1/incidents?pipeline=other", "?pipeline: "), ("/v1/incidents/1", "{id}: "),
      ("/v1/incidents/x", "{id}: "), ("/v1/incidents/9?limit=1", "?limit: "),
    ])
  func mistakes(target: String, says: String) async throws {
    let problem = await #expect(throws: Problem.self) { try await ask(.get, target) }
    #expect(problem?.detail.hasPrefix(says) == true, "\(problem?.detail ?? "")")
    #expect(problem?.status == (says == "{id}: " ? .notFound : .badRequest))
  }

  @Test("a pipeline that watches for nothing says so")
  func notComputed() async throws {
    let problem = await #expect(throws: Problem.self) {
      try await ask(.get, "/v1/incidents", watches: false)
    }
    #expect(problem?.code == "incidents_not_computed")
  }

  @Test("feedback is one event of the incident's site, however often it is said")
  func feedback() async throws {
    let body = #"{"verdict":"not_an_anomaly","note":"a secret test"}"#
    for _ in 0..<2 {
      #expect(
        try await ask(.post, "/v1/incidents/9/feedback", body)
          == #"{"id":"9.not_an_anomaly","position":"1~0.5"}"#)
    }
    let events = published.events.withLock { $0 }
    #expect(events.count == 2 && Set(events.map(\.key)).count == 1)
    let event = try #require(events.first)
    #expect(event.kind == .feedback)
    #expect(event.dimensions == DimensionTuple(site: "shop").encoded)
    #expect(event.eventTime == Self.begin + 60_000_000)
    #expect(
      event.payload.withUnsafeBytes { IncidentFeedback(payload: $0) }
        == IncidentFeedback(incident: 9, verdict: .notAnAnomaly))
    #expect(String(decoding: event.payload, as: UTF8.self).contains("a … test"))
    _ = try await ask(.post, "/v1/incidents/9/feedback", #"{"verdict":"expected"}"#)
    #expect(Set(published.events.withLock { $0 }.map(\.key)).count == 2)
  }

  @Test(
    "feedback that says nothing is refused",
    arguments: [
      "", "[]", "{}", #"{"verdict":"no"}"#, #"{"verdict":1}"#, #"{"verdict":"expected","by":"me"}"#,
      #"{"verdict":"expected","note":"\#(String(repeating: "x", count: 1_001))"}"#,
    ])
  func wrongFeedback(body: String) async throws {
    let problem = await #expect(throws: Problem.self) {
      try await ask(.post, "/v1/incidents/9/feedback", body)
    }
    #expect(problem?.status == .badRequest)
    #expect(published.events.withLock { $0.isEmpty })
  }

  @Test("feedback on nothing, and without a way to the log, is refused")
  func nowhere() async throws {
    let body = #"{"verdict":"expected"}"#
    let unknown = await #expect(throws: Problem.self) {
      try await ask(.post, "/v1/incidents/1/feedback", body)
    }
    #expect(unknown?.code == "unknown_incident")
    let away = await #expect(throws: Problem.self) {
      try await ask(.post, "/v1/incidents/9/feedback", body, hasLog: false)
    }
    #expect(away?.code == "feedback_not_taken" && away?.status == .serviceUnavailable)
  }

  @Test("pages of other sites change nothing; programs and pages of this server do")
  func origins() throws {
    func check(_ origin: String?) throws {
      try HTTPRequest(
        method: .post, path: "/",
        headers: [("Host", "127.0.0.1:8080")] + (origin.map { [("Origin", $0)] } ?? [])
      ).checkOrigin()
    }
    try check(nil)
    try check("http://127.0.0.1:8080")
    try check("HTTPS://127.0.0.1:8080")
    for origin in ["https://example.org", "http://127.0.0.1:8081", "null"] {
      let problem = #expect(throws: Problem.self) { try check(origin) }
      #expect(problem?.status == .forbidden)
    }
  }

  @Test("of each group one is a series, the gravest first, and each counts in all")
  func metrics() async throws {
    let registry = MetricRegistry()
    let metrics = IncidentMetrics(
      view: view(incidents), registry: registry,
      log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    await metrics.refresh()
    let text = String(decoding: registry.exposition(.prometheusText), as: UTF8.self)
    for line in [
      #"smartcontent_incident{id="5",site="shop",campaign="spring",content="",kind="rate_down",severity="critical"} 1"#,
      #"smartcontent_incident{id="9",site="shop",campaign="spring",content="",kind="rate_down",severity="warning"} 1"#,
      #"smartcontent_incident_events{id="9",of="observed"} 38"#,
      #"smartcontent_incident_events{id="9",of="expected"} 100"#,
      #"smartcontent_incident_events{id="9",of="lower"} 80"#,
      #"smartcontent_incident_events{id="9",of="upper"} 120"#,
      #"smartcontent_incidents_open{site="shop",severity="critical",kind="rate_down"} 1"#,
      #"smartcontent_incidents_open{site="shop",severity="warning",kind="rate_down"} 1"#,
      #"smartcontent_incidents_total{severity="info"} 0"#,
      #"smartcontent_incidents_total{severity="warning"} 3"#,
    ] { #expect(text.contains(line + ".0\n"), "\(line)") }
    #expect(
      text.contains(
        #"smartcontent_incident_contributor{id="5",dimension="variant",value="b"} 0.7"#))
    #expect(!text.contains(#"smartcontent_incident_contributor{id="9""#))
    #expect(!text.contains(#"id="8""#) && !text.contains(#"id="7""#))
  }
}
