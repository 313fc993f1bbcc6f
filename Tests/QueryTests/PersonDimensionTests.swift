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

/// Questions about persons by dimensions that only the log has, beside the period before, and in shares.
@Suite struct PersonDimensionTests {
  private let log = MemoryEventLog()
  /// 2026-11-09T00:00:00Z, a Monday.
  private static let start: Int64 = 1_794_182_400_000_000
  private static let minute: Int64 = 60_000_000
  private static let day: Int64 = 86_400_000_000
  private static let streams = ["events-00", "events-01"]

  private var source: ScannedLog {
    ScannedLog(
      spec: PipelineSpec(name: "default"),
      generations: [LogGeneration(number: 1, streams: Self.streams)], log: log)
  }

  private func service() -> QueryService {
    let view = SimulatedView(partitions: [SimulatedPartition(events: [])]).executor.view
    let table = ScanTable(
      limits: ScanTable.Limits(threadCount: 2), registry: MetricRegistry(),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let source = source
    return QueryService(
      views: [ReadViewSource(view)], registry: MetricRegistry(), limits: QueryRoutes.Limits(),
      logHeads: nil,
      scans: ScanSource(table: table) { _ throws(ScanError) in source },
      clock: { Self.start + 30 * Self.day })
  }

  private static func person(_ number: UInt64) -> Key128 { Key128(low: number, high: 9) }

  /// What a device does at a time after the start, in a frame of its own. Times rise within a stream.
  private func put(
    _ kind: EventKind, _ device: UInt64, at time: Int64, country: String = "DE",
    agent: String = "Chrome 126/Windows/desktop", user: UInt64? = nil, revenue: Int64 = 0,
    payload: String? = nil
  ) {
    log.append(
      IncomingEvent(
        kind: kind,
        key: Key128(low: UInt64(bitPattern: time &* 31) &+ device, high: UInt64(kind.rawValue)),
        person: Self.person(device), user: user.map { Self.person(100 + $0) } ?? .zero,
        eventTime: Self.start + time, receivedAt: Self.start + time,
        dimensions: DimensionTuple(
          site: "default", campaign: "spring", content: "p", currency: revenue == 0 ? "" : "EUR"
        ).encoded, revenueMicros: revenue, id: "\(time) \(device)", name: "name", source: "test",
        payload: Array((payload ?? #"{"country":"\#(country)"}"#).utf8), agent: agent),
      to: Self.streams[Int(device % 2)])
  }

  private func ask(
    _ kind: PersonRequest.Kind, _ members: String, format: String = "csv"
  ) async throws -> String {
    let json =
      #"{"date_range":["2026-11-09","2026-11-15"],"format":"\#(format)",\#(members)}"#
    let response = try await service().persons(
      kind,
      HTTPRequest(
        method: .post, path: "/v1/\(kind.rawValue)", query: "wait=30", body: Array(json.utf8)))
    guard case .bytes(let bytes) = response.body else { return "" }
    #expect(response.status == .ok)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Rows of a table, the columns that are asked for joined by blanks.
  private func rows(_ table: String, _ columns: String...) -> [String] {
    let lines = table.split(separator: "\r\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false)
    }
    let places = columns.map { column in lines.first?.firstIndex { $0 == column } }
    return lines.dropFirst().map { line in
      places.map { $0.map { String(line[$0]) } ?? "?" }.joined(separator: " ")
    }
  }

  private static let phone = "Safari 17/iOS/mobile"

  @Test("Steps are filtered and told apart by device, country, source and hour of the week")
  func dimensions() async throws {
    put(.impression, 1, at: 0, country: "DE")
    put(.click, 1, at: Self.minute, country: "FR")
    put(.impression, 2, at: 0, country: "FR", agent: Self.phone)
    put(.click, 2, at: 90 * Self.minute, agent: Self.phone)
    put(.impression, 3, at: 2 * Self.minute, agent: Self.phone)
    put(.click, 3, at: 3 * Self.minute, agent: Self.phone, payload: #"{"utm_source":"mail"}"#)
    let steps = #""steps":[{"kind":"impression"},{"kind":"click"}],"within":"2h""#
    let byBoth = try await ask(.funnels, #"\#(steps),"by":["device","country"]"#)
    #expect(
      rows(byBoth, "device", "country", "step", "persons") == [
        "desktop DE 1 1", "desktop DE 2 1", "mobile DE 1 1", "mobile DE 2 1", "mobile FR 1 1",
        "mobile FR 2 1",
      ])
    let filtered = try await ask(
      .funnels, #"\#(steps),"filters":[["is","device",["mobile"]]],"by":"hour_of_week""#)
    #expect(
      rows(filtered, "hour_of_week", "step", "persons") == ["1-00 1 2", "1-00 2 2"])
    let mailed = try await ask(
      .funnels,
      #""steps":[{"kind":"impression"},{"kind":"click","filters":[["is","source",["mail"]]]}],"within":"2h""#
    )
    #expect(rows(mailed, "step", "persons") == ["1 3", "2 1"])
    let retained = try await ask(
      .retention,
      #""begin":{"kind":"impression"},"return":{"kind":"click"},"period":"day","by":"device","limit":1"#
    )
    #expect(rows(retained, "device", "persons", "returned").first == "mobile 2 2")
    #expect(rows(retained, "device").allSatisfy { $0 == "mobile" })
    let credited = try await ask(
      .attribution,
      #""touches":{"kind":"impression"},"conversions":{"kind":"click"},"by":["device","country"]"#)
    #expect(
      rows(credited, "device", "country", "conversions") == [
        "desktop DE 1", "mobile DE 1", "mobile FR 1", "  0",
      ])
  }

  @Test("By segment a person counts for each that it was in then; filters on segments hold")
  func segments() async throws {
    func change(
      _ segment: String, _ change: String, _ number: Int, of device: UInt64, at time: Int64
    ) {
      put(
        .segment, device, at: time,
        payload: #"{"segment":"\#(segment)","change":"\#(change)","number":\#(number)}"#)
    }
    change("loyal", "entered", 1, of: 1, at: -Self.day)
    change("customer", "entered", 1, of: 1, at: -Self.day + 1)
    put(.impression, 1, at: 0)
    put(.click, 1, at: Self.minute)
    change("customer", "left", 2, of: 1, at: 2 * Self.minute)
    put(.impression, 2, at: 0)
    put(.impression, 1, at: 3 * Self.minute)
    let steps = #""steps":[{"kind":"impression"},{"kind":"click"}],"within":"2h""#
    let bySegment = try await ask(.funnels, #"\#(steps),"by":"segment""#)
    #expect(
      rows(bySegment, "segment", "step", "persons") == [
        " 1 1", " 2 0", "customer 1 1", "customer 2 1", "loyal 1 1", "loyal 2 1",
      ])
    let customers = try await ask(
      .sessions, #""filters":[["is","segment",["customer"]]],"by":"campaign""#, format: "json")
    #expect(customers.contains(#"{"campaign":"spring","sessions":1,"#))
    #expect(customers.contains(#""passes":2,"#))
    let scanned = try await service().query(
      HTTPRequest(
        method: .post, path: "/v1/query", query: "wait=30",
        body: Array(
          (#"{"metrics":["impressions","clicks","top_segments"],"dimensions":["segment"],"#
            + #""date_range":["2026-11-09","2026-11-15"]}"#).utf8)))
    guard case .bytes(let bytes) = scanned.body else { return }
    let text = String(decoding: bytes, as: UTF8.self)
    #expect(
      text.hasPrefix(
        #"{"results":[{"dimensions":[""],"metrics":[1,0,{"top":[],"certain":true}]},"#
          + #"{"dimensions":["customer"],"metrics":[1,1,{"#), "\(text)")
    #expect(text.contains(#"{"dimensions":["loyal"],"metrics":[2,1,{"#), "\(text)")
  }

  @Test("Sessions have their number, bounces and lengths, by what they begin with")
  func sessions() async throws {
    put(.view, 1, at: 0)
    put(.click, 1, at: 10 * Self.minute, country: "FR")
    put(.view, 1, at: 60 * Self.minute, country: "FR")
    put(.view, 2, at: 5 * Self.minute)
    put(.custom, 2, at: 6 * Self.minute)
    // Moves time on in both streams, outside of the range.
    for device in [1, 2] as [UInt64] { put(.view, device, at: 20 * Self.day, country: "XX") }
    let table = try await ask(.sessions, #""by":"country""#)
    #expect(
      rows(
        table, "country", "sessions", "open", "bounces", "bounce_rate", "events_per_session",
        "session_duration") == ["DE 2 0 1 0.5 1.5 300", "FR 1 0 1 1 1 0"])
    let whole = try await ask(.sessions, #""filters":[["is","country",["FR"]]]"#)
    #expect(rows(whole, "sessions", "bounces", "duration_p50") == ["1 1 0"])
    let nobody = try await ask(.sessions, #""filters":[["is","country",["IT"]]]"#)
    #expect(rows(nobody, "sessions", "bounce_rate", "session_duration") == ["0  "])
  }

  @Test("Each is beside the same of the period before, as that alone is answered")
  func compared() async throws {
    put(.impression, 1, at: -7 * Self.day)
    put(.click, 1, at: -7 * Self.day + Self.minute)
    put(.conversion, 1, at: -7 * Self.day + 2 * Self.minute, revenue: 1_000_000)
    put(.impression, 2, at: -5 * Self.day, agent: Self.phone)
    for device in [1, 2, 3, 4] as [UInt64] { put(.impression, device, at: 0) }
    put(.click, 1, at: Self.minute)
    put(.click, 2, at: Self.minute)
    put(.click, 3, at: Self.minute)
    put(.conversion, 1, at: 2 * Self.minute, revenue: 1_000_000)
    put(.conversion, 2, at: 2 * Self.minute, revenue: 1_000_000)
    let compare = #","compare":"previous""#
    let funnel = try await ask(
      .funnels,
      #""steps":[{"kind":"impression"},{"kind":"click"}],"within":"2h","by":"device"\#(compare)"#)
    #expect(
      rows(
        funnel, "device", "step", "persons", "persons_before", "persons_change", "from_start_before"
      )
        == ["desktop 1 4 1 3 1", "desktop 2 3 1 2 1"])
    let credit = try await ask(.attribution, #""model":"linear"\#(compare)"#)
    #expect(
      rows(credit, "content", "conversions", "conversions_before", "conversions_change")
        == ["p 2 1 1", " 0 0 "])
    let sessions = try await ask(.sessions, String(compare.dropFirst()))
    #expect(rows(sessions, "sessions", "sessions_before", "sessions_change") == ["4 2 1"])
    let retention = try await ask(
      .retention,
      #""begin":{"kind":"impression"},"return":{"kind":"click"},"period":"day"\#(compare)"#)
    #expect(
      rows(retention, "period", "persons", "returned", "persons_before", "returned_before").first
        == "1 4 3 1 1")
    let json = try await ask(
      .funnels, #""steps":[{"kind":"impression"},{"kind":"click"}],"within":"2h"\#(compare)"#,
      format: "json")
    #expect(
      json.contains(
        #""previous":{"open":0,"steps":[{"name":"impression","optional":false,"persons":2,"#))
    #expect(json.contains(#""changes":[1,2],"differences":["#), "\(json)")
    #expect(json.contains(#""compare":"previous","previous_date_range":["2026-11-02T00:00:00Z","#))
    // What is compared is what the period before is alone.
    let alone = try await service().persons(
      .attribution,
      HTTPRequest(
        method: .post, path: "/v1/attribution", query: "wait=30",
        body: Array(
          #"{"date_range":["2026-11-02","2026-11-08"],"model":"linear","format":"csv"}"#.utf8)))
    guard case .bytes(let bytes) = alone.body else { return }
    #expect(
      rows(String(decoding: bytes, as: UTF8.self), "content", "conversions", "revenue_EUR")
        == ["p 1 1", " 0 0"])
  }

  @Test(
    "Where not all persons find room at once the log is read again, and the numbers are the same")
  func shares() throws {
    for device in 1...40 as ClosedRange<UInt64> {
      let user = device % 3 == 0 ? device / 6 : nil
      put(.impression, device, at: Int64(device) * 10_000_000)
      put(.click, device, at: Int64(device) * 10_000_000 + 1_000_000, user: user)
      put(
        .conversion, device, at: Int64(device) * 10_000_000 + 2_000_000, user: user,
        revenue: Int64(device) * 10_000)
    }
    let question = PersonQuestion(
      site: "default", times: .min..<Int64.max,
      selectors: [
        TouchSelector(kinds: [.click, .impression]), TouchSelector(kinds: [.conversion]),
      ],
      dimensions: [.device], policy: PersonPolicy())
    func read(_ bytesMax: Int) throws -> PersonReading<Attribution> {
      let control = ScanControl()
      let scan = LogScan(source, try source.extent(), control: control, threadCount: 2)
      return try scan.persons(question, segments: .none, bytesMax: bytesMax) { _ in
        Attribution(
          Attribution.Question(model: .linear, lookBack: Self.day, times: .min..<Int64.max))
      }
    }
    let whole = try read(1 << 20)
    #expect(whole.passes == 1 && whole.fold.attributed.conversions == 40)
    for bytes in [12_000, 6_000, 3_000] {
      let shared = try read(bytes)
      #expect(shared.passes > 2, "\(bytes)")
      #expect(shared.people.persons == whole.people.persons)
      #expect(shared.people.values == whole.people.values)
      #expect(
        shared.fold.credits == whole.fold.credits && shared.fold.attributed == whole.fold.attributed
      )
    }
    #expect(throws: ScanError.self) { _ = try read(10) }
  }
}
