import Events
import HTTPServer
import Testing
import Views

@testable import QueryAPI

/// Every dimension with every metric, asked of the API: two visitors differ in all of them, so whatever they are told
/// apart by, the numbers are those of each alone.
@Suite("Any metric by any combination of dimensions")
struct CombinationTests {
  /// 2026-11-09T10:00:00Z, a Monday.
  private static let ten: Int64 = 1_794_218_400_000_000
  private static let minute: Int64 = 60_000_000
  private static let range = #""date_range":["2026-11-09","2026-11-09"],"traffic":"all""#

  /// What the two have of each dimension.
  private static let dimensions: [(name: String, first: String, second: String)] = [
    ("campaign", "spring", "autumn"), ("content", "x", "y"), ("variant", "a", "b"),
    ("channel", "mail", "web"), ("traffic", "", "bot"), ("segment", "loyal", ""),
    ("country", "DE", "FR"), ("device", "desktop", "mobile"), ("browser", "Chrome", "Safari"),
    ("system", "Windows", "iOS"), ("source", "news", "ads"), ("medium", "letter", "cpc"),
    ("referrer", "r.example", "s.example"), ("property:plan", "pro", "free"),
    ("hour_of_week", "1-10", "1-11"),
    ("time:hour", "2026-11-09T10:00:00Z", "2026-11-09T11:00:00Z"),
  ]

