import Dataflow
public import Events
public import Ports
public import Views

/// Cohorts of experiments from the durable rows of exposures and baselines.
///
/// Rows of the hot copy are left out: a cohort counts once its outcome window has passed, and by then it is
/// durable. How far the pipeline is, exposures and baselines are read one after the other; a correction that
/// comes between is whole in the next answer.
public struct ViewExperimentReader: ExperimentReader {
  private let source: ReadViewSource
  private let clock: @Sendable () -> Int64

  public init(
    _ source: ReadViewSource, clock: @escaping @Sendable () -> Int64 = QueryRoutes.systemClock
  ) {
    self.source = source
    self.clock = clock
  }

  private struct Key: Hashable {
    let bucket: Int
    let dimensions: [String]
    let currency: String
  }

  public func outcomeWindow() async throws(ViewReadError) -> Int64 {
    try Self.counting(source.current()).policy.outcomeWindow
  }

  private static func counting(
    _ view: ReadView
  ) throws(ViewReadError) -> (stage: ReadView.SecondStage, policy: ExperimentPolicy) {
    guard let stage = view.secondStage, let policy = stage.experiments else {
      throw .refused(
        "pipeline \(view.name) counts no exposures; add `experiments` to it in Streams/pipelines.yaml"
          + " with a higher version, and rebuild")
    }
    return (stage, policy)
  }

  public func cohorts(
    site: String, campaign: String, from: Int64, to: Int64, level: WindowLevel,
    by dimensions: [Dimension]
  ) async throws(ViewReadError) -> ExperimentCohorts {
    let view = source.current()
    let (stage, policy) = try Self.counting(view)
    let checkpoints = try await view.durable.checkpoints()
    let checkpoint = checkpoints[stage.stream] ?? Checkpoint()
    let hasTime = checkpoint.logTime > .min
    let end = min(to, level.start(of: hasTime ? checkpoint.logTime : clock()) + level.length)
    if let kept = level.retention, hasTime, from < checkpoint.logTime - kept {
      throw .refused(
        "windows of \(level.name) are kept \(kept / 86_400_000_000) days, and the experiment began before;"
          + " the cohort of a long one is 1h")
    }
    let starts = Array(stride(from: from, to: max(from, end), by: Int(level.length)))
    guard starts.count <= Self.cohortCountMax else {
      throw .refused(
        "the experiment has \(starts.count) cohorts of \(level.name), and \(Self.cohortCountMax) are the"
          + " most; the cohort of a long one is 1h")
    }
    let groupBy: [Dimension] = [.variant, .traffic] + dimensions
    var cohorts: [Key: ExperimentCohort] = [:]
    for measure in [Measure.exposures, .baselines] where !starts.isEmpty {
      let answer = try await view.durable.read(
        ViewSelection(
          measure: measure, site: site,
          segments: [Segment(level: level, from: from, to: end)],
          filters: [
            DimensionFilter(operation: .isAnyOf, dimension: .campaign, values: [campaign])
          ], groupBy: groupBy, buckets: starts), belowSeams: false)
      for group in answer.groups {
        let key = Key(
          bucket: group.bucket, dimensions: group.dimensions, currency: group.currency)
        func value(_ dimension: Dimension) -> String {
          groupBy.firstIndex(of: dimension).map { group.dimensions[$0] } ?? ""
        }
        let empty = ExperimentCohort(
          start: starts[group.bucket], variant: value(.variant), channel: value(.channel),
          content: value(.content), traffic: value(.traffic), currency: group.currency,
          exposures: Exposures())
        if measure == .exposures {
          cohorts[key, default: empty].exposures = Exposures(group.counts)
        } else {
          cohorts[key, default: empty].baselines = Baselines(group.counts)
        }
      }
    }
    var reach = CoverageSum(generation: view.generation, partitions: view.partitions)
    reach.advance(to: checkpoint.sources)
    return ExperimentCohorts(
      cohorts: cohorts.values.sorted { $0.order < $1.order },
      watermark: hasTime ? checkpoint.watermark : nil, outcomeWindow: policy.outcomeWindow,
      position: reach.position, logTime: hasTime ? checkpoint.logTime : nil)
  }

  /// Minutes of 90 days.
  private static let cohortCountMax = 130_000
}

extension ExperimentCohort {
  fileprivate var order: (Int64, String, String, String, String, String) {
    (start, variant, channel, content, traffic, currency)
  }
}
