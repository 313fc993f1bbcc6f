import Events
import States
import Statistics

/// What is known of a decision: what was decided, and what came of it. It only says what was seen, so that the order in
/// which it was seen makes no difference.
struct DecisionEntry: Equatable {
  /// What the token says, in terms of the plan as it is now.
  struct Facts: Equatable {
    var arm: Int
    /// Microseconds since the epoch.
    var time: Int64
    /// Of the arm, above 0.
    var propensity: Double
    var flags: DecisionToken.Flags
    /// ``DecisionPlan/version`` when it was decided.
    var version: UInt32
  }

  /// A reward that somebody stated: takes the place of all others.
  struct Stated: Equatable {
    var value: Int64
    var time: Int64
    var key: Key128
  }

  /// Rewards that were seen.
  struct Earned: Equatable {
    /// 65,536ths; more than one where there were several.
    var value: Int64 = 0
    /// Of the first one.
    var first = Int64.max

    mutating func add(_ value: Int64, at time: Int64) {
      self.value += value
      first = min(first, time)
    }
  }

  /// nil where only a stated reward is known.
  var facts: Facts?
  /// Its own event was seen, not just its token.
  var isDecided = false
  /// Its first echo; `.max` while there is none.
  var echoedAt = Int64.max
  /// By events that name it.
  var named = Earned()
  /// By other events of its person.
  var attributed = Earned()
  var stated: Stated?
  /// Its update was taken back, for good.
  var isRetracted = false
  /// Whose timelines it is in: its own person's, and those whose events name it.
  var persons: [Key128] = []
  var features = DecisionFeatures.none
  /// The chance of the arm with each candidate of the plan; empty where its own event was not seen.
  var shadows: [Double] = []
  /// Of all arms; none where they are not kept.
  var chances = ShadowChances.none

  /// Of the candidate that decided, and of those that were not asked.
  static let unknownChance = -1.0

  /// What the sums have of it.
  struct Contribution: Equatable {
    var arm: Int
    var time: Int64
    /// 65,536ths, at most ``RewardBins/one``.
    var reward: Int64
    /// nil where there is no reward.
    var delay: Int64?
    var isHeldOut: Bool
  }

  /// - Returns: nil where nothing is learned from it.
  func contribution(_ plan: DecisionPlan) -> Contribution? {
    guard let facts, !isRetracted else { return nil }
    var reward = named.value + attributed.value
    var first = min(named.first, attributed.first)
    if let stated { (reward, first) = (stated.value, stated.time) }
    if case .echoed(let wait) = plan.activation, reward == 0 {
      guard echoedAt <= facts.time + wait else { return nil }
    }
    reward = min(max(0, reward), RewardBins.one)
    return Contribution(
      arm: facts.arm, time: facts.time, reward: reward,
      delay: reward > 0 ? max(0, first - facts.time) : nil,
      isHeldOut: facts.flags.contains(.holdout))
  }
}

extension DecisionEntry: CodedElement {
  static var blank: Self { Self() }

  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&facts)
    try codec.code(&isDecided)
    try codec.code(&echoedAt)
    try codec.code(&named)
    try codec.code(&attributed)
    try codec.code(&stated)
    try codec.code(&isRetracted)
    try codec.code(&persons)
    try codec.code(&features)
    try codec.code(&shadows)
    try codec.code(&chances)
  }
}

extension DecisionEntry.Facts: CodedElement {
  static var blank: Self { Self(arm: 0, time: 0, propensity: 0, flags: [], version: 0) }

  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&arm)
    try codec.code(&time)
    try codec.code(&propensity)
    var flags = flags.rawValue
    try codec.code(&flags)
    self.flags = DecisionToken.Flags(rawValue: flags)
    try codec.code(&version)
  }
}

extension DecisionEntry.Stated: CodedElement {
  static var blank: Self { Self(value: 0, time: 0, key: .zero) }

  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&value)
    try codec.code(&time)
    try codec.code(&key)
  }
}

extension DecisionEntry.Earned: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&value)
    try codec.code(&first)
  }
}

extension DecisionEntry.Contribution: CodedElement {
  static var blank: Self { Self(arm: 0, time: 0, reward: 0, delay: nil, isHeldOut: false) }

  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&arm)
    try codec.code(&time)
    try codec.code(&reward)
    try codec.code(&delay)
    try codec.code(&isHeldOut)
  }
}
