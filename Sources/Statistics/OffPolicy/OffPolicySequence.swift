public import States

/// An interval of what a policy would have earned per decision that may be looked at any time.
///
/// After Waudby-Smith, Wu, Ramdas, Karampatziakis and Mineiro 2022 ("Anytime-valid off-policy inference for
/// contextual bandits"): weighted rewards between 0 and the greatest weight are bounded numbers with the wanted
/// mean, whatever policy logged them and however it changed meanwhile, so ``EmpiricalBernsteinSequence`` is above
/// it at all times together; ``LowerBoundSequence``, which needs no greatest weight and so is much nearer while weights are
/// smaller, is below it. The ends are the best that were known at any time.
///
/// The greatest weight is known beforehand: the evaluated policy's chance over the floor of the logging one.
/// Costs one step of each sequence a decision. The upper end is far off while the log has fewer than some hundred rewards times
/// the greatest weight.
public struct OffPolicySequence: Sendable, Equatable {
  public let weightMax: Double
  private var above: EmpiricalBernsteinSequence
  private var below: LowerBoundSequence
  public private(set) var upper = 1.0

  /// - Parameters:
  ///   - weightMax: Of any decision that may come; above 0.
  ///   - alpha: The chance of ever being wrong.
  public init(weightMax: Double, alpha: Double = 0.05) throws(OffPolicyError) {
    guard weightMax > 0, weightMax.isFinite else {
      throw .parameter("weightMax", weightMax, allowed: "above 0")
    }
    self.weightMax = weightMax
    below = try LowerBoundSequence(alpha: alpha / 2, scale: max(1, weightMax))
    do throws(ExperimentError) {
      // Half of the chance of being wrong is on its upper side.
      above = try EmpiricalBernsteinSequence(alpha: alpha)
    } catch {
      throw .parameter("alpha", alpha, allowed: "between 0 and 1")
    }
  }

  public var lower: Double { below.lower }

  /// - Parameter decision: With a reward between 0 and 1, and a weight of at most ``weightMax``.
  public mutating func add(_ decision: LoggedDecision) throws(OffPolicyError) {
    try decision.check()
    guard decision.reward >= 0, decision.reward <= 1 else {
      throw .decision("reward", decision.reward, allowed: "0 to 1")
    }
    guard decision.weight <= weightMax * (1 + 1e-12) else {
      throw .decision("weight", decision.weight, allowed: "at most \(weightMax)")
    }
    try below.add(decision.weight * decision.reward)
    do throws(ExperimentError) {
      try above.add(min(1, decision.weight * decision.reward / weightMax))
    } catch {
      preconditionFailure("a number between 0 and 1 is taken: \(error)")
    }
    upper = min(upper, above.interval.upper * weightMax)
  }
}

extension OffPolicySequence: CodedState {
  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.check(weightMax)
    try codec.code(&above)
    try codec.code(&below)
    try codec.code(&upper)
  }
}
