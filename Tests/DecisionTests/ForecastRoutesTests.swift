import Events
import HTTPServer
import Metrics
import Testing

@testable import DecisionAPI
@testable import Learning
@testable import QueryAPI
@testable import Statistics

/// `GET /v1/forecasts`, and what Prometheus has of it.
@Suite("Forecasts over HTTP")
struct ForecastRoutesTests {
  private static let now: Int64 = 1_763_978_400_000_000
  private static let hour: Int64 = 3_600_000_000

  private static func series(
    _ site: String, _ campaign: String, last: Int, below: Int = 0
  ) -> EngagementForecasts.Series {
    let forecast = HourlyForecaster.Forecast(median: 40, lower: 30, upper: 52)
    return EngagementForecasts.Series(
      key: EngagementForecasts.Key(site: site, campaign: campaign), hours: 400,
      lastStart: now - hour, lastCount: last, lastForecast: below > 0 ? forecast : nil,
      hoursBelow: below, hoursAbove: 0,
      next: [EngagementForecasts.Hour(start: now, forecast: forecast)])
  }

  private static let forecasts = EngagementForecasts(
    progress: LearningProgress(
      position: Position(generation: 1, sequences: [0: 3]), logTime: now, isCaughtUp: true),
    series: [
      series("shop", "", last: 38), series("shop", "spring", last: 12, below: 5),
      series("blog", "", last: 4),
    ], turnedAway: 0)

  private static func ask(
    _ target: String, _ forecasts: EngagementForecasts? = forecasts
  ) async throws -> JSONTree {
    var routes = Routes()
    ForecastRoutes(forecasts: { forecasts }, check: { _ in }).declare(on: &routes)
    let answer = try #require(try await routes.answer(.get, target))
    guard case .bytes(let bytes) = answer.body else { throw DecisionFixture.Malformed() }
    return try JSONTree(bytes)
  }

  @Test("a site's series are told with what was expected, or one campaign's")
  func answers() async throws {
    let all = try await Self.ask("/v1/forecasts?site_id=shop")
    guard case .array(let series)? = all["series"] else { throw DecisionFixture.Malformed() }
    #expect(series.map { $0["campaign"] } == [.string(""), .string("spring")])
    #expect(series[0]["last"]?["engagements"]?.number == 38)
    #expect(series[0]["last"]?["expected"] == .null)
    #expect(series[1]["last"]?["expected"]?["median"]?.number == 40)
    #expect(series[1]["hours_below"]?.number == 5)
    #expect(all["position"]?.string == "1~0.3")
    let one = try await Self.ask("/v1/forecasts?site_id=shop&campaign=spring")
    #expect(one["series"] == .array([series[1]]))
    guard case .array(let next)? = series[1]["next"] else { throw DecisionFixture.Malformed() }
    #expect(next.map { $0["start"]?.string } == [Timestamp.format(Self.now)])
    let problem = await #expect(throws: Problem.self) {
      try await Self.ask("/v1/forecasts", nil)
    }
    #expect(problem?.code == "no_forecasts")
    let paths = try #require(try JSONTree(Array(OpenAPIDocument.text.utf8))["paths"])
    #expect(paths["/v1/forecasts"]?["get"] != nil)
  }

  @Test("Prometheus has what is expected of the hour, and the hours outside of it")
  func metrics() {
    let registry = MetricRegistry()
    ForecastMetrics.register(registry) { Self.forecasts }
    let text = String(decoding: registry.exposition(.prometheusText), as: UTF8.self)
    for line in [
      #"smartcontent_forecast_engagements{site="shop",campaign="spring",end="lower"} 30"#,
      #"smartcontent_forecast_engagements{site="blog",campaign="",end="upper"} 52"#,
      #"smartcontent_forecast_last_hour_engagements{site="shop",campaign=""} 38"#,
      #"smartcontent_forecast_hours_outside{site="shop",campaign="spring",side="below"} 5"#,
    ] { #expect(text.contains(line), "\(line) is not in \(text)") }
  }
}
