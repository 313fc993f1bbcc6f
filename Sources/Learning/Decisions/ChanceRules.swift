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

  /// The policy's own, before they are rounded.
  func ownShares(_ chances: [Double], _ policy: DecisionPolicy) -> [Double] {
    let isOpen = allowed.contains(true) ? allowed : allowed.map { _ in true }
    let count = isOpen.filter { $0 }.count
    let least = policy == .fixed ? 0 : min(floor, 1 / Double(max(1, count)))
    var weights = zip(chances, isOpen).map { $1 && $0 > 0 && $0 < .infinity ? $0 : 0 }
    var total = weights.reduce(0, +)
    if !(total > 0 && total < .infinity) {
      weights = isOpen.map { $0 ? 1 : 0 }
      total = Double(count)
    }
    let rest = 1 - least * Double(count)
    return zip(weights, isOpen).map { $1 ? least + rest * $0 / total : 0 }
  }

  /// What is served, before it is rounded.
  func servedShares(_ chances: [Double], _ policy: DecisionPolicy) -> [Double] {
    let defaults = first.parts.map { $0 > 0 ? 1.0 : 0 }
    var served = ownShares(chances, policy)
    if isApprentice {
      let count = Double(max(1, allowed.filter { $0 }.count))
      served = zip(defaults, allowed).map {
        $0 * (1 - exploration) + ($1 ? exploration / count : 0)
      }
    }
    guard rampShare < 1 else { return served }
    return zip(defaults, served).map { $0 * (1 - rampShare) + $1 * rampShare }
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
