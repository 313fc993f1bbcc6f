import States
import Statistics

/// What the shadow policies of a plan would have earned, estimated from the decisions that were made, beside what was
/// earned.
///
/// A decision is scored once its reward window has passed, with the chances that were logged with it, by inverse
/// propensities and doubly robust, in intervals that may be looked at any time (``OffPolicySequence``,
/// ``DoublyRobustSequence``); the model of rewards is what was settled before it (``RewardTable``). Decisions that were not drawn
/// from the policy's chances are left out: hold-outs, fallbacks, repeated arms; and those whose own event was lost,
/// with which the shadows' chances are gone. Two shadows and a decision of ten arms cost some 3 µs.
struct ShadowScores: Equatable {
  private(set) var count = 0
  private var served: OffPolicySequence
  private var shadows: [Score]
  private var table: RewardTable
  /// Of any decision's weight: one over the floor.
  private let weightMax: Double

  fileprivate struct Score: Equatable {
    var estimates: OffPolicyEstimates
    var sequence: OffPolicySequence
    var robust: DoublyRobustSequence
    /// Of what it would have earned more, with 1 added.
    var advantageBelow: LowerBoundSequence
    var advantageAbove: EmpiricalBernsteinSequence
    var modelled = 0
    /// Weights that were above the greatest one.
    var clipped = 0
  }

  init(_ plan: DecisionPlan) { self.init(plan, count: plan.shadows.count) }

  init(_ plan: DecisionPlan, count shadowCount: Int) {
    // Below it chances come from arms that are all but out; intervals without an end would say nothing.
    weightMax = min(1_000, 1 / max(plan.floor, 0.001))
    table = RewardTable(arms: plan.arms.count)
    // All shadows together are wrong that seldom.
    let alpha = Self.alpha / Double(max(1, shadowCount))
    do {
      served = try OffPolicySequence(weightMax: 1)
      shadows = try (0..<shadowCount).map { [weightMax] _ in
        Score(
          estimates: try OffPolicyEstimates(),
          sequence: try OffPolicySequence(weightMax: weightMax),
          robust: try DoublyRobustSequence(scale: weightMax),
          advantageBelow: try LowerBoundSequence(alpha: alpha / 2, scale: weightMax),
          // Half of the chance of being wrong is on its upper side.
          advantageAbove: try EmpiricalBernsteinSequence(alpha: alpha))
      }
    } catch {
      preconditionFailure("the parameters of estimates are within their ranges: \(error)")
    }
  }

  private static let alpha = 0.05

  /// What a decision adds.
  struct Scored {
    /// 65,536ths.
    var reward: Int64
    /// With which it was drawn.
    var propensity: Double
    /// Of the arm, with each policy.
    var chances: [Double]
    /// nil where the chances of all arms are not kept.
    var modelled: ModelledDecision?

    /// - Returns: nil where the decision says nothing of the shadows.
    init?(
      _ facts: DecisionEntry.Facts, reward: Int64, chances: [Double],
      modelled: ModelledDecision? = nil
    ) {
      guard facts.flags.isDrawn, facts.propensity > 0 else { return nil }
      self.reward = reward
      propensity = facts.propensity
      self.chances = chances
      self.modelled = modelled
    }
  }

  /// - Parameter chances: of the decision's arm, with each policy.
  mutating func add(
    _ facts: DecisionEntry.Facts, reward: Int64, chances: [Double],
    modelled: ModelledDecision? = nil
  ) {
    if let scored = Scored(facts, reward: reward, chances: chances, modelled: modelled) {
      add(scored)
    }
  }

  mutating func add(_ scored: Scored) {
    guard scored.chances.count == shadows.count else { return }
    count += 1
    let reward = Double(scored.reward) / Double(RewardBins.one)
    let predicted = scored.modelled.map { table.predictions($0.context) }
    do {
      try served.add(LoggedDecision(reward: reward, propensity: 1, probability: 1))
      for (index, chance) in scored.chances.enumerated() {
        var decision = LoggedDecision(
          reward: reward, propensity: scored.propensity, probability: chance)
        if let modelled = scored.modelled, let predicted {
          try shadows[index].addRobust(&decision, modelled, index, predicted)
        }
        try shadows[index].estimates.add(decision)
        let gain = (decision.weight - 1) * reward
        try shadows[index].advantageBelow.add(max(0, gain + 1))
        if decision.weight > weightMax {
          // Too little, which keeps the lower bound what it is.
          decision.probability = weightMax * scored.propensity
          shadows[index].clipped += 1
        }
        try shadows[index].sequence.add(decision)
        let clipped = (decision.weight - 1) * reward
        try shadows[index].advantageAbove.add(min(1, max(0, (clipped + 1) / weightMax)))
      }
    } catch {
      preconditionFailure("chances and rewards are within their ranges: \(error)")
    }
    if let modelled = scored.modelled {
      table.add(context: modelled.context, arm: modelled.arm, reward: scored.reward)
    }
  }

