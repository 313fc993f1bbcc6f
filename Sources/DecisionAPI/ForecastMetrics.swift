public import Learning
public import Metrics
import Statistics

/// Forecasts as Prometheus series, so that hours outside of what was expected are told, and boards show both.
public enum ForecastMetrics {
  /// Those with the most engagements, of which there is one hour at least.
  private static let seriesMax = 50

  public static let expected = MetricDeclaration(
    "smartcontent_forecast_engagements",
    "Clicks, engagements and conversions that are expected of the hour that runs, the median and the ends that 80 of 100 hours lie within;"
      + " of the sites (campaign empty) and campaigns with the most, at most 50.",
    .gauge, labels: ["site", "campaign", "end"], maxSeries: 3 * seriesMax)
  public static let counted = MetricDeclaration(
    "smartcontent_forecast_last_hour_engagements",
    "Clicks, engagements and conversions of the last hour that is over.", .gauge,
    labels: ["site", "campaign"], maxSeries: seriesMax)
  public static let outside = MetricDeclaration(
    "smartcontent_forecast_hours_outside",
    "Hours in a row that had fewer (side below) or more engagements (above) than the ends that 80 of 100 lie within.",
    .gauge, labels: ["site", "campaign", "side"], maxSeries: 2 * seriesMax)

  public static let catalog = [expected, counted, outside]

  /// - Parameter forecasts: the newest; nil before an hour is over.
  public static func register(
    _ registry: MetricRegistry, forecasts: @escaping @Sendable () -> EngagementForecasts?
  ) {
    func gauge(
      _ declaration: MetricDeclaration,
      _ samples: @escaping @Sendable (EngagementForecasts.Series) -> [MetricSample]
    ) {
      registry.computed(declaration) {
        let all = forecasts()?.series ?? []
        let named = all.sorted { a, b in
          a.lastCount != b.lastCount ? a.lastCount > b.lastCount : a.key < b.key
        }
        return named.prefix(seriesMax).flatMap(samples)
      }
    }
    gauge(expected) { series in
      guard let next = series.next.first?.forecast else { return [] }
      return [("lower", next.lower), ("median", next.median), ("upper", next.upper)].map {
        MetricSample([series.key.site, series.key.campaign, $0.0], $0.1)
      }
    }
    gauge(counted) {
      [MetricSample([$0.key.site, $0.key.campaign], Double($0.lastCount))]
    }
    gauge(outside) { series in
      [("below", series.hoursBelow), ("above", series.hoursAbove)].map {
        MetricSample([series.key.site, series.key.campaign, $0.0], Double($0.1))
      }
    }
  }
}
