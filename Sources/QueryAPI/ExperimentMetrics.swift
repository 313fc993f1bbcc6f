import Experiments
import Logging
public import Metrics
import Ports
import Statistics
import Synchronization

/// What running experiments have come to as Prometheus series, so that somebody is told when one is not to be trusted or
/// does harm, and boards show the ends that hold at any look.
///
/// A task works the results out twice a minute and a scrape takes the last ones. At most ``namedMax`` experiments are there,
/// by id: how many there could be is anybody's choice who may declare them. So whoever looks at one finds its old cohorts
/// settled (``SettledAnalyses``), and those that were stopped lately are looked at once for that alone.
public final class ExperimentMetrics: Sendable {
  private static let namedMax = 50
  private static let variantCountMax = 20
  private static let interval = Duration.seconds(30)
  /// Stopped ones that are looked at, the newest first, and how many of them each time.
  private static let stoppedMax = 20
  private static let stoppedAtOnce = 4

  public static let decision = MetricDeclaration(
    "smartcontent_experiment_decision",
    "1 for what is to be done about each running experiment now, as its results say; at most 50.",
    .gauge, labels: ["experiment", "campaign", "action"], maxSeries: namedMax)
  public static let value = MetricDeclaration(
    "smartcontent_experiment_value",
    "The metric that a running experiment is decided by, of each variant, and the ends that hold at any look.",
    .gauge, labels: ["experiment", "campaign", "variant", "end"],
    maxSeries: 3 * variantCountMax * namedMax)
  public static let lift = MetricDeclaration(
    "smartcontent_experiment_lift_ratio",
    "How much more the metric of a running experiment is than the control's, relative, and the ends that hold at any look.",
    .gauge, labels: ["experiment", "campaign", "variant", "end"],
    maxSeries: 3 * variantCountMax * namedMax)
  public static let failures = MetricDeclaration(
    "smartcontent_experiment_refresh_failures_total",
    "Times that the results of a running experiment could not be worked out.", .counter)

  public static let catalog = [decision, value, lift, failures]

  private typealias Known = (experiment: Experiment, results: ExperimentResults)

  private let catalog: ExperimentCatalog
  private let reader: any ExperimentReader
  private let follower: any ExperimentFollower
  private let settled: SettledAnalyses
  private let refreshing: RepeatedRefresh
  private let state = Mutex<[Known]>([])
  /// Stopped ones that were looked at.
  private let seen = Mutex<Set<String>>([])

  /// - Parameter settled: those of who answers requests, so that nothing is worked out twice.
  init(
    _ catalog: ExperimentCatalog, reader: any ExperimentReader,
    follower: any ExperimentFollower = NoExperimentFollower(), registry: MetricRegistry,
    settled: SettledAnalyses = SettledAnalyses(), log: Logger
  ) {
    self.catalog = catalog
    self.reader = reader
    self.settled = settled
    self.follower = follower
    refreshing = RepeatedRefresh(
      "results of experiments", every: Self.interval,
      failures: registry.counter(Self.failures).with(), log: log)
    registry.computed(Self.decision) { [weak self] in
      (self?.state.withLock { $0 } ?? []).map { known in
        MetricSample(
          Self.labels(known) + [ExperimentWriter.name(known.results.decision.action)], 1)
      }
    }
    registry.computed(Self.value) { [weak self] in self?.samples(Self.valueEnds) ?? [] }
    registry.computed(Self.lift) { [weak self] in self?.samples(Self.liftEnds) ?? [] }
  }

  public func start() { refreshing.start { [weak self] in await self?.refresh() } }

  public func stop() { refreshing.stop() }

  func refresh() async {
    var known: [Known] = []
    var problems: [String] = []
    let running = catalog.all.map(\.experiment).filter { $0.status == .running }
    for experiment in running.prefix(Self.namedMax) {
      do throws(ExperimentRefusal) {
        let results = try await ExperimentRoutes.results(
          of: experiment, reader, follower, settled)
        known.append((experiment, results))
      } catch {
        problems.append("\(experiment.id): \(error)")
      }
    }
    state.withLock { $0 = known }
    await settleStopped()
    refreshing.note(problems.isEmpty ? nil : problems.joined(separator: "; "))
  }

  /// What can't be read is told to who asks for it.
  private func settleStopped() async {
    let stopped = catalog.all.compactMap { entry -> (time: Int64, experiment: Experiment)? in
      guard case .stopped(let time, _) = entry.experiment.status else { return nil }
      return (time, entry.experiment)
    }.sorted { ($1.time, $0.experiment.id) < ($0.time, $1.experiment.id) }.prefix(Self.stoppedMax)
    let new = seen.withLock { seen in stopped.filter { !seen.contains($0.experiment.id) } }
    for (_, experiment) in new.prefix(Self.stoppedAtOnce) {
      do throws(ExperimentRefusal) {
        _ = try await ExperimentRoutes.results(of: experiment, reader, follower, settled)
      } catch {
        if case .unavailable = error { continue }
      }
      _ = seen.withLock { $0.insert(experiment.id) }
    }
  }

  private static func labels(_ known: Known) -> [String] {
    [known.experiment.id, known.experiment.plan.campaign]
  }

  private struct Ends {
    var value: Double?
    var lower: Double?
    var upper: Double?
  }

  private static func valueEnds(_ metric: ExperimentResults.MetricValue) -> Ends {
    Ends(value: metric.value?.value, lower: metric.value?.lower, upper: metric.value?.upper)
  }

  private static func liftEnds(_ metric: ExperimentResults.MetricValue) -> Ends {
    let comparison = metric.comparison
    return Ends(
      value: comparison?.lift, lower: comparison?.liftLower, upper: comparison?.liftUpper)
  }

  /// Of the first metric, which decides; nothing for what is not known.
  private func samples(_ find: (ExperimentResults.MetricValue) -> Ends) -> [MetricSample] {
    var samples: [MetricSample] = []
    for known in state.withLock({ $0 }) {
      for variant in known.results.variants {
        guard let ends = variant.metrics.first.map(find) else { continue }
        for (name, end) in [("value", ends.value), ("lower", ends.lower), ("upper", ends.upper)] {
          guard let end else { continue }
          samples.append(MetricSample(Self.labels(known) + [variant.name, name], end))
        }
      }
    }
    return samples
  }
}
