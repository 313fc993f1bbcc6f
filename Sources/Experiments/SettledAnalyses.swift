public import Ports
public import Statistics
import Synchronization

/// What the mature cohorts of experiments came to, so that the next answer begins there.
///
/// The sums of old cohorts are compared row by row: where one has changed, the analysis begins anew. So an
/// answer is the same to the bit as one that was computed from all cohorts at once. Of many or long experiments
/// those that were asked for longest ago are forgotten.
public final class SettledAnalyses: Sendable {
  private struct Settled: Sendable {
    let experiment: Experiment
    let outcomeWindow: Int64
    let rows: [ExperimentCohort]
    let analysis: ExperimentAnalysis
    let used: UInt64
  }

  private struct Key: Hashable {
    let id: String
    let segments: ExperimentAnalysis.SegmentSource
  }

  private struct State {
    var known: [Key: Settled] = [:]
    var uses: UInt64 = 0
  }

  /// Rows that are kept of all experiments together, some 200 bytes each.
  public static let rowCountMax = 200_000

  private let state = Mutex(State())

  public init() {}

  /// - Parameters:
  ///   - arrivals: see ``ExperimentAnalysis/results(of:_:arrivals:)``.
  ///   - segments: which of them the cohorts tell.
  public func results(
    of experiment: Experiment, _ cohorts: ExperimentCohorts, arrivals: [SampleRatioStep] = [],
    segments: ExperimentAnalysis.SegmentSource = .all
  ) throws(ExperimentError) -> ExperimentResults {
    let key = Key(id: experiment.id, segments: segments)
    var (analysis, place) = try begin(key, experiment, cohorts)
    place = try analysis.add(cohorts, from: place, mature: true)
    keep(analysis, key, experiment, cohorts, rowCount: place)
    _ = try analysis.add(cohorts, from: place, mature: false)
    return try analysis.results(cohorts, arrivals: arrivals)
  }

  private func begin(
    _ key: Key, _ experiment: Experiment, _ cohorts: ExperimentCohorts
  ) throws(ExperimentError) -> (ExperimentAnalysis, Int) {
    if let settled = state.withLock({ $0.known[key] }),
      settled.experiment == experiment, settled.outcomeWindow == cohorts.outcomeWindow,
      cohorts.cohorts.starts(with: settled.rows)
    {
      return (settled.analysis, settled.rows.count)
    }
    return (try ExperimentAnalysis(experiment, segments: key.segments), 0)
  }

  private func keep(
    _ analysis: ExperimentAnalysis, _ key: Key, _ experiment: Experiment,
    _ cohorts: ExperimentCohorts, rowCount: Int
  ) {
    guard rowCount > 0, rowCount <= Self.rowCountMax else { return }
    let rows = Array(cohorts.cohorts[..<rowCount])
    state.withLock { state in
      state.uses += 1
      state.known[key] = Settled(
        experiment: experiment, outcomeWindow: cohorts.outcomeWindow, rows: rows,
        analysis: analysis, used: state.uses)
      while state.known.values.reduce(0, { $0 + $1.rows.count }) > Self.rowCountMax,
        let oldest = state.known.min(by: { $0.value.used < $1.value.used })?.key
      {
        state.known[oldest] = nil
      }
    }
  }
}
