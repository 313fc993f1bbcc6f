import Events
public import Logging
public import Metrics
import Ports
import Synchronization
import Views

/// Open incidents as Prometheus series, so that Alertmanager can tell people with details.
///
/// A task asks the read model every few seconds and a scrape takes its last answer. Of a group only its first
/// incident is there. At most ``namedMax`` have a series of their own, the gravest and newest; how many there
/// are says ``open``.
public final class IncidentMetrics: Sendable {
  private static let namedMax = 50
  private static let readMax = 2_000
  private static let interval = Duration.seconds(5)

  public static let open = MetricDeclaration(
    "smartcontent_incidents_open", "Incidents that go on, of each group one.", .gauge,
    labels: ["site", "severity", "kind"], maxSeries: 500)
  public static let incident = MetricDeclaration(
    "smartcontent_incident",
    "1 for each of the gravest incidents that go on, of each group one, at most 50.", .gauge,
    labels: ["id", "site", "campaign", "content", "kind", "severity"], maxSeries: namedMax)
  /// By itself, so that a series of ``incident`` does not change with each bin.
  public static let events = MetricDeclaration(
    "smartcontent_incident_events",
    "What an incident counts since its begin: observed, expected, and the lower and upper end of what is usual.",
    .gauge, labels: ["id", "of"], maxSeries: 4 * namedMax)
  public static let contributor = MetricDeclaration(
    "smartcontent_incident_contributor",
    "The share of an incident's deviation that comes from the value with the largest share, where that is more than usual.",
    .gauge, labels: ["id", "dimension", "value"], maxSeries: namedMax)
  public static let total = MetricDeclaration(
    "smartcontent_incidents_total",
    "Incidents of the last 400 days by severity, those that are over too.", .counter,
    labels: ["severity"])
  public static let failures = MetricDeclaration(
    "smartcontent_incident_refresh_failures_total", "Times that incidents could not be read.",
    .counter)

  public static let catalog = [open, incident, events, contributor, total, failures]

  private struct State {
    var open: [IncidentRow] = []
    var counts: [IncidentRow.Severity: Int64] = [:]
  }

  private let view: ReadViewSource
  private let refreshing: RepeatedRefresh
  private let state = Mutex(State())

  public init(view: ReadViewSource, registry: MetricRegistry, log: Logger) {
    self.view = view
    refreshing = RepeatedRefresh(
      "incidents", every: Self.interval, failures: registry.counter(Self.failures).with(), log: log)
    registry.computed(Self.open) { [weak self] in
      var counts: [[String]: Int] = [:]
      for row in self?.state.withLock(\.open) ?? [] {
        counts[[row.site, row.severity.name, row.kind.name], default: 0] += 1
      }
      return counts.map { MetricSample($0.key, Double($0.value)) }
    }
    registry.computed(Self.incident) { [weak self] in
      (self?.state.withLock(\.open) ?? []).prefix(Self.namedMax).map { row in
        MetricSample(
          [
            "\(row.id)", row.site, row.campaign, row.content, row.kind.name, row.severity.name,
          ], 1)
      }
    }
    registry.computed(Self.events) { [weak self] in
      (self?.state.withLock(\.open) ?? []).prefix(Self.namedMax).flatMap { row in
        [
          ("observed", Double(row.observed)), ("expected", row.expected), ("lower", row.lower),
          ("upper", row.upper),
        ].map { MetricSample(["\(row.id)", $0.0], $0.1) }
      }
    }
    registry.computed(Self.contributor) { [weak self] in
      (self?.state.withLock(\.open) ?? []).prefix(Self.namedMax).compactMap { row in
        row.contributor.map {
          MetricSample(["\(row.id)", $0.dimension.name, $0.value], $0.share)
        }
      }
    }
    registry.computed(Self.total) { [weak self] in
      let counts = self?.state.withLock(\.counts) ?? [:]
      return IncidentRow.Severity.allCases.map { MetricSample([$0.name], Double(counts[$0] ?? 0)) }
    }
  }

  public func start() { refreshing.start { [weak self] in await self?.refresh() } }

  public func stop() { refreshing.stop() }

  func refresh() async {
    guard let reader = view.current().incidents else { return }
    do throws(ViewReadError) {
      let rows = try await reader.incidents(IncidentQuestion(isOpen: true, limit: Self.readMax))
      let counts = try await reader.incidentCounts()
      let open = rows.filter { $0.group == $0.id }.sorted { a, b in
        a.severity == b.severity
          ? (a.begin, a.id) > (b.begin, b.id) : a.severity > b.severity
      }
      state.withLock { $0 = State(open: open, counts: counts) }
      refreshing.note(nil)
    } catch {
      refreshing.note("\(error)")
    }
  }
}
