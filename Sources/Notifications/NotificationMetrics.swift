public import Metrics

/// What receivers of incidents take and are owed.
public struct NotificationMetrics: Sendable {
  public static let notices = MetricDeclaration(
    "smartcontent_incident_notices_total",
    "Notices of incidents to a receiver, by what became of them: accepted, refused, away or given_up.",
    .counter, labels: ["receiver", "outcome"])
  public static let owed = MetricDeclaration(
    "smartcontent_incident_notices_owed",
    "Notices that a receiver has not taken yet, as far as this process looked; 0 where another one tells it.",
    .gauge, labels: ["receiver"])
  public static let ended = MetricDeclaration(
    "smartcontent_incident_receiver_ended",
    "1 for a receiver that answered 410 and is told nothing any more.", .gauge,
    labels: ["receiver"])

  public static let catalog = [notices, owed, ended]

  enum Outcome: String, CaseIterable {
    case accepted
    case refused
    case away
    case givenUp = "given_up"
  }

  private let notices: MetricFamily<Counter>
  private let owed: MetricFamily<Gauge>
  private let ended: MetricFamily<Gauge>

  public init(_ registry: MetricRegistry) {
    notices = registry.counter(Self.notices)
    owed = registry.gauge(Self.owed)
    ended = registry.gauge(Self.ended)
  }

  /// So that rates and alerts know of it from the first moment.
  func declare(_ receiver: String) {
    for outcome in Outcome.allCases { notices.with(receiver, outcome.rawValue).add(0) }
    owes(0, to: receiver)
    ended.with(receiver).set(0)
  }

  func told(_ receiver: String, _ outcome: Outcome) {
    notices.with(receiver, outcome.rawValue).add()
  }
  func owes(_ count: Int, to receiver: String) { owed.with(receiver).set(Double(count)) }

  func ended(_ receiver: String) {
    ended.with(receiver).set(1)
    owes(0, to: receiver)
  }
}
