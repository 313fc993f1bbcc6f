/// An interval of what a policy would have earned per decision, by a model of rewards and what was earned beside it, that may
/// be looked at any time.
///
/// Doubly robust terms (Dudík, Langford and Li 2011), w (r − q) + Σ π q, have the wanted mean whatever the model q says, if
/// it was made from earlier decisions; the better it is, the less they vary. After Waudby-Smith and others 2022 each prediction is cut at one
/// over the weight of its arm, so that no term is below −1, and ``LowerBoundSequence`` holds for them without a greatest
/// weight; the upper end is that of what is not earned, one minus the reward, in the same way.
///
/// Valid also where an arm that the policy would show had no chance: then the ends are farther away. Cost: some ns an arm and 0.1 µs a
/// decision. Where rewards are rare the lower end is as good as without a model, and the upper end much better.
public struct DoublyRobustSequence: Sendable, Equatable {
  private var below: LowerBoundSequence
  private var above: LowerBoundSequence

  /// - Parameters:
  ///   - alpha: the chance of ever being wrong.
  ///   - scale: how large weights may well be, at least 1; see ``LowerBoundSequence``.
  public init(alpha: Double = 0.05, scale: Double = 1) throws(OffPolicyError) {
    let scale = max(1, scale / 2)
    below = try LowerBoundSequence(alpha: alpha / 2, scale: scale)
    above = try LowerBoundSequence(alpha: alpha / 2, scale: scale)
  }

  // Terms are from −1 on, and means at most 1: with 1 added and halved they are what the sequence takes.
  public var lower: Double { max(0, 2 * below.lower - 1) }
  public var upper: Double { min(1, 2 - 2 * above.lower) }

  /// - Parameters:
  ///   - arm: which was shown; with a chance above 0.
  ///   - reward: between 0 and 1.
  ///   - propensities: of all arms, with which it was drawn.
  ///   - probabilities: of all arms, with the policy under evaluation.
  ///   - predicted: of all arms, between 0 and 1, by what was known before.
  public mutating func add(
    arm: Int, reward: Double, propensities: [Double], probabilities: [Double], predicted: [Double]
  ) throws(OffPolicyError) {
    guard propensities[arm] > 0 else {
      throw .decision("propensity", propensities[arm], allowed: "above 0, at most 1")
    }
    guard reward >= 0, reward <= 1 else { throw .decision("reward", reward, allowed: "0 to 1") }
    var (earned, missed) = (0.0, 0.0)
    for arm in propensities.indices where probabilities[arm] > 0 {
      earned += min(probabilities[arm] * predicted[arm], propensities[arm])
      missed += min(probabilities[arm] * (1 - predicted[arm]), propensities[arm])
    }
    let weight = probabilities[arm] / propensities[arm]
    if weight > 0 {
      earned += weight * (reward - min(predicted[arm], 1 / weight))
      missed += weight * (1 - reward - min(1 - predicted[arm], 1 / weight))
    }
    // Not below 0 but by what is rounded.
    try below.add(max(0, (earned + 1) / 2))
    try above.add(max(0, (missed + 1) / 2))
  }
}
