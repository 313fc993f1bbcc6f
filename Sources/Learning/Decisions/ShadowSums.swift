import States
import Statistics

/// What the shadows of a plan would have earned by what is known until now, beside what was earned: of every decision that counts,
/// though more may come of it. Whole numbers, so that what is taken back leaves no trace. Estimates with a model of rewards are
/// of those decisions whose chances are kept (``ShadowChances``).
struct ShadowSums: Equatable {
  /// What a decision adds.
  struct Part: Equatable {
    /// 65,536ths.
    var reward: Int64
    /// By how much each shadow would have shown the arm more often.
    var weights: [Double]
    /// nil where the chances of all arms are not kept.
    var modelled: ModelledDecision?
  }

  private(set) var count: Int64 = 0
  private var rewards: Int128 = 0
  /// In 2^40ths.
  private var weights: [Int128]
  private var weighted: [Int128]
  private var modelled: ShadowRewards

  /// The smallest weights still tell a billionth apart, the greatest fill a few of the upper bits.
  private static let scale = 0x1p40

  init(arms: Int, shadows shadowCount: Int) {
    modelled = ShadowRewards(arms: arms, shadows: shadowCount)
    weights = [Int128](repeating: 0, count: shadowCount)
    weighted = weights
  }

  mutating func add(_ part: Part, sign: Int64) {
    count += sign
    rewards += Int128(sign * part.reward)
    for (index, weight) in part.weights.enumerated() {
      let fixed = Int128((weight * Self.scale).rounded())
      weights[index] += Int128(sign) * fixed
      weighted[index] += Int128(sign) * fixed * Int128(part.reward)
    }
    if let decision = part.modelled {
      modelled.add(decision, weights: part.weights, reward: part.reward, sign: sign)
    }
  }

  func report() -> [ShadowEstimate] {
    let one = Double(RewardBins.one)
    return zip(zip(weights, weighted), modelled.report()).map { sums, robust in
      let (weight, sum) = (Double(sums.0) / Self.scale, Double(sums.1) / Self.scale / one)
      return ShadowEstimate(
        decisions: count, inversePropensity: count > 0 ? sum / Double(count) : 0,
        selfNormalized: weight > 0 ? sum / weight : 0, modelled: modelled.count,
        doublyRobust: robust.doublyRobust, switchDoublyRobust: robust.switchDoublyRobust)
    }
  }

  /// What was earned per decision.
  var earned: Double {
    count > 0 ? Double(rewards) / Double(RewardBins.one) / Double(count) : 0
  }
}

/// What a shadow would have earned per decision, by what is known until now.
public struct ShadowEstimate: Sendable, Equatable {
  public var decisions: Int64
  public var inversePropensity: Double
  public var selfNormalized: Double
  /// Decisions that the next two are from: those whose chances are kept.
  public var modelled: Int64
  public var doublyRobust: Double
  public var switchDoublyRobust: Double
}

extension ShadowSums: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&count)
    try codec.code(&rewards)
    try codec.code(each: &weights)
    try codec.code(each: &weighted)
    try codec.code(&modelled)
  }
}

extension ShadowSums.Part: CodedElement {
  static var blank: Self { Self(reward: 0, weights: []) }

  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&reward)
    try codec.code(&weights)
    try codec.code(&modelled)
  }
}
