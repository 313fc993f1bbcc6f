import Dataflow
import Events
import HTTPServer
import Logging
import Metrics
import Ports
import Testing
import Views

@testable import QueryAPI

@Suite("Queries of sessions, attribution and trends")
struct SecondStageTests {
  private static let start: Int64 = 1_793_491_200_000_000
  private let stage = SimulatedSecondStage(
    partitions: 2, times: (0..<40).map { start + $0 * 1_000_000 })

  private var service: QueryService {
    let now = Self.start + 40_000_000
    let plain = SimulatedView(partitions: [SimulatedPartition(events: [])]).executor.view
    return QueryService(
      views: [
        ReadViewSource(stage.view),
        ReadViewSource(
          ReadView(
            name: "recent", durable: plain.durable, hot: plain.hot, generation: 1,
            partitionCount: 1)),
      ], registry: MetricRegistry(), limits: QueryRoutes.Limits(), logHeads: nil, clock: { now })
  }

  private func text(_ response: HTTPResponse) -> String {
    guard case .bytes(let bytes) = response.body else { return "" }
    return String(decoding: bytes, as: UTF8.self)
  }

  private func query(_ json: String, _ target: String = "") async throws -> String {
    text(
      try await service.query(
        HTTPRequest(
          method: .post, path: "/v1/query", query: target, body: Array(json.utf8))))
  }

  private func get(_ query: String) -> HTTPRequest {
    HTTPRequest(method: .get, path: "/v1/trends", query: query)
  }

  private func problem(_ body: () async throws -> some Sendable) async -> Problem? {
    await #expect(throws: Problem.self) { _ = try await body() }
  }

