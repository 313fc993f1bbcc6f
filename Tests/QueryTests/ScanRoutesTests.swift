import Analyses
import Dataflow
import Events
import HTTPServer
import LogScans
import Logging
import MemoryPorts
import Metrics
import Ports
import Testing
import Views

@testable import QueryAPI

/// Questions that no read model answers, through the routes' handlers.
@Suite struct ScanRoutesTests {
  private let log = MemoryEventLog()
  /// 2026-11-01T00:00:00Z, a Sunday.
  private static let start: Int64 = 1_793_491_200_000_000
  private static let now = start + 10 * 3_600_000_000

  private func service(
    logIsAway: Bool = false, erasures: PersonErasures = PersonErasures()
  ) throws -> QueryService {
    let view = SimulatedView(partitions: [SimulatedPartition(events: [])]).executor.view
    let table = ScanTable(
      limits: ScanTable.Limits(threadCount: 2), registry: MetricRegistry(),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    return QueryService(
      views: [ReadViewSource(view)], registry: MetricRegistry(), limits: QueryRoutes.Limits(),
      logHeads: nil,
      scans: ScanSource(table: table) { [log] name throws(ScanError) in
        if logIsAway { throw .log(.unavailable("nats://secret@10.0.0.1 does not answer")) }
        return ScannedLog(
          spec: PipelineSpec(name: name),
          generations: [LogGeneration(number: 1, streams: ["events-00", "events-01"])], log: log,
          erasures: erasures)
      }, clock: { Self.now })
  }

  private func fill() {
    for index in 0..<20 {
      let event = IncomingEvent(
        kind: index % 4 == 0 ? .click : .impression, key: Key128(low: UInt64(index), high: 3),
        person: Key128(low: UInt64(index % 5), high: 9),
        eventTime: Self.start + Int64(index) * 60_000_000,
        receivedAt: Self.start + Int64(index) * 60_000_000,
        dimensions: DimensionTuple(site: "default", campaign: "c\(index % 2)").encoded,
        id: "\(index)", name: index % 10 == 0 ? "Opened" : "Seen", source: "test",
        payload: Array(#"{"country":"\#(index % 4 < 2 ? "DE" : "FR")"}"#.utf8),
        agent: index % 2 == 0 ? "Chrome 126/Windows/desktop" : "Safari 17/iOS/mobile")
      log.append(event, to: "events-0\(index % 2)")
    }
  }

  private func post(_ json: String, query: String = "") -> HTTPRequest {
    HTTPRequest(method: .post, path: "/v1/query", query: query, body: Array(json.utf8))
  }

  private func text(_ response: HTTPResponse) -> String {
    guard case .bytes(let bytes) = response.body else { return "" }
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test("A dimension that no read model has is counted from the log")
  func device() async throws {
    fill()
    let response = try await service().query(
      post(
        #"{"metrics":["impressions","clicks","ctr","uniques"],"dimensions":["device"],"#
          + #""date_range":"24h","order_by":[["clicks","desc"]]}"#))
    #expect(response.status == .ok)
    let text = text(response)
    #expect(
      text.hasPrefix(
        #"{"results":[{"dimensions":["desktop"],"metrics":[5,5,1,5],"intervals":{"ctr":[0.620623,1]}},"#
          + #"{"dimensions":["mobile"],"metrics":[10,0,0,5],"intervals":{"ctr":[0,0.217196]}}],"#
          + #""meta":{"position":"1~0.10~1.10","#),
      "\(text)")
    for part in [
      #""scanned":true"#, #""frames_read":20"#, #""events_read":20"#, #""other_share":0"#,
      #""as_known_at":null"#, #""row_count":2"#, #""final":false"#,
    ] { #expect(text.contains(part), "\(part)") }
  }

  @Test("Payloads, names, filters, buckets and hours of the week in a zone")
  func rows() async throws {
    fill()
    let service = try service()
    let tables: [(query: String, results: String)] = [
      (
        #""metrics":["events"],"dimensions":["country"],"filters":[["is","device",["mobile"]]]"#,
        #"{"dimensions":["DE"],"metrics":[5]},{"dimensions":["FR"],"metrics":[5]}"#
      ),
      (
        #""metrics":["events"],"dimensions":["event"],"filters":[["is_not","campaign",["c1"]]]"#,
        #"{"dimensions":["Opened"],"metrics":[2]},{"dimensions":["Seen"],"metrics":[8]}"#
      ),
      (
        #""metrics":["clicks"],"dimensions":["time:hour","device"],"filters":[["and",[["contains","campaign",["0"]]]]]"#,
        #"{"dimensions":["2026-11-01T00:00:00Z","desktop"],"metrics":[5]}"#
      ),
      (
        #""metrics":["impressions"],"dimensions":["hour_of_week"],"timezone":"Asia/Tokyo""#,
        #"{"dimensions":["7-09"],"metrics":[15]}"#
      ),
      (
        #""metrics":["top_contents","dwell_p50"]"#,
        #"{"dimensions":[],"metrics":[{"top":[{"value":"","count":20,"error":0}],"certain":true},null]}"#
      ),
      (
        #""metrics":["clicks"],"scan":true,"dimensions":["campaign"],"limit":1,"offset":1"#,
        #"{"dimensions":["c1"],"metrics":[0]}"#
      ),
      (
        #""metrics":["uniques"],"filters":[["is","country",["XX"]]]"#,
        #"{"dimensions":[],"metrics":[0]}"#
      ),
    ]
    for (query, results) in tables {
      let response = try await service.query(
        post(#"{"date_range":["2026-11-01","2026-11-02"],\#(query)}"#))
      #expect(text(response).hasPrefix(#"{"results":[\#(results)],"meta""#), "\(text(response))")
    }
  }

  @Test("Each row is compared with the same of the period before, for all that a scan counts")
  func compared() async throws {
    // Of yesterday: one before ten o'clock, one after it, when today is not so far yet.
    for (index, hours) in [20, 3].enumerated() {
      let time = Self.start - Int64(hours) * 3_600_000_000
      log.append(
        IncomingEvent(
          kind: .view, key: Key128(low: UInt64(index), high: 4), person: Key128(low: 1, high: 9),
          eventTime: time, receivedAt: time, dimensions: DimensionTuple(site: "default").encoded,
          id: "y\(index)", name: "Seen", source: "test", payload: Array("{}".utf8)),
        to: "events-00")
    }
    fill()
    let service = try service()
    let tables: [(query: String, results: String)] = [
      (
        #""metrics":["impressions","uniques"],"dimensions":["device"],"date_range":["2026-11-01T00:10:00Z","2026-11-01T00:20:00Z"]"#,
        #"{"dimensions":["desktop"],"metrics":[3,5],"previous":{"metrics":[2,5],"changes":[0.5,0]}},"#
          + #"{"dimensions":["mobile"],"metrics":[5,5],"previous":{"metrics":[5,5],"changes":[0,0]}}"#
      ),
      (
        #""metrics":["clicks"],"scan":true,"dimensions":["time:minute"],"date_range":["2026-11-01T00:11:00Z","2026-11-01T00:13:00Z"]"#,
        #"{"dimensions":["2026-11-01T00:11:00Z"],"metrics":[0],"previous":{"metrics":[0],"changes":[null]}},"#
          + #"{"dimensions":["2026-11-01T00:12:00Z"],"metrics":[1],"previous":{"metrics":[0],"changes":[null]}}"#
      ),
      (
        #""metrics":["events"],"date_range":"day""#,
        #"{"dimensions":[],"metrics":[20],"previous":{"metrics":[1],"changes":[19]}}"#
      ),
    ]
    for (query, results) in tables {
      let response = try await service.query(post(#"{"compare":"previous",\#(query)}"#))
      #expect(text(response).hasPrefix(#"{"results":[\#(results)],"meta""#), "\(text(response))")
      #expect(text(response).contains(#""compare":"previous","previous_date_range":["#))
    }
    let table = try await service.query(
      post(
        #"{"compare":"previous","metrics":["events","ctr"],"date_range":"day","format":"csv"}"#))
    let lines = text(table).split(separator: "\r\n")
    #expect(
      lines.first
        == "events,ctr,ctr_low,ctr_high,events_before,events_change,ctr_before,ctr_before_low,ctr_before_high,ctr_change,ctr_difference_low,ctr_difference_high"
    )
    #expect(lines.last?.hasPrefix("20,") ?? false && lines.last?.contains(",1,19,") ?? false)
    await #expect(throws: Problem.self) {
      try await service.query(
        post(#"{"compare":"previous","metrics":["events"],"date_range":"all"}"#))
    }
  }

  @Test("The most frequent of any dimension are a list, which is rows in CSV")
  func lists() async throws {
    fill()
    let service = try service()
    let range = #""date_range":["2026-11-01","2026-11-02"]"#
    let json = text(
      try await service.query(post(#"{"metrics":["top_events","top_campaigns"],\#(range)}"#)))
    #expect(
      json.hasPrefix(
        #"{"results":[{"dimensions":[],"metrics":[{"top":[{"value":"Seen","count":18,"error":0},"#
          + #"{"value":"Opened","count":2,"error":0}],"certain":true},{"top":[{"value":"c"#),
      "\(json)")
    let tables: [(query: String, table: String)] = [
      (
        #""metrics":["top_events","events"]"#,
        "top_events,top_events_rank,top_events_count,top_events_error,events\r\n"
          + "Seen,1,18,0,20\r\nOpened,2,2,0,20\r\n"
      ),
      (
        #""metrics":["clicks","top_devices"],"dimensions":["campaign"]"#,
        "campaign,clicks,top_devices,top_devices_rank,top_devices_count,top_devices_error\r\n"
          + "c0,5,desktop,1,10,0\r\nc1,0,mobile,1,10,0\r\n"
      ),
      (
        #""metrics":["top_sources"],"compare":"previous""#,
        "top_sources,top_sources_rank,top_sources_count,top_sources_error\r\n,,,\r\n"
      ),
    ]
    for (query, table) in tables {
      let found = text(try await service.query(post(#"{"format":"csv",\#(query),\#(range)}"#)))
      #expect(found == table, "\(query)")
    }
  }

  @Test("CSV is for who asks for it by Accept or by format, apart from JSON of the same question")
  func csv() async throws {
    fill()
    let service = try service()
    let members =
      #""metrics":["impressions","ctr","uniques","dwell_p50"],"dimensions":["time:day","device"],"date_range":"24h""#
    let table =
      "time:day,device,impressions,ctr,ctr_low,ctr_high,uniques,dwell_p50\r\n"
      + "2026-11-01T00:00:00Z,desktop,5,1,0.620623,1,5,\r\n"
      + "2026-11-01T00:00:00Z,mobile,10,0,0,0.217196,5,\r\n"
    let byFormat = try await service.query(post(#"{\#(members),"format":"csv"}"#))
    let json = "{\(members)}"
    let plain = try await service.query(post(json))
    #expect(text(plain).hasPrefix(#"{"results":["#))
    let byHeader = try await service.query(
      HTTPRequest(
        method: .post, path: "/v1/query", headers: [("Accept", "text/csv")],
        body: Array(json.utf8)))
    for response in [byFormat, byHeader] {
      #expect(text(response) == table)
      for header in ["Position: 1~0.10~1.10", "Final: false", "Row-Count: 2", "Other-Share: 0"] {
        #expect(
          response.headers.contains { "\($0.name): \($0.value)" == "SmartContent-\(header)" },
          "\(header) in \(response.headers)")
      }
      #expect(
        response.headers.contains {
          $0.name == "Content-Type" && $0.value.hasPrefix("text/csv")
        })
    }
  }

  @Test("Who was erased counts in no answer, as known before neither; what comes later does")
  func erased() async throws {
    fill()
    var erasures = PersonErasures()
    // Persons 2 and 3: of the latter three events, the last of them afterwards.
    erasures.note(Key128(low: 2, high: 9), at: Self.now)
    erasures.note(Key128(low: 3, high: 9), at: Self.start + 18 * 60_000_000)
    let service = try service(erasures: erasures)
    for (members, results) in [
      ("", #"[{"dimensions":[],"metrics":[13,4]}]"#),
      (#","as_known_at":"2026-11-01T00:09:00Z""#, #"[{"dimensions":[],"metrics":[6,3]}]"#),
    ] {
      let answer = text(
        try await service.query(
          post(#"{"metrics":["events","uniques"],"date_range":"24h","scan":true\#(members)}"#)))
      #expect(answer.hasPrefix(#"{"results":\#(results),"#), "\(answer)")
    }
  }

  @Test("As known at a time, what was stored later is left out")
  func knownAt() async throws {
    fill()
    let response = try await service().query(
      post(
        #"{"metrics":["impressions","clicks"],"date_range":"24h","as_known_at":"2026-11-01T00:09:00Z"}"#
      ))
    #expect(
      text(response).hasPrefix(
        #"{"results":[{"dimensions":[],"metrics":[7,3]}],"meta":{"position":"1~0.5~1.5""#),
      "\(text(response))")
    #expect(text(response).contains(#""as_known_at":"2026-11-01T00:09:00Z""#))
  }

  @Test("What takes longer has an address, where progress and then the answer are")
  func address() async throws {
    fill()
    log.isAway = true
    let service = try service()
    let query = #"{"metrics":["uniques"],"date_range":"24h"}"#
    let response = try await service.query(post(query, query: "wait=0"))
    #expect(response.status == .accepted)
    let location = try #require(response.headers.first { $0.name == "Location" }?.value)
    let id = String(location.dropFirst("/v1/scans/".count))
    // Its thread may not have begun yet.
    let beginnings = ["waiting", "running"].map {
      #"{"scan":"\#(id)","state":"\#($0)","progress":0"#
    }
    #expect(beginnings.contains { text(response).hasPrefix($0) }, "\(text(response))")
    func get(_ wait: String) async throws -> HTTPResponse {
      try await service.scan(
        HTTPRequest(method: .get, path: location, query: wait, parameters: ["id": id]))
    }
    #expect(try await get("").status == .accepted)
    log.isAway = false
    let answer = try await get("wait=30")
    #expect(answer.status == .ok)
    #expect(text(answer).hasPrefix(#"{"results":[{"dimensions":[],"metrics":[5]}]"#))
    // The same question is answered at once from now on.
    #expect(text(try await service.query(post(query, query: "wait=0"))) == text(answer))
  }

  @Test("A cancelled scan is told to all who ask for it; an unknown one is a 404")
  func cancelled() async throws {
    fill()
    log.isAway = true
    let service = try service()
    let response = try await service.query(
      post(#"{"metrics":["uniques"],"date_range":"24h"}"#, query: "wait=0"))
    let location = response.headers.first { $0.name == "Location" }?.value ?? ""
    let id = String(location.dropFirst("/v1/scans/".count))
    let gone = try await service.cancelScan(
      HTTPRequest(method: .delete, path: location, parameters: ["id": id]))
    #expect(text(gone) == #"{"scan":"\#(id)","state":"cancelled"}"#)
    let problem = await #expect(throws: Problem.self) {
      try await service.scan(HTTPRequest(method: .get, path: location, parameters: ["id": id]))
    }
    #expect(problem?.status == .conflict && problem?.code == "scan_cancelled")
    let unknown = await #expect(throws: Problem.self) {
      try await service.scan(
        HTTPRequest(method: .get, path: "/v1/scans/x", parameters: ["id": "x"]))
    }
    #expect(unknown?.status == .notFound && unknown?.code == "unknown_scan")
  }

  @Test("A wrong question says what is wrong, where, and what is allowed")
  func wrong() async throws {
    let service = try service()
    let tables: [(query: String, code: String, path: String)] = [
      (#""metrics":["uniques","nothing"]"#, "unknown_metric", "$.metrics[1]"),
      (#""metrics":["uniques","sessions"]"#, "unknown_metric", "$.metrics[1]"),
      (#""metrics":["uniques"],"dimensions":["planet"]"#, "unknown_dimension", "$.dimensions[0]"),
      (
        #""metrics":["uniques"],"filters":[["is","planet",["x"]]]"#, "unknown_dimension",
        "$.filters[0][1]"
      ),
      (
        #""metrics":["uniques"],"filters":[["is","device",[]]]"#, "invalid_value", "$.filters[0][2]"
      ),
      (#""metrics":["uniques"],"order_by":[["clicks","desc"]]"#, "invalid_value", "$.order_by[0]"),
      (
        #""metrics":["top_contents"],"order_by":[["top_contents","desc"]]"#, "invalid_value",
        "$.order_by[0]"
      ),
      (#""metrics":["uniques"],"as_known_at":"soon""#, "invalid_value", "$.as_known_at"),
      (
        #""metrics":["uniques"],"as_known_at":"2027-01-01T00:00:00Z""#, "invalid_value",
        "$.as_known_at"
      ),
      (#""metrics":["clicks"],"scan":1"#, "invalid_value", "$.scan"),
      (
        #""metrics":["top_countries","uniques","top_contents"],"format":"csv""#, "invalid_value",
        "$.metrics[2]"
      ),
      (#""metrics":["uniques"],"format":"xml""#, "invalid_value", "$.format"),
      (#""metrics":["uniques"],"compare":"next""#, "invalid_value", "$.compare"),
      (#""metrics":["uniques"],"timezone":"Mars""#, "unknown_timezone", "$.timezone"),
    ]
    for (query, code, path) in tables {
      let problem = await #expect(throws: Problem.self) {
        try await service.query(post(#"{"date_range":"24h",\#(query)}"#))
      }
      #expect(problem?.code == code, "\(query)")
      let json = String(decoding: problem?.json ?? [], as: UTF8.self)
      #expect(json.contains(path), "\(json)")
    }
    let wait = await #expect(throws: Problem.self) {
      try await service.query(
        post(#"{"metrics":["uniques"],"date_range":"24h"}"#, query: "wait=100000"))
    }
    #expect(wait?.code == "invalid_value")
  }

  @Test("A log that is away is a 503 that names no server; without one scans are not served")
  func away() async throws {
    let query = post(#"{"metrics":["uniques"],"date_range":"24h"}"#)
    let problem = await #expect(throws: Problem.self) {
      try await service(logIsAway: true).query(query)
    }
    #expect(problem?.status == .serviceUnavailable && problem?.code == "log_unavailable")
    #expect(problem?.detail.contains("secret") == false)
    let view = SimulatedView(partitions: [SimulatedPartition(events: [])]).executor.view
    let without = QueryService(
      views: [ReadViewSource(view)], registry: MetricRegistry(), limits: QueryRoutes.Limits(),
      logHeads: nil, clock: { Self.now })
    let none = await #expect(throws: Problem.self) { try await without.query(query) }
    #expect(none?.code == "scans_not_served")
  }
}
