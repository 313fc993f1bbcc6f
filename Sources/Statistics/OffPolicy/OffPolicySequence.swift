/// An interval of what a policy would have earned per decision that may be looked at any time.
///
/// After Waudby-Smith, Wu, Ramdas, Karampatziakis and Mineiro 2022 ("Anytime-valid off-policy inference for
/// contextual bandits"): weighted rewards between 0 and the greatest weight are bounded numbers with the wanted
/// mean, whatever policy logged them and however it changed meanwhile, so ``EmpiricalBernsteinSequence`` covers
/// it at all times together. The intervals are intersected as they come.
///
/// The greatest weight is known beforehand: the evaluated policy's chance over the floor of the logging one.
/// Costs one step of that sequence a decision. Wide while the log has fewer than some hundred rewards times the greatest weight.
public struct OffPolicySequence: Sendable, Equatable {
  public let weightMax: Double
  private var sequence: EmpiricalBernsteinSequence
  public private(set) var lower = 0.0
  public private(set) var upper = 1.0

  /// - Parameters:
  ///   - weightMax: Of any decision that may come; above 0.
  ///   - alpha: The chance of ever being wrong.
  public init(weightMax: Double, alpha: Double = 0.05) throws(OffPolicyError) {
    guard weightMax > 0, weightMax.isFinite else {
      throw .parameter("weightMax", weightMax, allowed: "above 0")
    }
    self.weightMax = weightMax
    do throws(ExperimentError) {
      sequence = try EmpiricalBernsteinSequence(alpha: alpha)
    } catch {
      throw .parameter("alpha", alpha, allowed: "between 0 and 1")
    }
  }

  /// - Parameter decision: With a reward between 0 and 1, and a weight of at most ``weightMax``.
  public mutating func add(_ decision: LoggedDecision) throws(OffPolicyError) {
    try decision.check()
    guard decision.reward >= 0, decision.reward <= 1 else {
      throw .decision("reward", decision.reward, allowed: "0 to 1")
    }
    guard decision.weight <= weightMax * (1 + 1e-12) else {
      throw .decision("weight", decision.weight, allowed: "at most \(weightMax)")
    }
    do throws(ExperimentError) {
      try sequence.add(min(1, decision.weight * decision.reward / weightMax))
    } catch {
      preconditionFailure("a number between 0 and 1 is taken: \(error)")
    }
    let interval = sequence.interval
    lower = max(lower, interval.lower * weightMax)
    upper = min(upper, interval.upper * weightMax)
  }
}
