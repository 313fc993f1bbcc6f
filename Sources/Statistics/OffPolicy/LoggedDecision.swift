/// A decision as it was logged, with what came of it and what another policy would have done.
public struct LoggedDecision: Sendable, Equatable {
  /// Of the arm that was shown, such as 1 for a click.
  public var reward: Double
  /// The logged chance with which the arm was shown; above 0.
  public var propensity: Double
  /// The chance with which the policy under evaluation would have shown it.
  public var probability: Double
  /// What a model expects of the arm that was shown; 0 without a model.
  public var predicted: Double
  /// What the model expects of the policy under evaluation: Σ over arms of its chance times the prediction.
  public var expected: Double

  public init(
    reward: Double, propensity: Double, probability: Double, predicted: Double = 0,
    expected: Double = 0
  ) {
    self.reward = reward
    self.propensity = propensity
    self.probability = probability
    self.predicted = predicted
    self.expected = expected
  }

  /// By how much the policy under evaluation would have shown the arm more often.
  public var weight: Double { probability / propensity }

  func check() throws(OffPolicyError) {
    guard propensity > 0, propensity <= 1 else {
      throw .decision("propensity", propensity, allowed: "above 0, at most 1")
    }
    guard probability >= 0, probability <= 1 else {
      throw .decision("probability", probability, allowed: "0 to 1")
    }
    guard reward.isFinite else { throw .decision("reward", reward, allowed: "a finite number") }
    guard predicted.isFinite, expected.isFinite else {
      throw .decision("prediction", predicted, allowed: "a finite number")
    }
  }
}

/// What a policy can't be evaluated from.
public enum OffPolicyError: Error, Equatable, CustomStringConvertible {
  case decision(String, Double, allowed: String)
  case parameter(String, Double, allowed: String)

  public var description: String {
    switch self {
    case .decision(let name, let value, let allowed):
      "a logged decision has the \(name) \(value); it must be \(allowed)"
    case .parameter(let name, let value, let allowed): "\(name) is \(value); it must be \(allowed)"
    }
  }
}
