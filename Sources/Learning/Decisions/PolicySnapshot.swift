public import Events

/// What the decisions of a plan are made from: a function of the log up to a position.
///
/// Made by ``DecisionLearner``, and exchanged whole. Of a policy without context the chances are all there is; a
/// decision is then a draw.
public struct PolicySnapshot: Sendable {
  /// What is known of an arm.
  public struct Arm: Sendable, Equatable {
    /// Decisions that were shown, without hold-outs.
    public var trials: Int64
    /// So many of them can be expected to have their reward by now, if they get one.
    public var effectiveTrials: Double
    /// Sum of rewards.
    public var rewards: Double
    /// Of rewards per decision, as is believed.
    public var mean: Double
    /// The ends of an interval of 95 %.
    public var lower: Double
    public var upper: Double
    /// A guardrail has stopped it.
    public var isStopped: Bool

    public init(
      trials: Int64, effectiveTrials: Double, rewards: Double, mean: Double, lower: Double,
      upper: Double, isStopped: Bool
    ) {
      self.trials = trials
      self.effectiveTrials = effectiveTrials
      self.rewards = rewards
      self.mean = mean
      self.lower = lower
      self.upper = upper
      self.isStopped = isStopped
    }
  }

  public let plan: DecisionPlan
  /// ``DecisionPlan/fingerprint`` and ``DecisionPlan/version``, worked out once.
  public let fingerprint: UInt32
  public let version: UInt32
  /// How far the log was read.
  public let position: Position
  /// Microseconds since the epoch.
  public let logTime: Int64
  /// What is served, with floor, ramp, apprenticeship and guardrails; of a policy with context, without one.
  public let propensities: Propensities
  public let arms: [Arm]
  public let model: ContextualModel
  /// In the order of the plan's.
  private let shadowModels: [ContextualModel]
  private let rules: ChanceRules
  /// Of a sticky plan, what persons had first.
  public let sticky: StickyArms?

  init(
    plan: DecisionPlan, position: Position, logTime: Int64, rules: ChanceRules,
    model: ContextualModel, arms: [Arm], shadows: [ContextualModel], sticky: StickyArms?
  ) {
    self.plan = plan
    fingerprint = plan.fingerprint
    version = plan.version
    self.position = position
    self.logTime = logTime
    self.rules = rules
    self.model = model
    self.arms = arms
    shadowModels = shadows
    self.sticky = sticky
    propensities = rules.served(model.chances(.none), model.policy)
    self.shadows = zip(plan.shadows, shadows).map { shadow, model in
      LoggedDecisionEvent.Shadow(
        name: shadow.name, chances: rules.ownShares(model.chances(.none), model.policy))
    }
  }

  /// Of chances that are known, without a model of the context.
  public init(
    plan: DecisionPlan, position: Position, logTime: Int64, propensities: Propensities,
    arms: [Arm], shadows: [LoggedDecisionEvent.Shadow], isApprentice: Bool,
    sticky: StickyArms? = nil
  ) {
    self.plan = plan
    fingerprint = plan.fingerprint
    version = plan.version
    self.position = position
    self.logTime = logTime
    rules = ChanceRules(
      plan, allowed: arms.map { !$0.isStopped }, rampShare: 1, isApprentice: isApprentice)
    model = ContextualModel(
      policy: plan.policy, learned: nil, chances: plan.arms.indices.map { propensities[$0] },
      features: plan.features)
    self.arms = arms
    shadowModels = []
    self.sticky = sticky
    self.propensities = propensities
    self.shadows = shadows
  }

  /// What the shadows would do; without context.
  public let shadows: [LoggedDecisionEvent.Shadow]

  /// Whether the apprentice still imitates the default arm.
  public var isApprentice: Bool { rules.isApprentice }

  /// What is served in a context.
  public func propensities(in context: DecisionFeatures) -> Propensities {
    guard model.looksAtContext else { return propensities }
    return rules.served(model.chances(context), model.policy)
  }

  /// What would be served in a context, before it is rounded to parts that can be drawn from.
  func shares(in context: DecisionFeatures) -> [Double] {
    rules.servedShares(model.chances(context), model.policy)
  }

  /// What the shadows would do in a context.
  func shadows(in context: DecisionFeatures) -> [LoggedDecisionEvent.Shadow] {
    guard shadowModels.contains(where: \.looksAtContext) else { return shadows }
    return zip(plan.shadows, shadowModels).map { shadow, model in
      LoggedDecisionEvent.Shadow(
        name: shadow.name, chances: rules.ownShares(model.chances(context), model.policy))
    }
  }
}

/// All that decisions are made from, exchanged whole.
public struct DecisionModels: Sendable {
  public let progress: LearningProgress
  /// By ``DecisionPlan/id``.
  public let plans: [String: PolicySnapshot]
  /// By ``DecisionPlan/id``.
  public let learning: [String: PlanLearning]
  /// Events of the decision API that could not be read, or are of no plan here.
  public let unreadable: UInt64

  public init(
    progress: LearningProgress, plans: [String: PolicySnapshot],
    learning: [String: PlanLearning] = [:], unreadable: UInt64 = 0
  ) {
    self.progress = progress
    self.plans = plans
    self.learning = learning
    self.unreadable = unreadable
  }
}
