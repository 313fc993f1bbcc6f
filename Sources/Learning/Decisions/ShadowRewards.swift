import States
import Statistics

/// What the shadows of a plan would have earned by what is known until now, with a model of rewards: sums by context and arm,
/// from which the estimates follow with the model of the same moment.
///
///     Σ decisions ( Σ arms π q  +  w (r − q) )  =  Σ cells ( Σ π · q  +  Σ w r  −  Σ w · q )
///
/// The model, q, is that of ``RewardTable``, of the same decisions: so the numbers are those of a replay of them
/// (``PolicyEvaluation``), and what is taken back leaves no trace.
struct ShadowRewards: Equatable {
  /// Of a shadow in a cell.
  fileprivate struct Sums: Equatable {
    /// Σ π, in 2^32ths.
    var chances: Int64 = 0
    /// Σ w and Σ w r, in 2^40ths and 65,536ths of them.
    var weights: Int128 = 0
    var weighted: Int128 = 0
    /// The same without weights above the threshold.
    var switchedWeights: Int128 = 0
    var switchedWeighted: Int128 = 0

    mutating func add(_ other: Self) {
      chances += other.chances
      weights += other.weights
      weighted += other.weighted
      switchedWeights += other.switchedWeights
      switchedWeighted += other.switchedWeighted
    }
  }

  fileprivate struct Row: ContextRow {
    var table: RewardTable.Row
    /// By arm, then by shadow.
    var sums: [Sums]

    init(arms: Int, shadows: Int) {
      table = RewardTable.Row(arms: arms)
      sums = [Sums](repeating: Sums(), count: arms * shadows)
    }

    var isEmpty: Bool { table.isEmpty }

    mutating func add(_ other: Self) {
      table.add(other.table)
      for place in sums.indices { sums[place].add(other.sums[place]) }
    }
  }

  /// What a shadow would have earned per decision.
  struct Estimate: Equatable {
    var doublyRobust = 0.0
    var switchDoublyRobust = 0.0
  }

  private(set) var count: Int64 = 0
  private var rewards: Int64 = 0
  private let arms: Int
  private let shadows: Int
  private var rows: ContextRows<Row>

  private static let scale = 0x1p40
  /// Weights above it count for nothing in switch-DR, as in ``OffPolicyEstimates``.
  private static let switchThreshold = 5.0

  init(arms: Int, shadows: Int) {
    self.arms = arms
    self.shadows = shadows
    rows = ContextRows(
      countMax: RewardTable.cellCountMax / max(1, arms), empty: Row(arms: arms, shadows: shadows))
  }

  /// - Parameters:
  ///   - weights: by how much each shadow would have shown the arm more often.
  ///   - reward: 65,536ths.
  mutating func add(
    _ decision: ModelledDecision, weights: [Double], reward: Int64, sign: Int64
  ) {
    count += sign
    rewards += sign * reward
    rows.change(decision.context) { row in
      row.table.trials[decision.arm] += sign
      row.table.rewards[decision.arm] += sign * reward
      for shadow in 0..<shadows {
        for (arm, chance) in decision.shadows[shadow].enumerated() {
          row.sums[arm * shadows + shadow].chances += sign * Int64(chance)
        }
        let weight = Int128((weights[shadow] * Self.scale).rounded()) * Int128(sign)
        let place = decision.arm * shadows + shadow
        row.sums[place].weights += weight
        row.sums[place].weighted += weight * Int128(reward)
        guard weights[shadow] <= Self.switchThreshold else { continue }
        row.sums[place].switchedWeights += weight
        row.sums[place].switchedWeighted += weight * Int128(reward)
      }
    }
  }

  /// Of each shadow; 0 where nothing is known.
  func report() -> [Estimate] {
    var estimates = [Estimate](repeating: Estimate(), count: shadows)
    guard count > 0 else { return estimates }
    let one = Double(RewardBins.one)
    let mean = Double(rewards) / one / Double(count)
    for row in rows.all {
      for arm in 0..<arms {
        let predicted = RewardTable.prediction(
          trials: row.table.trials[arm], rewards: row.table.rewards[arm], mean: mean)
        for shadow in 0..<shadows {
          let sums = row.sums[arm * shadows + shadow]
          let expected = Double(sums.chances) * 0x1p-32 * predicted
          func error(_ weighted: Int128, _ weights: Int128) -> Double {
            (Double(weighted) / one - Double(weights) * predicted) / Self.scale
          }
          estimates[shadow].doublyRobust += expected + error(sums.weighted, sums.weights)
          estimates[shadow].switchDoublyRobust +=
            expected + error(sums.switchedWeighted, sums.switchedWeights)
        }
      }
    }
    for shadow in estimates.indices {
      estimates[shadow].doublyRobust /= Double(count)
      estimates[shadow].switchDoublyRobust /= Double(count)
    }
    return estimates
  }
}

extension ShadowRewards: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.check(arms)
    try codec.check(shadows)
    try codec.code(&count)
    try codec.code(&rewards)
    try codec.code(&rows)
  }
}

extension ShadowRewards.Row: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&table)
    try codec.code(each: &sums)
  }
}

extension ShadowRewards.Sums: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&chances)
    try codec.code(&weights)
    try codec.code(&weighted)
    try codec.code(&switchedWeights)
    try codec.code(&switchedWeighted)
  }
}
