import States
import Statistics

/// A model of rewards: of each arm in each context what it earned, drawn to the mean of all as by twenty decisions.
///
/// The simplest model that doubly robust estimates can do with; it is that of the golden numbers of the Open Bandit
/// Pipeline that replays are held against (``PolicyEvaluation``). At most 4,096 cells; see ``ContextRows`` for what comes beyond them.
struct RewardTable: Equatable {
  struct Row: ContextRow {
    var trials: [Int64]
    /// 65,536ths.
    var rewards: [Int64]

    init(arms: Int) {
      trials = [Int64](repeating: 0, count: arms)
      rewards = trials
    }

    var isEmpty: Bool { trials.allSatisfy { $0 == 0 } }

    mutating func add(_ other: Self) {
      for arm in trials.indices {
        trials[arm] += other.trials[arm]
        rewards[arm] += other.rewards[arm]
      }
    }
  }

  static let cellCountMax = 4_096
  /// Decisions that the mean of all weighs as much as.
  static let prior = 20.0

  private let arms: Int
  private var rows: ContextRows<Row>
  private var trials: Int64 = 0
  private var rewards: Int64 = 0

  init(arms: Int) {
    self.arms = arms
    rows = ContextRows(countMax: Self.cellCountMax / max(1, arms), empty: Row(arms: arms))
  }

  /// - Parameters:
  ///   - context: ``DecisionFeatures/digest``.
  ///   - reward: 65,536ths.
  mutating func add(context: UInt32, arm: Int, reward: Int64) {
    trials += 1
    rewards += reward
    rows.change(context) { row in
      row.trials[arm] += 1
      row.rewards[arm] += reward
    }
  }

  /// What each arm is expected to earn in a context, between 0 and 1.
  func predictions(_ context: UInt32) -> [Double] {
    let mean = trials > 0 ? Self.share(rewards) / Double(trials) : 0
    guard let row = rows.row(context) else { return [Double](repeating: mean, count: arms) }
    return zip(row.trials, row.rewards).map {
      Self.prediction(trials: $0, rewards: $1, mean: mean)
    }
  }

  static func prediction(trials: Int64, rewards: Int64, mean: Double) -> Double {
    (share(rewards) + prior * mean) / (Double(trials) + prior)
  }

  private static func share(_ rewards: Int64) -> Double {
    Double(rewards) / Double(RewardBins.one)
  }
}

extension RewardTable: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.check(arms)
    try codec.code(&rows)
    try codec.code(&trials)
    try codec.code(&rewards)
  }
}

extension RewardTable.Row: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(each: &trials)
    try codec.code(each: &rewards)
  }
}
