import Events
import HTTPServer
import Metrics
import Testing

@testable import DecisionAPI
@testable import Learning
@testable import QueryAPI

/// `GET /v1/novelties`, and what Prometheus has of it.
@Suite("Values unlike before over HTTP")
struct NoveltyRoutesTests {
  private static let now: Int64 = 1_763_978_400_000_000
  private static let minute: Int64 = 60_000_000

  private static func novelties(
    caughtUp: Bool = true, marked: Int64 = now - 5 * minute
  ) -> ValueNovelties {
    let point = ValueNovelties.Point(start: marked, value: 4, usual: 40, novelty: 0.9)
    let revenue = ValueNovelties.Series(
      key: ValueNovelties.Key(site: "shop", quantity: .revenue, currency: "EUR"), count: 300,
      last: ValueNovelties.Point(start: now - 5 * minute, value: 38, usual: 39, novelty: 0.1),
      anomaly: ValueNovelties.Anomaly(point: point, regards: [("value", 1), ("hourOfWeek", 0.5)]))
    let dwell = ValueNovelties.Series(
      key: ValueNovelties.Key(site: "shop", campaign: "spring", quantity: .dwell), count: 1,
      last: ValueNovelties.Point(start: now - 5 * minute, value: 12, usual: nil, novelty: 0))
    return ValueNovelties(
      progress: LearningProgress(
        position: Position(generation: 1, sequences: [0: 3]), logTime: now, isCaughtUp: caughtUp),
      series: [revenue, dwell], turnedAway: 0)
  }

  private static func ask(
    _ target: String, _ novelties: ValueNovelties? = novelties()
  ) async throws -> JSONTree {
    var routes = Routes()
    NoveltyRoutes(novelties: { novelties }, check: { _ in }).declare(on: &routes)
    let answer = try #require(try await routes.answer(.get, target))
    guard case .bytes(let bytes) = answer.body else { throw DecisionFixture.Malformed() }
    return try JSONTree(bytes)
  }

  @Test("a site's series are told with what is usual and what was marked")
  func answers() async throws {
    let all = try await Self.ask("/v1/novelties?site_id=shop")
    guard case .array(let series)? = all["series"] else { throw DecisionFixture.Malformed() }
    #expect(series.map { $0["quantity"]?.string } == ["revenue_per_conversion", "seconds_in_view"])
    let anomaly = try #require(series[0]["anomaly"])
    #expect(anomaly["value"]?.number == 4 && anomaly["usual"]?.number == 40)
    #expect(anomaly["fresh"] == .bool(true))
    guard case .array(let regards)? = anomaly["regards"] else { throw DecisionFixture.Malformed() }
    #expect(regards.map { $0["regard"]?.string } == ["value", "hourOfWeek"])
    #expect(series[1]["anomaly"] == .null && series[1]["last"]?["usual"] == .null)
    #expect(all["position"]?.string == "1~0.3")
    let one = try await Self.ask("/v1/novelties?site_id=shop&campaign=spring")
    #expect(one["series"] == .array([series[1]]))
    let problem = await #expect(throws: Problem.self) { try await Self.ask("/v1/novelties", nil) }
    #expect(problem?.code == "no_novelties")
    let paths = try #require(try JSONTree(Array(OpenAPIDocument.text.utf8))["paths"])
    #expect(paths["/v1/novelties"]?["get"] != nil)
  }

  @Test("Prometheus has what was marked for half an hour, and nothing while the past is read")
  func metrics() {
    func text(_ novelties: ValueNovelties) -> String {
      let registry = MetricRegistry()
      NoveltyMetrics.register(registry) { novelties }
      return String(decoding: registry.exposition(.prometheusText), as: UTF8.self)
    }
    let labels = #"{site="shop",campaign="",quantity="revenue_per_conversion",currency="EUR"}"#
    #expect(text(Self.novelties()).contains("smartcontent_value_anomaly\(labels) 1"))
    #expect(text(Self.novelties()).contains("smartcontent_value_novelty\(labels) 0.1"))
    let old = Self.novelties(marked: Self.now - 35 * Self.minute)
    #expect(text(old).contains("smartcontent_value_anomaly\(labels) 0"))
    #expect(!text(Self.novelties(caughtUp: false)).contains("smartcontent_value_anomaly{"))
  }
}
