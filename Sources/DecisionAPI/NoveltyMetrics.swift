public import Learning
public import Metrics

/// Values that are unlike before as Prometheus series, so that somebody is told.
public enum NoveltyMetrics {
  /// Those with the most bins.
  private static let seriesMax = 50
  private static let labels = ["site", "campaign", "quantity", "currency"]

  public static let novelty = MetricDeclaration(
    "smartcontent_value_novelty",
    "How new the last five minutes' mean was, of what a conversion brings and of seconds in view: 0 as ever, 1 as new as anything so far;"
      + " of the sites (campaign empty) and campaigns with the most, at most 50.",
    .gauge, labels: labels, maxSeries: seriesMax)
  public static let anomaly = MetricDeclaration(
    "smartcontent_value_anomaly",
    "1 where such a mean was marked as an anomaly within the last half hour of the log's time, else 0.",
    .gauge, labels: labels, maxSeries: seriesMax)

  public static let catalog = [novelty, anomaly]

  /// - Parameter novelties: the newest; nil before a bin is over.
  public static func register(
    _ registry: MetricRegistry, novelties: @escaping @Sendable () -> ValueNovelties?
  ) {
    func gauge(
      _ declaration: MetricDeclaration,
      _ value: @escaping @Sendable (ValueNovelties.Series, ValueNovelties) -> Double
    ) {
      registry.computed(declaration) {
        // What is read of the past is no news.
        guard let all = novelties(), all.progress.isCaughtUp else { return [] }
        let named = all.series.sorted { a, b in
          a.count != b.count ? a.count > b.count : a.key < b.key
        }
        return named.prefix(seriesMax).map { series in
          let key = series.key
          return MetricSample(
            [key.site, key.campaign, key.quantity.rawValue, key.currency], value(series, all))
        }
      }
    }
    gauge(novelty) { series, _ in series.last.novelty }
    gauge(anomaly) { series, all in all.isFresh(series) ? 1 : 0 }
  }
}
