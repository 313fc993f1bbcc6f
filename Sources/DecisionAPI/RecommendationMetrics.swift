import Learning
public import Metrics

/// Every metric of recommendations. Tests are made on people as they come: before a visit is learned, it is looked
/// whether it is in the list that the person would have been given.
public struct RecommendationMetrics: Sendable {
  public static let tests = MetricDeclaration(
    "smartcontent_recommendation_tests",
    "Visits that lists were tested on, since the process began to read.", .gauge, labels: ["site"])
  public static let hits = MetricDeclaration(
    "smartcontent_recommendation_hit_ratio",
    "Share of the latest tested visits that were in the person's list of ten.", .gauge,
    labels: ["site"])
  public static let popularHits = MetricDeclaration(
    "smartcontent_recommendation_popular_hit_ratio",
    "Share of the same visits that were among the ten most visited contents, for comparison.",
    .gauge, labels: ["site"])
  public static let coverage = MetricDeclaration(
    "smartcontent_recommendation_coverage_ratio",
    "Share of the contents that were in a tested list within the last day.", .gauge,
    labels: ["site"])
  public static let contents = MetricDeclaration(
    "smartcontent_recommendation_contents", "Contents that lists are chosen from.", .gauge,
    labels: ["site"])
  public static let persons = MetricDeclaration(
    "smartcontent_recommendation_persons", "Persons of whom visits are remembered.", .gauge,
    labels: ["site"])
  public static let forgotten = MetricDeclaration(
    "smartcontent_recommendation_forgotten",
    "Persons and contents that were forgotten because there were too many.", .gauge,
    labels: ["site", "what"])
  public static let duration = MetricDeclaration(
    "smartcontent_recommendation_seconds", "Time to make a list, in seconds.",
    .histogram(bounds: [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.1]))

  public static let pendingErasures = MetricDeclaration(
    "smartcontent_recommendation_pending_erasures",
    "Erased persons whose choices the weights still know, until the log is read again without them.",
    .gauge)

  static let all = [
    tests, hits, popularHits, coverage, contents, persons, forgotten, duration, pendingErasures,
  ]

  private let gauges: [MetricFamily<Gauge>]
  private let forgotten: MetricFamily<Gauge>
  private let durations: Histogram
  private let pendingErasures: Gauge

  init(_ registry: MetricRegistry) {
    gauges = [
      Self.tests, Self.hits, Self.popularHits, Self.coverage, Self.contents, Self.persons,
    ].map(registry.gauge)
    forgotten = registry.gauge(Self.forgotten)
    pendingErasures = registry.gauge(Self.pendingErasures).with()
    durations = registry.histogram(Self.duration).with()
  }

  func set(_ summaries: [RecommendationSummary], pendingErasures count: Int) {
    pendingErasures.set(Double(count))
    for summary in summaries {
      let figures = summary.figures
      let values = [
        Double(figures.tests), figures.hitRate, figures.popularHitRate, summary.coverage,
        Double(summary.contents), Double(summary.persons),
      ]
      for (gauge, value) in zip(gauges, values) { gauge.with(summary.site).set(value) }
      forgotten.with(summary.site, "persons").set(Double(figures.forgottenPersons))
      forgotten.with(summary.site, "contents").set(Double(figures.forgottenContents))
    }
  }

  func answered(in duration: Duration) {
    let (seconds, attoseconds) = duration.components
    durations.observe(Double(seconds) + Double(attoseconds) / 1e18)
  }
}
