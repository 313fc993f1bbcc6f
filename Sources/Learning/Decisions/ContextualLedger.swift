import States
import Statistics

/// What a policy with context has learned from the decisions of a plan.
///
/// Those whose state is sums learn a decision at once, without reward, and take it back for the one with its reward
/// when that comes; whatever is taken back leaves no trace. The others depend on the order: they learn decisions for good
/// once their rewards are settled, by time and id, and on top of a copy of that those that are pending, in the same order.
/// So both are a function of the set.
///
/// A reward that has not come is no reward yet: of the young decisions without one so many are learned from as can be expected
/// to have had theirs by now, had they got one (``YoungDecisions``).
///
/// Of a decision that is known from its token alone no features are known: it is not learned from.
struct ContextualLedger: Sendable {
  /// A decision with what it earned so far.
  struct Example: Sendable {
    var features: [Double]
    var arm: Int
    var reward: Double
    var propensity: Double

    init?(_ entry: DecisionEntry, _ plan: DecisionPlan) {
      guard entry.isDecided, let facts = entry.facts, let part = entry.contribution(plan),
        !part.isHeldOut
      else { return nil }
      features = entry.features.only(plan.features).vector
      arm = part.arm
      reward = Double(part.reward) / Double(RewardBins.one)
      propensity = facts.propensity
    }
  }

  private var sums: (any RetractablePolicy)?
  private var settled: (any ContextualPolicy)?
  /// The snapshot: without the decisions that can still be taken back (``SettledDecisions``).
  private var base: (any ContextualPolicy)?
  /// What learns again; see ``SettledRerun``.
  private var again: (any ContextualPolicy)?

  /// - Returns: nil for policies without context.
  init?(_ policy: DecisionPolicy) {
    guard let empty = policy.contextual() else { return nil }
    if let additive = empty as? any RetractablePolicy {
      sums = additive
    } else {
      (settled, base) = (empty, empty)
    }
  }

  var isAdditive: Bool { sums != nil }

  /// The sums have one example in the place of another.
  mutating func change(from before: Example?, to after: Example?) {
    guard sums != nil else { return }
    if let before {
      sums?.unlearn(
        features: before.features, arm: before.arm, reward: before.reward,
        propensity: before.propensity)
    }
    if let after {
      sums?.learn(
        features: after.features, arm: after.arm, reward: after.reward,
        propensity: after.propensity)
    }
  }

  /// Nothing comes of a decision any more. In order of time and id.
  mutating func settle(_ example: Example) {
    settled?.learn(
      features: example.features, arm: example.arm, reward: example.reward,
      propensity: example.propensity)
  }

  /// A decision that was settled cannot be taken back any more. In the order in which they were settled.
  mutating func keepForGood(_ example: Example) {
    base?.learn(
      features: example.features, arm: example.arm, reward: example.reward,
      propensity: example.propensity)
  }

  /// Begins to learn settled decisions again, from the snapshot on; nothing for those whose state is sums.
  mutating func beginAgain() { again = base }

  /// In order of time and id, as they were settled.
  mutating func learnAgain(_ example: Example) {
    again?.learn(
      features: example.features, arm: example.arm, reward: example.reward,
      propensity: example.propensity)
  }

  /// What was learned again counts from now on.
  mutating func takeAgain() {
    guard let again else { return }
    settled = again
    self.again = nil
  }

  /// - Parameter pending: decisions that are not settled, in order of time and id.
  func model(_ pending: [Example]) -> any ContextualPolicy {
    if var sums {
      sums.settle()
      return sums
    }
    guard var model = settled else { preconditionFailure("a ledger has one of both") }
    for example in pending {
      model.learn(
        features: example.features, arm: example.arm, reward: example.reward,
        propensity: example.propensity)
    }
    return model
  }
}

extension ContextualLedger: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try sums?.code(&codec)
    try settled?.code(&codec)
    try base?.code(&codec)
    var isAgain = again != nil
    try codec.code(&isAgain)
    guard isAgain, var model = again ?? base else {
      again = nil
      return
    }
    try model.code(&codec)
    again = model
  }
}

extension ContextualLedger.Example: CodedElement {
  static var blank: Self { Self(features: [], arm: 0, reward: 0, propensity: 1) }

  private init(features: [Double], arm: Int, reward: Double, propensity: Double) {
    self.features = features
    self.arm = arm
    self.reward = reward
    self.propensity = propensity
  }

  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&features)
    try codec.code(&arm)
    try codec.code(&reward)
    try codec.code(&propensity)
  }
}
