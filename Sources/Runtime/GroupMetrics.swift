import Dataflow
public import Metrics
import Ports

/// Metrics of sharing streams with other processes.
public struct GroupMetrics: Sendable {
  private static let labels = ["pipeline", "stream"]

  public static let taken = MetricDeclaration(
    "smartcontent_stream_takeovers_total", "Streams that this process began to own.", .counter,
    labels: labels)
  public static let moved = MetricDeclaration(
    "smartcontent_stream_moves_total", "Streams that this process gave to others.", .counter,
    labels: labels)
  public static let fenced = MetricDeclaration(
    "smartcontent_stream_fenced_total",
    "Streams that another process took while this one's lease had run out.", .counter,
    labels: labels)
  public static let beatFailures = MetricDeclaration(
    "smartcontent_lease_failures_total", "Renewals of this process's lease that failed.", .counter)
  public static let owned = MetricDeclaration(
    "smartcontent_streams_owned", "Streams that this process owns.", .gauge)
  public static let unowned = MetricDeclaration(
    "smartcontent_streams_unowned", "Streams that no process owns, as this one sees it.", .gauge)
  public static let members = MetricDeclaration(
    "smartcontent_processors", "Processes that share the streams, as this one sees it.", .gauge)
  public static let leaseAge = MetricDeclaration(
    "smartcontent_lease_age_seconds", "Time since this process renewed its lease.", .gauge)

  /// Everything above, for checks of dashboards and alerts.
  public static let catalog = [
    taken, moved, fenced, beatFailures, owned, unowned, members, leaseAge,
  ]

  private let registry: MetricRegistry

  init(_ registry: MetricRegistry) { self.registry = registry }

  func taken(_ item: PipelineStream) { count(Self.taken, item) }

  func moved(_ item: PipelineStream) { count(Self.moved, item) }

  func fenced(_ item: PipelineStream) { count(Self.fenced, item) }

  func beatFailed() { registry.counter(Self.beatFailures).with().add() }

  private func count(_ declaration: MetricDeclaration, _ item: PipelineStream) {
    registry.counter(declaration).with(item.pipeline, item.stream.stream).add()
  }

  /// Gauges, computed at each scrape.
  ///
  /// - Parameter now: monotonic microseconds.
  func observe(
    _ status: @escaping @Sendable () -> GroupStatus, owned: @escaping @Sendable () -> Int,
    now: @escaping @Sendable () -> Int64
  ) {
    registry.computed(Self.owned) { [MetricSample([], Double(owned()))] }
    registry.computed(Self.unowned) { [MetricSample([], Double(status().unownedCount))] }
    registry.computed(Self.members) { [MetricSample([], Double(status().memberCount))] }
    registry.computed(Self.leaseAge) {
      let status = status()
      guard status.lastBeat > 0 else { return [] }
      return [MetricSample([], Double(max(0, now() - status.lastBeat)) / 1_000_000)]
    }
  }
}
