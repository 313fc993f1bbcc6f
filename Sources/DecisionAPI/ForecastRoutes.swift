import Events
public import HTTPServer
public import Learning
import Statistics

/// What is expected of the next hours, over HTTP, from memory: `GET /v1/forecasts`.
///
///     ?site_id=default&campaign=spring     that campaign's next hour; without one the site's next day, and all its campaigns
public struct ForecastRoutes: Sendable {
  private let forecasts: @Sendable () -> EngagementForecasts?
  private let check: @Sendable (HTTPRequest) throws(Problem) -> Void

  /// - Parameters:
  ///   - forecasts: the newest; nil where no hour is over yet.
  ///   - check: refuses requests of those who may not read.
  public init(
    forecasts: @escaping @Sendable () -> EngagementForecasts?,
    check: @escaping @Sendable (HTTPRequest) throws(Problem) -> Void
  ) {
    self.forecasts = forecasts
    self.check = check
  }

  public func declare(on routes: inout Routes) {
    routes.on(.get, "/v1/forecasts") { request in
      try check(request)
      let fields = try LearnedQuery.fields(request, ["site_id", "campaign"])
      guard let forecasts = forecasts() else {
        throw Problem(
          .notFound, code: "no_forecasts",
          detail: "No hour is over since the log began to be read; ask again in an hour.")
      }
      let site = fields["site_id"] ?? "default"
      let series = forecasts.series.filter { series in
        series.key.site == site && fields["campaign"].map { $0 == series.key.campaign } ?? true
      }
      return HTTPResponse.json(Self.json(series, forecasts))
    }
  }

  static func json(
    _ series: [EngagementForecasts.Series], _ forecasts: EngagementForecasts
  ) -> [UInt8] {
    var json = JSONWriter(reserving: 4_096)
    json.beginObject()
    json.key("series")
    json.beginArray()
    for series in series {
      json.beginObject()
      json.key("campaign")
      json.string(series.key.campaign)
      json.key("hours")
      json.integer(series.hours)
      json.key("last")
      json.beginObject()
      json.key("start")
      json.string(Timestamp.format(series.lastStart))
      json.key("engagements")
      json.integer(series.lastCount)
      json.key("expected")
      if let expected = series.lastForecast {
        write(expected, to: &json)
      } else {
        json.null()
      }
      json.endObject()
      json.key("hours_below")
      json.integer(series.hoursBelow)
      json.key("hours_above")
      json.integer(series.hoursAbove)
      json.key("next")
      json.beginArray()
      for hour in series.next {
        json.beginObject()
        json.key("start")
        json.string(Timestamp.format(hour.start))
        json.key("expected")
        write(hour.forecast, to: &json)
        json.endObject()
      }
      json.endArray()
      json.endObject()
    }
    json.endArray()
    LearnedQuery.write(forecasts.progress, to: &json)
    json.endObject()
    return json.bytes
  }

  private static func write(_ forecast: HourlyForecaster.Forecast, to json: inout JSONWriter) {
    json.beginObject()
    json.key("median")
    json.double(forecast.median)
    json.key("interval")
    json.beginArray()
    json.double(forecast.lower)
    json.double(forecast.upper)
    json.endArray()
    json.endObject()
  }
}
