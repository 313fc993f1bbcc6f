public import States

/// What a policy would have earned per decision, estimated from decisions of another one.
///
/// The estimators as Saito, Aihara, Matsutani and Narita 2021 ("Open Bandit Dataset and Pipeline") have them:
/// inverse propensity scores (Horvitz and Thompson 1952), the same self-normalised (Swaminathan and Joachims
/// 2015), the direct method, doubly robust (Dudík, Langford and Li 2011), self-normalised too, switch-DR (Wang,
/// Agarwal and Dudík 2017) and DR with optimistic shrinkage (Su and others 2020).
///
/// Which to believe: IPS and DR are unbiased whatever the model, with a variance that grows with the weights;
/// the direct method is as wrong as its model; the rest give up some bias for less variance. All fail where the
/// logging policy never showed what the other would show, which nothing in the log can tell: log propensities
/// above 0 for every arm. Sums only: additive, so estimates of parts of a log can be merged, and an event can
/// be taken back, but for the last digits.
public struct OffPolicyEstimates: Sendable, Equatable {
  /// Weights above it count for nothing in switch-DR.
  public let switchThreshold: Double
  /// λ of the optimistic shrinkage w λ / (w² + λ).
  public let shrinkage: Double
  public private(set) var count = 0.0
  private var weights = 0.0
  private var squaredWeights = 0.0
  private var weightedRewards = 0.0
  private var weightedErrors = 0.0
  private var expected = 0.0
  private var switchedErrors = 0.0
  private var shrunkErrors = 0.0

  public init(
    switchThreshold: Double = 5, shrinkage: Double = 10
  ) throws(OffPolicyError) {
    guard switchThreshold >= 0 else {
      throw .parameter("switchThreshold", switchThreshold, allowed: "at least 0")
    }
    guard shrinkage > 0, shrinkage.isFinite else {
      throw .parameter("shrinkage", shrinkage, allowed: "above 0")
    }
    self.switchThreshold = switchThreshold
    self.shrinkage = shrinkage
  }

  public mutating func add(_ decision: LoggedDecision) throws(OffPolicyError) {
    try decision.check()
    add(decision, sign: 1)
  }

  /// Takes back what was added: a bot's, or an erased person's.
  public mutating func remove(_ decision: LoggedDecision) throws(OffPolicyError) {
    try decision.check()
    add(decision, sign: -1)
  }

  private mutating func add(_ decision: LoggedDecision, sign: Double) {
    let weight = decision.weight
    let error = decision.reward - decision.predicted
    count += sign
    weights += sign * weight
    squaredWeights += sign * weight * weight
    weightedRewards += sign * weight * decision.reward
    weightedErrors += sign * weight * error
    expected += sign * decision.expected
    if weight <= switchThreshold { switchedErrors += sign * weight * error }
    shrunkErrors += sign * (weight * shrinkage / (weight * weight + shrinkage)) * error
  }

  /// Adds the decisions of another part of the log, of the same parameters.
  public mutating func merge(_ other: Self) {
    precondition(
      switchThreshold == other.switchThreshold && shrinkage == other.shrinkage,
      "estimates of other parameters are not added up")
    count += other.count
    weights += other.weights
    squaredWeights += other.squaredWeights
    weightedRewards += other.weightedRewards
    weightedErrors += other.weightedErrors
    expected += other.expected
    switchedErrors += other.switchedErrors
    shrunkErrors += other.shrunkErrors
  }

  // Each is 0 while nothing is known.

  /// Near 1 where the log says much.
  public var meanWeight: Double { ratio(weights, count) }
  public var inversePropensity: Double { ratio(weightedRewards, count) }
  public var selfNormalized: Double { ratio(weightedRewards, weights) }
  public var direct: Double { ratio(expected, count) }
  public var doublyRobust: Double { direct + ratio(weightedErrors, count) }
  public var selfNormalizedDoublyRobust: Double { direct + ratio(weightedErrors, weights) }
  public var switchDoublyRobust: Double { direct + ratio(switchedErrors, count) }
  public var optimisticDoublyRobust: Double { direct + ratio(shrunkErrors, count) }

  /// As many decisions of the policy itself would tell as much (Kish 1965); far below ``count`` says that
  /// the log knows little of it.
  public var effectiveCount: Double { ratio(weights * weights, squaredWeights) }

  private func ratio(_ part: Double, _ whole: Double) -> Double { whole > 0 ? part / whole : 0 }
}

extension OffPolicyEstimates: CodedState {
  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.check(switchThreshold)
    try codec.check(shrinkage)
    try codec.code(&count)
    try codec.code(&weights)
    try codec.code(&squaredWeights)
    try codec.code(&weightedRewards)
    try codec.code(&weightedErrors)
    try codec.code(&expected)
    try codec.code(&switchedErrors)
    try codec.code(&shrunkErrors)
  }
}
