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

    public init() {}
  }

  /// Decisions and rewards of an arm among persons who take no part.
  public struct HeldOut: Sendable, Equatable {
    public var trials: Int64
    public var rewards: Double
  }

  public let counts: Counts
  /// Decisions whose rewards may still come.
  public let pending: Int
  /// By arm.
  public let heldOut: [HeldOut]
  /// In the order of the plan's shadows.
  public let shadows: [ShadowReport]
  /// The ends of an interval of 95 %, which may be looked at any time, of what was earned by the decisions that
  /// the shadows are scored by.
  public let servedLower: Double
  public let servedUpper: Double

  init(_ ledger: PlanLedger) {
    counts = ledger.counts
    pending = ledger.entryCount
    heldOut = ledger.heldOut.map {
      HeldOut(trials: $0.trials, rewards: Double($0.rewards) / Double(RewardBins.one))
    }
    shadows = ledger.shadows.report()
    (servedLower, servedUpper) = ledger.shadows.servedInterval
  }
}
