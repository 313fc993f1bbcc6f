import HTTPServer
public import Metrics

/// Every metric of the query API.
public struct QueryMetrics: Sendable {
  public static let requests = MetricDeclaration(
    "smartcontent_query_requests_total",
    "Answered requests of the query API, by route and outcome.",
    .counter, labels: ["route", "outcome"])
  public static let duration = MetricDeclaration(
    "smartcontent_query_duration_seconds",
    "Time from a query's arrival to its answer, waiting for a position included, in seconds.",
    .histogram(bounds: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]),
    labels: ["route"])
  public static let durableOnly = MetricDeclaration(
    "smartcontent_query_durable_only_total",
    "Answers made from durable rows alone because the hot copy was away or did not join.",
    .counter)
  public static let streams = MetricDeclaration(
    "smartcontent_query_streams", "Live streams that are open.", .gauge)
  public static let streamEvents = MetricDeclaration(
    "smartcontent_query_stream_events_total", "Events sent to live streams, by kind.", .counter,
    labels: ["event"])
  public static let answers = MetricDeclaration(
    "smartcontent_query_answers_total",
    "Answers given: computed for who asked, awaited with somebody who had asked the same, or kept from the last tenth of a second.",
    .counter, labels: ["from"])
  public static let keptBytes = MetricDeclaration(
    "smartcontent_query_kept_bytes", "Answers that are kept for who asks the same next, in bytes.",
    .gauge)

  public static let openRowBytes = MetricDeclaration(
    "smartcontent_query_open_rows_bytes",
    "Rows of open windows that are kept for all questions of the next tenth of a second, in bytes.",
    .gauge)
  public static let openRowReads = MetricDeclaration(
    "smartcontent_query_open_rows_reads_total",
    "How often rows of open windows were read for all questions of a tenth of a second.", .counter)

  public static let rangesAhead = MetricDeclaration(
    "smartcontent_query_ranges_ahead_total",
    "Ranges that were to be read before they are asked for: read, failed, or dropped as there were too many.",
    .counter, labels: ["outcome"])

  static let all = [
    requests, duration, durableOnly, streams, streamEvents, answers, keptBytes, openRowBytes,
    openRowReads, rangesAhead,
  ]

  /// Where an answer comes from, see ``SharedAnswers``.
  enum Origin: String {
    case computed, awaited, kept
  }

  /// What became of a range, see ``RangesAhead``.
  enum AheadOutcome: String {
    case read, failed, dropped
  }

  private let requestCounts: MetricFamily<Counter>
  private let durations: MetricFamily<Histogram>
  private let durableOnlyCount: Counter
  private let openStreams: Gauge
  private let eventCounts: MetricFamily<Counter>
  private let answerCounts: MetricFamily<Counter>
  private let keptByteCount: Gauge
  private let openRowByteCount: Gauge
  private let openRowReadCount: Counter
  private let rangeAheadCounts: MetricFamily<Counter>

  init(_ registry: MetricRegistry) {
    requestCounts = registry.counter(Self.requests)
    durations = registry.histogram(Self.duration)
    durableOnlyCount = registry.counter(Self.durableOnly).with()
    openStreams = registry.gauge(Self.streams).with()
    eventCounts = registry.counter(Self.streamEvents)
    answerCounts = registry.counter(Self.answers)
    keptByteCount = registry.gauge(Self.keptBytes).with()
    openRowByteCount = registry.gauge(Self.openRowBytes).with()
    openRowReadCount = registry.counter(Self.openRowReads).with()
    rangeAheadCounts = registry.counter(Self.rangesAhead)
  }

  /// - Parameter outcome: `ok` or a problem's code.
  func answered(route: String, outcome: String, duration: Duration) {
    requestCounts.with(route, outcome).add()
    let (seconds, attoseconds) = duration.components
    durations.with(route).observe(Double(seconds) + Double(attoseconds) / 1e18)
  }

  /// Answers a request and counts it; an error becomes what the client sees.
  func measured<Value>(
    _ route: String, _ body: () async throws(QueryError) -> Value
  ) async throws(Problem) -> Value {
    let started = ContinuousClock.now
    do throws(QueryError) {
      let value = try await body()
      answered(route: route, outcome: "ok", duration: started.duration(to: .now))
      return value
    } catch {
      answered(
        route: route, outcome: error.code.rawValue, duration: started.duration(to: .now))
      throw error.problem
    }
  }

  func answeredFromDurableOnly() { durableOnlyCount.add() }

  func answered(from origin: Origin) { answerCounts.with(origin.rawValue).add() }

  /// Answers that are kept take so many bytes more, or less.
  func kept(_ bytes: Int) { keptByteCount.add(Double(bytes)) }

  /// Open rows that are kept take so many bytes more, or less.
  func openRows(bytes: Int) { openRowByteCount.add(Double(bytes)) }

  func readOpenRows() { openRowReadCount.add() }

  func readAhead(_ outcome: AheadOutcome) { rangeAheadCounts.with(outcome.rawValue).add() }

  func streamOpened() { openStreams.add(1) }

  func streamClosed() { openStreams.add(-1) }

  func sent(_ event: String) { eventCounts.with(event).add() }
}
