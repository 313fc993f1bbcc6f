public import Metrics

/// Every metric of the search by vectors.
public struct VectorMetrics: Sendable {
  public static let searches = MetricDeclaration(
    "smartcontent_vector_searches_total",
    "Searches for contents near a text by where was looked: exact or graph in memory; pgvector, or pgvector_away"
      + " where it gave no answer in time.", .counter, labels: ["index"])
  public static let texts = MetricDeclaration(
    "smartcontent_vector_texts_total",
    "Texts of contents by what became of them: embedded by the endpoint, failed there (tried again), known from"
      + " the store, words alone, or refused for want of room.", .counter, labels: ["outcome"])
  public static let written = MetricDeclaration(
    "smartcontent_vectors_written_total", "Vectors that were written to the store.", .counter)
  public static let waiting = MetricDeclaration(
    "smartcontent_vectors_waiting", "Texts that wait for the endpoint or the store.", .gauge)

  static let all = [searches, texts, written, waiting]

  private let searchCounts: MetricFamily<Counter>
  private let textCounts: MetricFamily<Counter>
  private let writtenCount: Counter
  private let waitingGauge: Gauge

  init(_ registry: MetricRegistry) {
    searchCounts = registry.counter(Self.searches)
    textCounts = registry.counter(Self.texts)
    writtenCount = registry.counter(Self.written).with()
    waitingGauge = registry.gauge(Self.waiting).with()
  }

  func searched(_ index: String) { searchCounts.with(index).add() }

  func texts(_ outcome: String, _ count: Int = 1) { textCounts.with(outcome).add(count) }

  func wrote(_ count: Int) { writtenCount.add(count) }

  func waits(_ count: Int) { waitingGauge.set(Double(count)) }
}
