import Analyses
import Dataflow
import Events
import HTTPServer
import LogScans
import Logging
import MemoryPorts
import Metrics
import Testing
import Views

@testable import QueryAPI

/// Funnels, retention and attribution through the routes' handlers, on a log in memory.
@Suite struct PersonRoutesTests {
  private let log = MemoryEventLog()
  /// 2026-11-02T00:00:00Z, a Monday.
  private static let start: Int64 = 1_793_577_600_000_000
  private static let minute: Int64 = 60_000_000
  private static let day: Int64 = 86_400_000_000

  private func service() -> QueryService {
    let view = SimulatedView(partitions: [SimulatedPartition(events: [])]).executor.view
    let table = ScanTable(
      limits: ScanTable.Limits(threadCount: 2), registry: MetricRegistry(),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    return QueryService(
      views: [ReadViewSource(view)], registry: MetricRegistry(), limits: QueryRoutes.Limits(),
      logHeads: nil,
      scans: ScanSource(table: table) { [log] name throws(ScanError) in
        ScannedLog(
          spec: PipelineSpec(name: name),
          generations: [LogGeneration(number: 1, streams: ["events-00", "events-01"])], log: log)
      }, clock: { Self.start + 30 * Self.day })
  }

  private static func person(_ number: UInt64) -> Key128 { Key128(low: number, high: 9) }

  /// What a device does at a time, each in a frame of its own.
  private func put(
    _ kind: EventKind, _ device: UInt64, at time: Int64, content: String = "p", user: UInt64? = nil,
    revenue: Int64 = 0, name: String = "name"
  ) {
    log.append(
      IncomingEvent(
        kind: kind,
        key: Key128(low: UInt64(bitPattern: time &* 31) &+ device, high: UInt64(kind.rawValue)),
        person: Self.person(device), user: user.map { Self.person(100 + $0) } ?? .zero,
        eventTime: Self.start + time, receivedAt: Self.start + time,
        dimensions: DimensionTuple(
          site: "default", campaign: "spring", content: content,
          currency: revenue == 0 ? "" : "EUR"
        ).encoded, revenueMicros: revenue, id: "\(time) \(device)", name: name, source: "test",
        payload: Array("{}".utf8)), to: "events-0\(device % 2)")
  }

  private func ask(
    _ kind: PersonRequest.Kind, _ members: String
  ) async throws -> String {
    let json = #"{"date_range":["2026-11-02","2026-11-15"],\#(members)}"#
    let response = try await service().persons(
      kind,
      HTTPRequest(
        method: .post, path: "/v1/\(kind.rawValue)", query: "wait=30", body: Array(json.utf8)))
    guard case .bytes(let bytes) = response.body else { return "" }
    #expect(response.status == .ok)
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test("a funnel follows persons over the devices that they sign in on")
  func funnel() async throws {
    put(.impression, 1, at: 0)
    put(.click, 1, at: Self.minute)
    // Device 2 is of the same user once she signs in.
    put(.identify, 1, at: 2 * Self.minute, user: 7)
    put(.conversion, 2, at: 11 * Self.minute, user: 7, revenue: 5)
    put(.impression, 3, at: Self.minute)
    put(.click, 3, at: 3 * Self.minute)
    put(.conversion, 3, at: 90 * Self.minute, revenue: 5)
    put(.impression, 4, at: 4 * Self.minute)
    put(.custom, 4, at: 5 * Self.minute, name: "Signed Up")
    for device in [5, 6] as [UInt64] { put(.heartbeatKind, device, at: 20 * Self.day) }
    let text = try await ask(
      .funnels,
      #""steps":[{"kind":"impression"},{"event":"Signed Up","optional":true},{"kind":"click","name":"c"},"#
        + #"{"kind":"conversion"}],"within":"1h","by":"campaign""#)
    #expect(
      text.hasPrefix(
        #"{"results":[{"campaign":"spring","open":0,"steps":["#
          + #"{"name":"impression","optional":false,"persons":3,"from_before":1,"#
          + #""from_before_interval":[0.464417,1],"from_start":1,"from_start_interval":[0.464417,1],"#
          + #""median_seconds":null},"#
          + #"{"name":"Signed Up","optional":true,"persons":1,"from_before":0.333333,"#
          + #""from_before_interval":[0.0387476,0.823264],"#), "\(text)")
    #expect(text.contains(#"{"name":"c","optional":false,"persons":2,"from_before":0.666667,"#))
    #expect(
      text.contains(
        #"{"name":"conversion","optional":false,"persons":1,"from_before":0.5,"#
          + #""from_before_interval":[0.0608303,0.93917],"from_start":0.333333,"#))
    for part in [
      #""final":true"#, #""scanned":true"#, #""persons":3,"left_out":0,"passes":1,"row_count":1"#,
    ] {
      #expect(text.contains(part), "\(part) in \(text)")
    }
  }

  @Test("retention is a triangle of the weeks that have begun")
  func retention() async throws {
    for (device, days) in [(1, [0, 1, 8]), (2, [2, 9]), (3, [8])] as [(UInt64, [Int64])] {
      for day in days { put(.view, device, at: day * Self.day + Self.minute) }
    }
    let text = try await ask(
      .retention, #""begin":{"kind":"view"},"return":{"kinds":["view","click"]},"period":"week""#)
    #expect(
      text.hasPrefix(
        #"{"results":[{"cohort":"2026-11-02T00:00:00Z","persons":2,"periods":["#
          + #"{"returned":1,"final":true,"rate":0.5,"rate_interval":[0.0608303,0.93917]},"#
          + #"{"returned":2,"final":false,"rate":1,"rate_interval":[0.333178,1]}]},"#
          + #"{"cohort":"2026-11-09T00:00:00Z","persons":1,"periods":["#
          + #"{"returned":0,"final":false,"rate":0,"rate_interval":[0,0.853254]}]}],"meta":"#),
      "\(text)")
  }

  @Test("conversions are credited to contents, and what is left is told")
  func attribution() async throws {
    put(.click, 1, at: 0, content: "a")
    put(.impression, 1, at: Self.minute, content: "b")
    put(.click, 1, at: 2 * Self.minute, content: "b")
    put(.conversion, 1, at: 3 * Self.minute, revenue: 1_000_001)
    put(.conversion, 2, at: 3 * Self.minute, revenue: 2_000_000)
    let last = try await ask(.attribution, #""model":"last_touch""#)
    #expect(
      last.hasPrefix(
        #"{"results":[{"dimensions":["b"],"conversions":1,"touched":1,"revenue":{"EUR":1.000001}}],"#
          + #""totals":{"conversions":2,"attributed":1,"attributed_revenue":{"EUR":1.000001},"#
          + #""unattributed":1,"unattributed_revenue":{"EUR":2},"unattributed_share":0.5,"#
          + #""unattributed_share_interval":[0.0608303,0.93917]},"meta":"#), "\(last)")
    let linear = try await ask(
      .attribution,
      #""model":"linear","touches":{"kinds":["click","impression"]},"look_back":"3m","by":"content""#
    )
    #expect(
      linear.hasPrefix(
        #"{"results":[{"dimensions":["b"],"conversions":0.666667,"touched":1,"revenue":{"EUR":0.666668}},"#
          + #"{"dimensions":["a"],"conversions":0.333333,"touched":1,"revenue":{"EUR":0.333333}}],"#
      ),
      "\(linear)")
  }

  @Test("whoever asks another question of the same log gets another answer")
  func questions() async throws {
    put(.click, 1, at: 0, content: "a")
    put(.conversion, 1, at: Self.minute, revenue: 1_000_000)
    put(.click, 3, at: 0, content: "b")
    put(.conversion, 3, at: Self.minute, revenue: 1_000_000)
    let service = service()
    var answers: Set<String> = []
    let questions = [
      "", #","limit":1"#, #","timezone":"Asia/Tokyo""#, #","traffic":"all""#, #","by":"campaign""#,
      #","model":"first_touch""#, #","look_back":"1h""#, #","filters":[["is","content",["a"]]]"#,
      #","as_known_at":"2026-11-02T00:00:30Z""#, #","format":"csv""#,
      #","touches":{"kind":"view"}"#, #","conversions":{"kind":"click"}"#,
    ]
    for members in questions + questions {
      let text = try await Self.text(
        service, .attribution, #"{"date_range":["2026-11-02","2026-11-15"]\#(members)}"#)
      // Which answer it is shows in what is asked for and what is found.
      answers.insert(text)
    }
    #expect(answers.count == questions.count, "\(answers)")
    let one = try await Self.text(
      service, .attribution, #"{"date_range":["2026-11-02","2026-11-15"],"limit":1}"#)
    #expect(!one.contains(#""dimensions":["b"]"#) && one.contains(#""row_count":2"#))
  }

  @Test("each is there as CSV, with what a table has no place for in headers")
  func csv() async throws {
    put(.click, 1, at: 0, content: "a")
    put(.conversion, 1, at: Self.minute, revenue: 1_500_000)
    put(.conversion, 3, at: Self.minute, revenue: 2_000_000)
    let questions: [(PersonRequest.Kind, String, String)] = [
      (
        .funnels,
        #""steps":[{"kind":"click"},{"kind":"conversion"}],"within":"1h","by":"content""#,
        "content,step,name,optional,persons,from_before,from_before_low,from_before_high,"
          + "from_start,from_start_low,from_start_high,median_seconds,open\r\n"
          + "a,1,click,false,1,1,0.146746,1,1,0.146746,1,,0\r\n"
          + "a,2,conversion,false,1,1,0.146746,1,1,0.146746,1,60,0\r\n"
      ),
      (
        .retention,
        #""begin":{"kind":"click"},"return":{"kind":"conversion"},"period":"week""#,
        "cohort,persons,period,returned,rate,rate_low,rate_high\r\n"
          + "2026-11-02T00:00:00Z,1,1,1,1,0.146746,1\r\n"
      ),
      (
        .attribution, #""model":"last_touch""#,
        "content,attributed,conversions,touched,revenue_EUR\r\n"
          + "a,true,1,1,1.5\r\n,false,1,,2\r\n"
      ),
    ]
    for (kind, members, table) in questions {
      let response = try await service().persons(
        kind,
        HTTPRequest(
          method: .post, path: "/v1/\(kind.rawValue)", query: "wait=30",
          headers: [("Accept", "text/csv")],
          body: Array(#"{"date_range":["2026-11-02","2026-11-15"],\#(members)}"#.utf8)))
      guard case .bytes(let bytes) = response.body else { return }
      #expect(String(decoding: bytes, as: UTF8.self) == table)
      for name in ["Position", "Final", "Row-Count"] {
        #expect(response.headers.contains { $0.name == "SmartContent-\(name)" })
      }
    }
  }

  private static func text(
    _ service: QueryService, _ kind: PersonRequest.Kind, _ json: String
  ) async throws -> String {
    let response = try await service.persons(
      kind,
      HTTPRequest(
        method: .post, path: "/v1/\(kind.rawValue)", query: "wait=30", body: Array(json.utf8)))
    guard case .bytes(let bytes) = response.body else { return "" }
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test(
    "what is wrong is said with its place and what is allowed",
    arguments: [
      (.funnels, #""within":"1h""#, "$.steps", "2 to 10 steps"),
      (.funnels, #""steps":[{"kind":"click"},{"kind":"view"}]"#, "$.within", "is needed"),
      (
        .funnels, #""steps":[{"kind":"click"},{"kind":"view"}],"within":"0s""#, "$.within",
        "from a second to 366 days"
      ),
      (
        .funnels, #""steps":[{"kind":"click","optional":true},{"kind":"view"}],"within":"1h""#,
        "$.steps[0].optional", "must be done"
      ),
      (
        .funnels, #""steps":[{"kind":"alias"},{"kind":"view"}],"within":"1h""#, "$.steps[0].kind",
        "kind"
      ),
      (.funnels, #""steps":[{},{"kind":"view"}],"within":"1h""#, "$.steps[0]", "by its kind"),
      (
        .funnels, #""steps":[{"kind":"click","x":1},{"kind":"view"}],"within":"1h""#,
        "$.steps[0].x", "no such"
      ),
      (.retention, #""begin":{"kind":"view"}"#, "$.return", "the event is needed"),
      (
        .retention, #""begin":{"kind":"view"},"return":{"kind":"view"},"period":"10s""#, "$.period",
        "not a period"
      ),
      (.attribution, #""model":"magic""#, "$.model", "not a model"),
      (.attribution, #""half_life":"1d""#, "$.half_life", "only time_decay"),
      (.attribution, #""model":"time_decay""#, "$.half_life", "is needed"),
      (.attribution, #""by":"colour""#, "$.by", "not a dimension"),
      (.retention, #""begin":{"kind":"view"},"return":{"kind":"view"},"by":[]"#, "$.by", "1 to 4"),
      (.sessions, #""by":["device","device"]"#, "$.by[1]", "repeated"),
      (.sessions, #""within":"1h""#, "$.within", "no such member"),
      (.sessions, #""filters":[["is","colour",["x"]]]"#, "$.filters[0][1]", "not a dimension"),
      (
        .attribution, #""touches":{"kind":"click","filters":[["is","colour",["x"]]]}"#,
        "$.touches.filters[0][1]", "not a dimension"
      ),
    ] as [(PersonRequest.Kind, String, String, String)])
  func refusals(kind: PersonRequest.Kind, members: String, path: String, part: String) async throws
  {
    let problem = await #expect(throws: Problem.self) { _ = try await ask(kind, members) }
    #expect(problem?.status == .badRequest)
    let detail = problem?.detail ?? ""
    #expect(detail.hasPrefix(path + ": ") && detail.contains(part), "\(detail)")
  }
}

extension EventKind {
  /// Moves the log's time on and is nobody's step.
  fileprivate static var heartbeatKind: EventKind { .engagement }
}