  /// Of scans: metric, the first one's, the second one's.
  private static let metrics: [(name: String, first: String, second: String)] = [
    ("impressions", "2", "1"), ("views", "1", "1"), ("clicks", "1", "0"), ("ctr", "0.5", "0"),
    ("engagements", "1", "0"), ("engagement_rate", "1", "0"), ("conversions", "1", "0"),
    ("conversion_rate", "1", "null"), ("revenue", #"{"EUR":2}"#, "{}"),
    ("events", "6", "2"),
    ("uniques", "1", "1"), ("dwell_p50", "30", "null"), ("scroll_p90", "80", "null"),
    (
      "top_contents", #"{"top":[{"value":"x","count":6,"error":0}],"certain":true}"#,
      #"{"top":[{"value":"y","count":2,"error":0}],"certain":true}"#
    ),
    (
      "top_referrers", #"{"top":[{"value":"r.example","count":6,"error":0}],"certain":true}"#,
      #"{"top":[{"value":"s.example","count":2,"error":0}],"certain":true}"#
    ),
  ]

  private let api: LoggedService

  init() {
    let stage = SimulatedSecondStage(
      partitions: 1, times: (0..<10).map { Self.ten + $0 * Self.minute })
    stage.set(activity: (10, 10), outcomes: (10, 10))
    api = LoggedService(view: stage, now: Self.ten + 240 * Self.minute)
    func first(_ kind: EventKind, _ minute: Int64, _ more: String = "", revenue: Int64 = 0) {
      api.put(
        kind, 1, at: Self.ten + minute * Self.minute,
        tuple: DimensionTuple(
          site: "default", campaign: "spring", content: "x", variant: "a", channel: "mail",
          currency: revenue == 0 ? "" : "EUR"),
        payload:
          #"{"country":"DE","utm_source":"news","utm_medium":"letter","ref":"https://r.example/","plan":"pro"\#(more)}"#,
        agent: "Chrome 126/Windows/desktop", revenue: revenue)
    }
    func second(_ kind: EventKind, _ minute: Int64) {
      api.put(
        kind, 2, at: Self.ten + minute * Self.minute,
        tuple: DimensionTuple(
          site: "default", campaign: "autumn", content: "y", variant: "b", channel: "web",
          traffic: "bot"),
        payload:
          #"{"country":"FR","utm_source":"ads","utm_medium":"cpc","ref":"https://s.example/","plan":"free"}"#,
        agent: "Safari 17/iOS/mobile")
    }
    api.put(
      .segment, 1, at: Self.ten - 1_440 * Self.minute,
      payload: #"{"segment":"loyal","change":"entered","number":1}"#)
    first(.view, 0)
    first(.impression, 1)
    first(.impression, 2)
    first(.click, 3)
    first(.engagement, 4, #","dw":30000,"sd":80"#)
    first(.conversion, 5, revenue: 2_000_000)
    second(.view, 61)
    second(.impression, 62)
  }

  /// Rows as they are written, in order of their values.
  private func rows(_ text: String) throws -> [String] {
    guard case .object(let members) = try JSONValue(parsing: Array(text.utf8)),
      case .array(let rows)? = members.first(where: { $0.name == "results" })?.value
    else { return [] }
    return rows.compactMap { row in
      guard case .object(let members) = row,
        case .array(let values)? = members.first(where: { $0.name == "dimensions" })?.value
      else { return nil }
      return values.map { if case .string(let text) = $0 { text } else { "?" } }
        .joined(separator: "|")
    }.sorted()
  }

  /// Metrics of both, by some dimensions, as the answer has them.
  private func expected(
    _ dimensions: [(name: String, first: String, second: String)],
    _ metrics: [(name: String, first: String, second: String)]
  ) -> [String] {
    func row(_ values: [String], _ metrics: [String]) -> String {
      let texts = values.map { "\"\($0)\"" }.joined(separator: ",")
      return "{\"dimensions\":[\(texts)],\"metrics\":[\(metrics.joined(separator: ","))]"
    }
    // The time bucket comes first.
    let ordered =
      dimensions.filter { $0.name.hasPrefix("time:") }
      + dimensions.filter { !$0.name.hasPrefix("time:") }
    return [
      row(ordered.map(\.first), metrics.map(\.first)),
      row(ordered.map(\.second), metrics.map(\.second)),
    ]
  }

  private func quoted(_ names: [String]) -> String {
    names.map { "\"\($0)\"" }.joined(separator: ",")
  }

  @Test("each metric by each dimension alone")
  func single() async throws {
    for dimension in Self.dimensions {
      for metric in Self.metrics {
        let text = try await api.ask(
          "query",
          #"{"metrics":["\#(metric.name)"],"dimensions":["\#(dimension.name)"],"scan":true,\#(Self.range)}"#
        )
        #expect(try rows(text).count == 2, "\(dimension.name): \(text)")
        for row in expected([dimension], [metric]) {
          #expect(text.contains(row), "\(metric.name) by \(dimension.name): \(text)")
        }
      }
    }
  }

  @Test("all metrics by each two dimensions, and by all of them")
  func several() async throws {
    var combinations = Self.dimensions.indices.flatMap { first in
      Self.dimensions.indices.filter { $0 > first }.map {
        [Self.dimensions[first], Self.dimensions[$0]]
      }
    }
    combinations.append(Self.dimensions)
    for dimensions in combinations {
      let text = try await api.ask(
        "query",
        #"{"metrics":[\#(quoted(Self.metrics.map(\.name)))],"dimensions":[\#(quoted(dimensions.map(\.name)))],"scan":true,\#(Self.range)}"#
      )
      #expect(try rows(text).count == 2)
      for row in expected(dimensions, Self.metrics) {
        #expect(text.contains(row), "\(dimensions.map(\.name)): \(text)")
      }
    }
  }

  @Test("each filter and each alternative of two filters chooses one of them")
  func filtered() async throws {
    let filterable = Self.dimensions.filter { !$0.name.hasPrefix("time:") }
    let metrics = #""metrics":[\#(quoted(Self.metrics.map(\.name)))]"#
    for (place, dimension) in filterable.enumerated() {
      let other = filterable[(place + 1) % filterable.count]
      for (filters, row) in [
        (#"["is","\#(dimension.name)",["\#(dimension.first)"]]"#, 0),
        (#"["is_not","\#(dimension.name)",["\#(dimension.first)"]]"#, 1),
        (
          #"["or",[["is","\#(dimension.name)",["\#(dimension.second)"]],["is","\#(other.name)",["?"]]]]"#,
          1
        ),
        (
          #"["or",[["is","\#(dimension.name)",["?"]],["is","\#(other.name)",["\#(other.first)"]]]]"#,
          0
        ),
      ] {
        let text = try await api.ask(
          "query", #"{\#(metrics),"scan":true,"filters":[\#(filters)],\#(Self.range)}"#)
        let wanted = expected([], Self.metrics)[row]
        #expect(text.contains(wanted), "\(filters): \(text)")
      }
    }
  }

  @Test(
    "what only read models have comes by their dimensions, else the address that answers it is told"
  )
  func outcomes() async throws {
    let ofRows = ["campaign", "content", "variant", "channel", "traffic", "time:hour"]
    for (metrics, route, body) in [
      (["sessions", "bounces", "bounce_rate", "session_duration"], "sessions", ""),
      (
        [
          "attributed_clicks", "attributed_conversions", "attributed_conversion_rate",
          "attributed_revenue",
        ],
        "attribution", ""
      ),
    ] {
      for dimension in Self.dimensions {
        let question =
          #"{"metrics":[\#(quoted(metrics))],"dimensions":["\#(dimension.name)"],\#(Self.range)}"#
        if ofRows.contains(dimension.name) {
          let text = try await api.ask("query", question)
          #expect(try !rows(text).isEmpty && !text.contains("scanned"), "\(text)")
          continue
        }
        let problem = await #expect(throws: Problem.self) {
          _ = try await api.ask("query", question)
        }
        #expect(problem?.code == "unknown_metric")
        #expect(problem?.detail.contains("POST /v1/\(route)") ?? false, "\(problem?.detail ?? "")")
        // What it says to do has an answer.
        let text = try await api.ask(route, #"{"by":"\#(dimension.name)",\#(Self.range)\#(body)}"#)
        #expect(text.contains(#""results":[{"#), "\(text)")
      }
    }
  }

  @Test("persons' questions by each dimension, and by each two")
  func persons() async throws {
    let steps = #""steps":[{"kind":"view"},{"kind":"click"}],"within":"1h""#
    let returns = #""begin":{"kind":"view"},"return":{"kind":"click"},"period":"day""#
    let touches = #""touches":{"kind":"view"},"conversions":{"kinds":["click","impression"]}"#
    var combinations = Self.dimensions.map { [$0] }
    for first in Self.dimensions.indices {
      for second in Self.dimensions.indices where second > first {
        combinations.append([Self.dimensions[first], Self.dimensions[second]])
      }
    }
    for dimensions in combinations {
      let by = #""by":[\#(quoted(dimensions.map(\.name)))],"format":"csv",\#(Self.range)"#
      let time = dimensions.filter { $0.name.hasPrefix("time:") }
      let ordered = time + dimensions.filter { !$0.name.hasPrefix("time:") }
      let (first, second) = (
        ordered.map(\.first).joined(separator: " "), ordered.map(\.second).joined(separator: " ")
      )
      func rows(_ table: String, _ columns: String...) -> [String] {
        let names = ordered.map(\.name)
        return LoggedService.rows(table, columns: names + columns).sorted()
      }
      let funnel = try await api.ask("funnels", "{\(steps),\(by)}")
      #expect(
        rows(funnel, "step", "persons")
          == ["\(first) 1 1", "\(first) 2 1", "\(second) 1 1", "\(second) 2 0"].sorted())
      let sessions = try await api.ask("sessions", "{\(by)}")
      #expect(
        rows(sessions, "sessions", "bounces") == ["\(first) 1 0", "\(second) 1 0"].sorted())
      let credit = try await api.ask("attribution", "{\(touches),\(by)}")
      let nobody = ordered.map { _ in "" }.joined(separator: " ")
      #expect(
        rows(credit, "attributed", "conversions")
          == ["\(first) true 3", "\(second) true 1", "\(nobody) false 0"].sorted(), "\(credit)")
      guard time.isEmpty else {
        let problem = await #expect(throws: Problem.self) {
          _ = try await api.ask("retention", "{\(returns),\(by)}")
        }
        #expect(problem?.detail.contains("`period`") ?? false)
        continue
      }
      let retention = try await api.ask("retention", "{\(returns),\(by)}")
      #expect(
        rows(retention, "persons", "returned") == ["\(first) 1 1", "\(second) 1 0"].sorted())
    }
  }
}
