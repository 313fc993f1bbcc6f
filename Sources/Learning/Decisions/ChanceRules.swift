/// What becomes of a policy's chances before they are served.
struct ChanceRules: Sendable, Equatable {
  /// Whether no guardrail has stopped an arm.
  let allowed: [Bool]
  private let floor: Double
  /// Of decisions that are the policy's.
  private let rampShare: Double
  private let first: Propensities
  /// Of decisions that go to any arm while the default arm is imitated.
  private let exploration: Double
  /// Whether the default arm is still imitated.
  var isApprentice: Bool

  init(
    _ plan: DecisionPlan, allowed: [Bool], rampShare: Double, isApprentice: Bool = false
  ) {
    self.allowed = allowed
    self.rampShare = rampShare
    self.isApprentice = isApprentice
    floor = plan.floor
    first = Propensities(only: plan.defaultArm, of: plan.arms.count)
    exploration = plan.apprenticeship?.exploration ?? 0
  }

  /// The policy's own, with the floor and without stopped arms.
  func own(_ chances: [Double], _ policy: DecisionPolicy) -> Propensities {
    // Who always shows the same arm does so.
    Propensities(chances, floor: policy == .fixed ? 0 : floor, allowed: allowed)
  }

  /// What is served.
  func served(_ chances: [Double], _ policy: DecisionPolicy) -> Propensities {
    var served: Propensities
    if isApprentice {
      let any = Propensities(allowed.map { _ in 1 }, allowed: allowed)
      served = first.mixed(with: any, share: exploration)
    } else {
      served = own(chances, policy)
    }
    if rampShare < 1 { served = first.mixed(with: served, share: rampShare) }
    return served
  }
}