  /// In the order of the plan's shadows.
  func report() -> [ShadowReport] {
    shadows.map { score in
      ShadowReport(
        decisions: count, effectiveDecisions: score.estimates.effectiveCount,
        estimate: score.estimates.selfNormalized, lower: score.sequence.lower,
        upper: score.sequence.upper, modelled: score.modelled,
        doublyRobust: score.estimates.doublyRobust,
        switchDoublyRobust: score.estimates.switchDoublyRobust, robustLower: score.robust.lower,
        robustUpper: score.robust.upper, advantageLower: score.advantageBelow.lower - 1,
        advantageUpper: min(1, score.advantageAbove.interval.upper * weightMax - 1),
        clipped: score.clipped)
    }
  }

  var servedInterval: (lower: Double, upper: Double) { (served.lower, served.upper) }
}

extension ShadowScores.Score {
  /// - Parameter decision: gets what the model expects of it.
  fileprivate mutating func addRobust(
    _ decision: inout LoggedDecision, _ modelled: ModelledDecision, _ shadow: Int,
    _ predicted: [Double]
  ) throws(OffPolicyError) {
    let probabilities = ShadowChances.chances(modelled.shadows[shadow])
    decision.predicted = predicted[modelled.arm]
    for (arm, chance) in probabilities.enumerated() {
      decision.expected += chance * predicted[arm]
    }
    try robust.add(
      arm: modelled.arm, reward: decision.reward,
      propensities: ShadowChances.chances(modelled.served), probabilities: probabilities,
      predicted: predicted)
    self.modelled += 1
  }
}

/// What a shadow policy would have earned per decision.
public struct ShadowReport: Sendable, Equatable {
  /// Decisions that were scored.
  public var decisions: Int
  /// As many of the shadow's own would tell as much.
  public var effectiveDecisions: Double
  /// Self-normalised inverse propensity scores.
  public var estimate: Double
  /// The ends of an interval of 95 % that may be looked at any time.
  public var lower: Double
  public var upper: Double
  /// Decisions that were scored with a model of rewards: those whose chances are kept.
  public var modelled: Int
  /// With the model for those that are modelled, and without it for the others.
  public var doublyRobust: Double
  public var switchDoublyRobust: Double
  /// The ends of such an interval, by doubly robust terms of those that are modelled.
  public var robustLower: Double
  public var robustUpper: Double
  /// The ends of such an interval, which holds for all shadows of the plan together, of what it would have earned more than
  /// was earned.
  public var advantageLower: Double
  public var advantageUpper: Double
  /// Decisions whose weight was above the greatest one; with some the upper ends do not hold.
  public var clipped: Int

  /// Whether it may take over: it is certain to earn more.
  public var isBetter: Bool { advantageLower > 0 }
}

extension ShadowScores: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&count)
    try codec.code(&served)
    try codec.code(each: &shadows)
    try codec.code(&table)
  }
}

extension ShadowScores.Score: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&estimates)
    try codec.code(&sequence)
    try codec.code(&robust)
    try codec.code(&advantageBelow)
    try codec.code(&advantageAbove)
    try codec.code(&modelled)
    try codec.code(&clipped)
  }
}

extension ShadowScores.Scored: CodedElement {
  static var blank: Self { Self(reward: 0, propensity: 1, chances: []) }

  private init(reward: Int64, propensity: Double, chances: [Double]) {
    self.reward = reward
    self.propensity = propensity
    self.chances = chances
  }

  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&reward)
    try codec.code(&propensity)
    try codec.code(&chances)
    try codec.code(&modelled)
  }
}
