import Statistics
import Views

/// Whether persons of each device, browser and country reach the variants as declared: what windows' rows don't tell of
/// them.
///
/// In windows of ten minutes or the plan's cohort, by the weights that were in force in all of it; persons of a window
/// in which they changed count nowhere. Error: ``ExperimentAnalysis/valuesAlpha`` over all values and looks together. Within a
/// window evidence grows person by person, so one that is not over yet is looked at as well.
struct AudienceRatio {
  private static let windowMin: Int64 = 600_000_000
  /// Windows' rows tell the channel.
  private static let watched: [ExperimentSegment] = [.device, .country, .browser]

  private(set) var dimensions: SampleRatioDimensions

  /// - Parameter steps: in order of time; what they say of chances is passed over.
  init(_ steps: [SampleRatioStep], of experiment: Experiment) throws(ExperimentError) {
    let plan = experiment.plan
    let length = max(Self.windowMin, plan.cohort.length)
    let range = experiment.cohortRange
    dimensions = try SampleRatioDimensions(
      arms: plan.variants.count, alpha: ExperimentAnalysis.valuesAlpha)
    var first = 0
    while first < steps.count {
      let window = Self.floor(steps[first].start, length)
      let epoch = experiment.epochs.lastIndex { $0.since <= steps[first].start }
      var visitors: [SampleRatioStep.Value: [Int]] = [:]
      var end = first
      while end < steps.count, Self.floor(steps[end].start, length) == window,
        experiment.epochs.lastIndex(where: { $0.since <= steps[end].start }) == epoch
      {
        if range.contains(steps[end].start), !experiment.changes(within: steps[end].start, plan) {
          for value in steps[end].values {
            for (arm, count) in steps[end].visitors.enumerated() {
              visitors[value, default: Array(repeating: 0, count: plan.variants.count)][arm] +=
                count
            }
          }
        }
        end += 1
      }
      first = end
      guard let epoch else { continue }
      let probabilities = experiment.epochs[epoch].shares.map {
        Double($0) / Double(Allocation.parts)
      }
      for segment in Self.watched {
        for (value, visitors) in visitors.sorted(by: { $0.key < $1.key })
        where value.dimension == segment.name {
          try dimensions.add(
            ExperimentAnalysis.name(value.dimension, value.value), visitors: visitors,
            probabilities: probabilities)
        }
      }
    }
  }

  private static func floor(_ time: Int64, _ length: Int64) -> Int64 {
    let rest = time % length
    return time - (rest < 0 ? rest + length : rest)
  }
}

extension Experiment {
  /// Whether the weights change within the plan's cohort of a time, but not at its start.
  fileprivate func changes(within time: Int64, _ plan: ExperimentPlan) -> Bool {
    let start = plan.cohort.start(of: time)
    return epochs.contains { $0.since > start && $0.since < start + plan.cohort.length }
  }
}
