public import States
import Statistics

/// What has been learned of a plan beside its chances: how its shadows do, what those earn who take no part, and what came in.
public struct PlanLearning: Sendable, Equatable {
  /// What happened, for metrics.
  public struct Counts: Sendable, Equatable {
    /// Events of decisions.
    public var decisions: UInt64 = 0
    /// Known from an echo while their own event had not come.
    public var rebuilt: UInt64 = 0
    public var rewards: UInt64 = 0
    /// Of decisions whose reward window is over.
    public var tooLate: UInt64 = 0
    /// Of arms that the plan does not have.
    public var otherPlan: UInt64 = 0
    /// Forgotten before their time, for want of room.
    public var evicted: UInt64 = 0
    /// Decisions or rewards of persons who have too many, and sticky persons for whom there was no room.
    public var crowded: UInt64 = 0
    /// Taken back.
    public var retracted: UInt64 = 0
    /// Retractions of decisions, or of persons with some, that were settled too long ago to be taken back.
    public var retractedTooLate: UInt64 = 0

    public init() {}
  }

  /// Decisions and rewards of an arm among persons who take no part.
  public struct HeldOut: Sendable, Equatable {
    public var trials: Int64
    public var rewards: Double
  }

  /// Settled decisions of a plan that can be taken back: the latest.
  public static let retractableCount = SettledDecisions.countMax

  public let counts: Counts
  /// Decisions whose rewards may still come.
  public let pending: Int
  /// Retractions that the newest model does not know of yet.
  public let pendingRetractions: Int
  /// Whether those that depend on the order of decisions learn again without some, and how often they have.
  public let isRerunning: Bool
  public let reruns: UInt64
  /// By arm.
  public let heldOut: [HeldOut]
  /// In the order of the plan's shadows.
  public let shadows: [ShadowReport]
  /// The ends of an interval of 95 %, which may be looked at any time, of what was earned by the decisions that
  /// the shadows are scored by.
  public let servedLower: Double
  public let servedUpper: Double
  /// Of all decisions until now, though more may come of them; in the order of the shadows.
  public let soFar: [ShadowEstimate]
  public let earnedSoFar: Double
  /// nil while the declared policy decides, and has always done so.
  public let promotion: DecisionPromotion?
  /// What is to be said in the log next; nil where nothing is.
  public let due: DecisionPromotion?

  /// - Parameter logTime: microseconds since the epoch.
  init(_ ledger: PlanLedger, _ snapshot: PolicySnapshot, at logTime: Int64) {
    counts = ledger.counts
    pending = ledger.entryCount
    pendingRetractions = ledger.pendingRetractions
    isRerunning = ledger.isRerunning
    reruns = ledger.rerunCount
    heldOut = ledger.heldOut.map {
      HeldOut(trials: $0.trials, rewards: Double($0.rewards) / Double(RewardBins.one))
    }
    shadows = ledger.shadows.report()
    (servedLower, servedUpper) = ledger.shadows.servedInterval
    soFar = ledger.soFar.report()
    earnedSoFar = ledger.soFar.earned
    promotion = ledger.promotion
    due = ledger.dueByBound(snapshot, shadows, at: logTime) ?? ledger.dueAnew(at: logTime)
  }
}

extension PlanLedger {
  /// The promotion that the plan's own rule asks for: of the shadow that earns most more than what is served for certain.
  /// What is served is compared with nothing while it is not the policy's: on a ramp, or while an apprentice learns.
  fileprivate func dueByBound(
    _ snapshot: PolicySnapshot, _ reports: [ShadowReport], at logTime: Int64
  ) -> DecisionPromotion? {
    guard plan.promotion == .lowerBound, !snapshot.isApprentice, logTime >= plan.ramp?.end ?? .min
    else { return nil }
    let best = zip(plan.shadows, reports).filter { $0.1.isBetter }
      .max { $0.1.advantageLower < $1.1.advantageLower }
    return best.map { shadow, report in
      DecisionPromotion(
        plan: plan.id, version: declaredVersion, policy: shadow.name, since: logTime,
        cause: .lowerBound, evidence: .init(report))
    }
  }

  /// The present promotion, where it was said so long ago that who begins to read later would not hear of it.
  fileprivate func dueAnew(at logTime: Int64) -> DecisionPromotion? {
    promotionSaidAt != .min && logTime - promotionSaidAt > plan.memory / 2 ? promotion : nil
  }
}

extension PlanLearning.Counts: CodedState {
  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&decisions)
    try codec.code(&rebuilt)
    try codec.code(&rewards)
    try codec.code(&tooLate)
    try codec.code(&otherPlan)
    try codec.code(&evicted)
    try codec.code(&crowded)
    try codec.code(&retracted)
    try codec.code(&retractedTooLate)
  }
}