  @Test("outcomes are answered as far as the second stage has taken in the events")
  func outcomes() async throws {
    stage.set(activity: (20, 30), outcomes: (40, 51))
    let answer = try await query(
      #"{"metrics":["sessions"],"dimensions":["campaign"],"date_range":"all"}"#)
    #expect(
      answer.hasPrefix(
        #"{"results":[{"dimensions":["spring"],"metrics":[51]}],"meta":{"position":"1~0.26~1.25","#)
    )
  }

  @Test("a query of both measures merges them by group and covers what both have")
  func mixed() async throws {
    stage.set(activity: (20, 23), outcomes: (40, 51))
    let answer = try await query(
      #"{"metrics":["sessions","impressions"],"dimensions":["campaign"],"date_range":"all"}"#)
    #expect(
      answer.hasPrefix(
        #"{"results":[{"dimensions":["spring"],"metrics":[51,46]}],"#
          + #""meta":{"position":"1~0.23~1.23","#))
    stage.set(activity: (20, 30), outcomes: (0, 0))
    let early = try await query(
      #"{"metrics":["sessions","impressions"],"date_range":"all"}"#)
    #expect(
      early.hasPrefix(
        #"{"results":[{"dimensions":[],"metrics":[0,60]}],"meta":{"position":"1~0.0~1.0","#))
    #expect(early.contains(#""final":false"#))
  }

  @Test("a wait for a position is a wait for the stages that the metrics need")
  func after() async throws {
    stage.set(activity: (20, 30), outcomes: (40, 50))
    let target = "after=1~0.28~1.28&timeout=20"
    let activity = try await query(#"{"metrics":["impressions"],"date_range":"all"}"#, target)
    #expect(activity.contains(#""position":"1~0.30~1.30""#))
    let service = service
    for metrics in [#""sessions""#, #""impressions","bounces""#] {
      stage.set(activity: (20, 30), outcomes: (40, 50))
      let late = await problem {
        try await query(
          #"{"metrics":[\#(metrics)],"date_range":"all"}"#, "after=1~0.28~1.28&timeout=0.02")
      }
      #expect(late?.code == "position_not_reached")
      let json = String(decoding: late?.json ?? [], as: UTF8.self)
      #expect(json.contains("1~0.25~1.25"))
      let request = HTTPRequest(
        method: .post, path: "/v1/query", query: target,
        body: Array(#"{"metrics":[\#(metrics)],"date_range":"all"}"#.utf8))
      let waiting = Task { try await service.query(request) }
      stage.set(activity: (20, 30), outcomes: (40, 56))
      #expect(text(try await waiting.value).contains(#""position":"1~0.28~1.28""#))
    }
  }

  @Test("a position counts once the second stage has committed it, where the hot copy is away")
  func durableOnly() async throws {
    stage.set(activity: (20, 30), outcomes: (40, 50))
    stage.second.hot.update { $0.isAway = true }
    let answer = try await query(
      #"{"metrics":["sessions"],"date_range":"all"}"#, "after=1~0.20~1.20&timeout=20")
    #expect(answer.contains(#""position":"1~0.20~1.20""#))
    #expect(answer.contains("durable rows alone"))
  }

  @Test("outcomes are final once the second stage's watermark has passed the range")
  func final() async throws {
    stage.set(activity: (40, 40), outcomes: (40, 40))
    let range = #""date_range":["2026-11-01T00:00:00Z","2026-11-01T00:00:20Z"]"#
    // The events' watermark is 34 s after the start, the second stage's 14 s.
    #expect(try await query(#"{"metrics":["clicks"],\#(range)}"#).contains(#""final":true"#))
    #expect(try await query(#"{"metrics":["sessions"],\#(range)}"#).contains(#""final":false"#))
    #expect(
      try await query(#"{"metrics":["sessions","clicks"],\#(range)}"#).contains(#""final":false"#))
    stage.set(activity: (40, 40), outcomes: (80, 80))
    #expect(
      try await query(#"{"metrics":["sessions","clicks"],\#(range)}"#).contains(#""final":true"#))
  }

  @Test("a metric that a pipeline does not compute is refused with the fix, before any wait")
  func notComputed() async throws {
    let refused = await problem {
      try await query(
        #"{"metrics":["clicks","bounce_rate"],"date_range":"all","pipeline":"recent"}"#,
        "after=1~0.99&timeout=60")
    }
    #expect(refused?.code == "metric_not_computed" && refused?.status == .badRequest)
    #expect(refused?.detail.hasPrefix("$.metrics[1]: bounce_rate") == true)
    #expect(refused?.detail.contains("add `persons`") == true)
    #expect(refused?.detail.contains("revenue") == true)
    #expect(refused?.detail.contains("attributed_revenue") == false)
    let stream = await problem {
      try await service.stream(
        HTTPRequest(
          method: .get, path: "/v1/stream",
          query: "query={%22metrics%22:[%22sessions%22],%22date_range%22:%22all%22,"
            + "%22pipeline%22:%22recent%22}"))
    }
    #expect(stream?.code == "metric_not_computed")
  }

  @Test("each metric of exposures follows from their sums; money is by currency")
  func exposureValues() throws {
    let exposures = Exposures(
      persons: 8, clickers: 4, converters: 2, mixed: 1, revenueCentsSquared: 99,
      revenueMicros: 1_500_000)
    let texts = Metric.allCases.filter { $0.measure == .exposures }.map {
      "\($0.rawValue)=\($0.value(of: exposures.counts))"
    }
    #expect(
      texts == [
        "exposed_persons=count(8)", "exposed_clickers=count(4)", "exposed_converters=count(2)",
        "exposed_click_rate=ratio(Optional(0.5))", "exposed_conversion_rate=ratio(Optional(0.25))",
        "exposed_revenue=money(1500000)", "mixed_persons=count(1)",
      ])
    // Rates, and only those, have intervals.
    let rates = Metric.allCases.filter { $0.measure == .exposures && $0.isRate }
    #expect(rates == [.exposedClickRate, .exposedConversionRate])
    #expect(rates.map { $0.rate(of: exposures.counts)?.part } == [4, 2])
    #expect(rates.map { $0.rate(of: exposures.counts)?.whole } == [8, 8])
    #expect(Exposures.cents(-123_456) == -12 && Exposures.cents(.max) == Exposures.centsMax)
  }

  @Test("a content's metrics are those that its pipeline computes, but for what is not live")
  func content() async throws {
    stage.set(activity: (20, 30), outcomes: (40, 60))
    let live = Metric.allCases.filter { $0.measure != .exposures }
    for (pipeline, count) in [("default", live.count), ("recent", 9)] {
      let response = try await service.content(
        HTTPRequest(
          method: .get, path: "/v1/content/c/metrics", query: "pipeline=\(pipeline)",
          parameters: ["id": "c"]))
      let names = try #require(text(response).split(separator: #""metrics":["#).last)
      #expect(names.prefix { $0 != "]" }.split(separator: ",").count == count)
    }
  }

  @Test("every request that has one answer is answered without a server, too")
  func withoutServer() async throws {
    stage.set(activity: (20, 30), outcomes: (40, 51))
    stage.second.durable.update {
      $0.trends = TrendAnswer(end: nil, size: 300_000_000, groups: [], checkpoint: Checkpoint())
    }
    let now = Self.start + 40_000_000
    let routes = QueryRoutes(
      views: [ReadViewSource(stage.view)],
      access: try QueryAccess(token: nil, boundTo: "127.0.0.1"), registry: MetricRegistry(),
      clock: { now })
    let body = Array(#"{"metrics":["sessions"],"date_range":"all"}"#.utf8)
    #expect(
      try await routes.answer(.post, "/v1/query", body: body).hasPrefix(
        #"{"results":[{"dimensions":[],"metrics":[51]}],"#))
    #expect(
      try await routes.answer(.get, "/v1/trends?by=channel").hasPrefix(#"{"by":"channel","#))
    #expect(
      try await routes.answer(.get, "/v1/content/a%20b/metrics?date_range=all").contains(
        #"["is","content",["a b"]]"#))
    #expect(try await routes.answer(.get, "/v1/accounting").contains(#""conserved":true"#))
    for target in ["/v1/nowhere", "/v1/query", "", "/v1/stream?query=\(Self.streamed)"] {
      let refused = await problem { try await routes.answer(.get, target) }
      #expect(refused?.status == .notFound, "\(target)")
      #expect(refused?.detail.contains("GET /v1/trends") == true)
      #expect(refused?.detail.contains(", GET /v1/stream") == false)
    }
    let wrong = await problem { try await routes.answer(.get, "/v1/trends?by=nothing") }
    #expect(wrong?.status == .badRequest)
  }

  private static let streamed = "{%22metrics%22:[%22sessions%22],%22date_range%22:%22all%22}"

  @Test("hot copies that are missing are named, those of streams without frames are not")
  func missingCopies() async throws {
    stage.set(activity: (0, 0), outcomes: (40, 50))
    stage.first.hot.update { $0.headers = [:] }
    #expect(try await stage.view.missingCopies() == [])
    stage.set(activity: (20, 30), outcomes: (40, 50))
    #expect(try await stage.view.missingCopies() == [])
    stage.first.hot.update { $0.headers[1] = nil }
    stage.second.hot.update { $0.headers = [:] }
    #expect(try await stage.view.missingCopies() == ["events-01", "partials-default-v1"])
  }

  @Test("campaigns have their sessions beside their counts in Prometheus")
  func business() async throws {
    stage.set(activity: (20, 30), outcomes: (40, 51))
    let registry = MetricRegistry()
    let now = Self.start + 40_000_000
    let metrics = BusinessMetrics(
      view: ReadViewSource(stage.view), registry: registry,
      log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, clock: { now })
    await metrics.refresh()
    let text = String(decoding: registry.exposition(.prometheusText), as: UTF8.self)
    #expect(text.contains(#"smartcontent_campaign_impressions_total{campaign="spring"} 60"#))
    #expect(text.contains(#"smartcontent_campaign_sessions{campaign="spring"} 51"#))
    #expect(
      text.contains(#"smartcontent_campaign_attributed_conversions{campaign="spring"} 0"#))
  }

  @Test("each metric of outcomes follows from their sums; money is by currency")
  func values() throws {
    let outcomes = Outcomes(
      sessions: 4, bounces: 1, sessionMicros: 50_000_000, attributedClicks: 10,
      attributedConversions: 3, attributedRevenueMicros: 5_500_000)
    var table = GroupTable()
    for (currency, sums) in [("", outcomes), ("EUR", Outcomes(attributedRevenueMicros: 2_000_000))]
    {
      table.add(
        ViewGroup(bucket: 0, dimensions: [], currency: currency, counts: sums.counts), .outcomes)
    }
    let metrics = Metric.allCases.filter { $0.measure == .outcomes }
    let request = QueryRequest(
      pipeline: "default", site: "default", metrics: metrics, range: .day, dimensions: [],
      granularity: nil, filters: [], order: [], limit: 10, offset: 0, timezone: "UTC", after: nil,
      timeoutMs: 0)
    let plan = try QueryPlan.make(for: request, now: 0, zone: .utc)
    let (rows, _, currencies) = QueryAnswer.rows(of: table, plan: plan, request: request)
    let texts = metrics.map { metric in
      var output: [UInt8] = []
      rows[0].numbers.write(metric, to: &output)
      return "\(metric.rawValue)=\(String(decoding: output, as: UTF8.self))"
    }
    #expect(
      texts == [
        "sessions=4", "bounces=1", "bounce_rate=0.25", "session_duration=12.5",
        "attributed_clicks=10", "attributed_conversions=3", "attributed_conversion_rate=0.3",
        #"attributed_revenue={"EUR":2,"XXX":5.5}"#,
      ])
    #expect(currencies == ["EUR", "XXX"])
    #expect(Metric.bounceRate.value(of: Counts()) == .ratio(nil))
  }

  @Test("trends are what rises most, beside the window before, with its position")
  func trends() async throws {
    func group(_ bucket: Int, _ name: String, clicks: Int64, micros: Int64 = 0) -> ViewGroup {
      var counts = Counts()
      counts.clicks = clicks
      counts.revenueMicros = micros
      return ViewGroup(
        bucket: bucket, dimensions: [name], currency: micros == 0 ? "" : "EUR", counts: counts)
    }
    var checkpoint = Checkpoint()
    checkpoint.watermark = Self.start - 3_000_000
    checkpoint.logTime = Self.start
    checkpoint.sources = stage.sources(at: 5)
    let answer = TrendAnswer(
      end: Self.start, size: 300_000_000,
      groups: [
        group(0, "falls", clicks: 9), group(1, "falls", clicks: 2), group(0, "gone", clicks: 9),
        group(1, "new", clicks: 4), group(0, "rises", clicks: 4), group(1, "rises", clicks: 3),
        group(1, "rises", clicks: 5, micros: 1_500_000), group(1, "zero", clicks: 0),
      ], checkpoint: checkpoint)
    stage.second.durable.update { $0.trends = answer }
    let response = text(try await service.trends(get("by=variant&limit=2")))
    #expect(
      response
        == #"{"by":"variant","metric":"clicks","#
        + #""window":{"from":"2026-10-31T23:55:00Z","to":"2026-11-01T00:00:00Z"},"#
        + #""before":{"from":"2026-10-31T23:50:00Z","to":"2026-10-31T23:55:00Z"},"#
        + #""final":false,"trends":["#
        + #"{"variant":"rises","current":{"impressions":0,"views":0,"clicks":8,"engagements":0,"#
        + #""conversions":0,"revenue":{"EUR":1.5}},"before":{"impressions":0,"views":0,"clicks":4,"#
        + #""engagements":0,"conversions":0,"revenue":{}},"change":4,"ratio":2},"#
        + #"{"variant":"new","current":{"impressions":0,"views":0,"clicks":4,"engagements":0,"#
        + #""conversions":0,"revenue":{}},"before":{"impressions":0,"views":0,"clicks":0,"#
        + #""engagements":0,"conversions":0,"revenue":{}},"change":4,"ratio":null}],"#
        + #""row_count":4,"position":"1~0.3~1.2","watermark":"2026-10-31T23:59:57Z","#
        + #""log_time":"2026-11-01T00:00:00Z","as_of":"2026-11-01T00:00:40Z"}"#)
    let csv = text(try await service.trends(get("by=variant&limit=2&format=csv")))
    #expect(
      csv
        == "variant,impressions,views,clicks,engagements,conversions,revenue_EUR,"
        + "impressions_before,views_before,clicks_before,engagements_before,conversions_before,"
        + "revenue_EUR_before,change,ratio\r\n"
        + "rises,0,0,8,0,0,1.5,0,0,4,0,0,0,4,2\r\nnew,0,0,4,0,0,0,0,0,0,0,0,0,4,\r\n")
    let all = text(try await service.trends(get("metric=impressions")))
    let names = all.split(separator: #"{"campaign":""#).dropFirst().map { $0.prefix { $0 != "\"" } }
    #expect(names == ["falls", "gone", "new", "rises"])
  }

  @Test("before the first frame there is no window")
  func noTrends() async throws {
    let response = text(try await service.trends(get("")))
    #expect(
      response.hasPrefix(
        #"{"by":"campaign","metric":"clicks","window":null,"before":null,"final":false,"trends":[],"#
      ))
  }

  @Test(
    "a wrong request for trends says what is allowed",
    arguments: [
      ("by=site", "unknown_dimension", "variant"), ("metric=ctr", "unknown_metric", "views"),
      ("limit=0", "invalid_value", "1 to 1000"), ("limit=x", "invalid_value", "1 to 1000"),
      ("pipeline=other", "unknown_pipeline", "recent"),
      ("pipeline=recent", "trends_not_computed", "default"),
      ("range=1h", "unknown_member", "site_id"),
    ])
  func wrongTrends(query: String, code: String, says: String) async {
    let refused = await problem { try await service.trends(get(query)) }
    #expect(refused?.code == code)
    #expect(refused?.detail.contains(says) == true, "\(query)")
  }
}
