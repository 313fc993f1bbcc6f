import Learning
public import Metrics
import Statistics

/// Every metric of profiles and segments.
public struct ProfileMetrics: Sendable {
  public static let persons = MetricDeclaration(
    "smartcontent_profiles", "Persons whose profiles are kept.", .gauge)
  public static let members = MetricDeclaration(
    "smartcontent_segment_persons", "Persons in a segment of segments.yaml.", .gauge,
    labels: ["segment"])
  public static let changes = MetricDeclaration(
    "smartcontent_segment_changes_total",
    "Persons who entered or left a segment since the process started.", .counter,
    labels: ["segment", "change"])
  public static let kept = MetricDeclaration(
    "smartcontent_cluster_kept_ratio",
    "Share of the persons whose cluster had the same name before its last refresh.", .gauge)
  public static let turnedAway = MetricDeclaration(
    "smartcontent_profiles_turned_away",
    "Persons and preferences for which there was no room any more.", .gauge)

  static let all = [persons, members, changes, kept, turnedAway]

  private let persons: Gauge
  private let members: MetricFamily<Gauge>
  private let changes: MetricFamily<Counter>
  private let kept: Gauge
  private let turnedAway: Gauge

  init(_ registry: MetricRegistry) {
    persons = registry.gauge(Self.persons).with()
    members = registry.gauge(Self.members)
    changes = registry.counter(Self.changes)
    kept = registry.gauge(Self.kept).with()
    turnedAway = registry.gauge(Self.turnedAway).with()
  }

  func took(_ update: ProfileUpdate, of persons: Int, _ policy: ProfilePolicy) {
    self.persons.set(Double(persons))
    turnedAway.set(Double(update.turnedAway))
    for (rule, count) in zip(policy.segments, update.counts) {
      members.with(rule.id).set(Double(count))
    }
    for change in update.changes {
      changes.with(policy.segments[change.segment].id, change.entered ? "entered" : "left").add()
    }
    if let clusters = update.clusters { kept.set(clusters.clusters.kept) }
  }
}
