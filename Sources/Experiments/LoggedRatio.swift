import Events
import Statistics

/// Whether persons reach the variants by the chances that their exposures say, however those change from one to the next,
/// as a bandit's do.
///
/// It takes the place of the check by declared weights where at least half of the experiment's persons say them: fewer may
/// be a test that somebody made, or a client that is not up to date, and say nothing of the rest. Error:
/// ``ExperimentAnalysis/sampleRatioAlpha`` over all persons, and as much again over devices, browsers, countries and
/// channels, for all looks together.
struct LoggedRatio {
  private(set) var monitor: SampleRatioMonitor
  private(set) var dimensions: SampleRatioDimensions

  /// - Parameters:
  ///   - steps: in order of time.
  ///   - persons: of the experiment so far.
  /// - Returns: nil where too few of them say their chances.
  init?(
    _ steps: [SampleRatioStep], of plan: ExperimentPlan, persons: Int
  ) throws(ExperimentError) {
    let steps = steps.filter { !$0.probabilities.isEmpty }
    let count = steps.reduce(0) { $0 + $1.visitors.reduce(0, +) }
    guard count > 0, 2 * count >= persons else { return nil }
    monitor = try SampleRatioMonitor(
      arms: plan.variants.count, alpha: ExperimentAnalysis.sampleRatioAlpha)
    dimensions = try SampleRatioDimensions(
      arms: plan.variants.count, alpha: ExperimentAnalysis.sampleRatioAlpha)
    for step in steps {
      try monitor.add(visitors: step.visitors, probabilities: step.probabilities)
      for value in step.values {
        // By which channel somebody came may hang on the variant, unless the plan says that it does not.
        guard
          value.dimension != ExperimentSegment.channel.name || plan.segments.contains(.channel)
        else { continue }
        try dimensions.add(
          ExperimentAnalysis.name(value.dimension, value.value), visitors: step.visitors,
          probabilities: step.probabilities)
      }
    }
  }
}
