public import Events

/// What is decided, among which arms, for which reward, how.
///
///     decision ────── reward window ──────▶│ what comes later does not count
///        └─ activation: immediate, or with the first event that echoes the token
public struct DecisionPlan: Hashable, Sendable {
  /// What a decision earns: between 0 and 1.
  public enum Reward: Hashable, Sendable {
    /// 1 for a click within the window.
    case click
    /// 1 for a conversion within the window.
    case conversion
    /// Money of the conversions within the window, as a share of `unit`, at most 1.
    ///
    /// - unit: millionths of the currency; the most that one decision is thought to earn.
    /// - currency: other money does not count.
    case revenue(unit: Int64, currency: String)
  }

  /// When a decision counts as shown.
  public enum Activation: Hashable, Sendable {
    case immediate
    /// With the first event that echoes its token; a decision that none has echoed `wait` microseconds later
    /// was never shown, and is not learned from.
    case echoed(wait: Int64)
  }

  /// Persons who take no part, so that there is something to compare with. They are chosen by a hash of their key
  /// and train nothing.
  public struct Holdout: Hashable, Sendable {
    public enum Serving: Hashable, Sendable { case uniform, defaultArm }

    /// Of persons, 0 to 1.
    public var share: Double
    public var serving: Serving

    public init(share: Double, serving: Serving) {
      self.share = share
      self.serving = serving
    }
  }

  /// The policy decides for a share that rises from `from` to 1 between two times; the rest gets the default arm.
  public struct Ramp: Hashable, Sendable {
    public var from: Double
    /// Microseconds since the epoch.
    public var begin: Int64
    public var end: Int64

    public init(from: Double, begin: Int64, end: Int64) {
      self.from = from
      self.begin = begin
      self.end = end
    }
  }

  /// An arm other than the default is stopped once it is certain enough that it earns less than `share` of what
  /// the default arm does.
  public struct Guardrail: Hashable, Sendable {
    public var share: Double
    /// 0 to 1, such as 0.99.
    public var certainty: Double
    /// Of the arm, before anything is said of it.
    public var trialsMin: Int64

    public init(share: Double, certainty: Double, trialsMin: Int64) {
      self.share = share
      self.certainty = certainty
      self.trialsMin = trialsMin
    }
  }

  /// Shows the default arm, and each of the others now and then, until what the policy would earn is estimated to
  /// be at least what the default arm does.
  public struct Apprenticeship: Hashable, Sendable {
    /// Of decisions that go to any arm meanwhile, 0 to 1.
    public var exploration: Double
    /// Of all arms together, before anything is estimated.
    public var trialsMin: Int64

    public init(exploration: Double, trialsMin: Int64) {
      self.exploration = exploration
      self.trialsMin = trialsMin
    }
  }

  /// A policy that decides nothing: what it would have done is kept and estimated.
  public struct Shadow: Hashable, Sendable {
    public var name: String
    public var policy: DecisionPolicy

    public init(name: String, policy: DecisionPolicy) {
      self.name = name
      self.policy = policy
    }
  }

  public static let armCountMax = 255
  public static let shadowCountMax = 8
  public static let day: Int64 = 86_400_000_000

  public var id: String
  public var site: String
  public var campaign: String
  public var content: String
  /// Variants of the campaign, each once; at most ``armCountMax``.
  public var arms: [String]
  /// What is shown when nothing can be decided; an index into ``arms``.
  public var defaultArm: Int
  public var policy: DecisionPolicy
  public var reward: Reward
  /// Microseconds after the decision within which rewards count.
  public var rewardWindow: Int64
  public var activation: Activation
  /// The least chance of each arm that is not stopped, 0 to 1 over their number.
  public var floor: Double
  public var holdout: Holdout?
  public var ramp: Ramp?
  public var guardrails: [Guardrail]
  public var apprenticeship: Apprenticeship?
  /// The same arm for the same person while the plan stays the same.
  public var isSticky: Bool
  /// At most ``shadowCountMax``.
  public var shadows: [Shadow]
  /// Names that are taken from the context of a request and kept with the decision.
  public var features: [String]
  /// Microseconds of decisions that it learns from.
  public var memory: Int64
  public var promotion: PromotionRule
  /// nil as it was declared.
  public var promoted: Promoted?

  public init(
    id: String, site: String, campaign: String, content: String = "", arms: [String],
    defaultArm: Int = 0, policy: DecisionPolicy = .adaptiveThompson, reward: Reward = .click,
    rewardWindow: Int64 = day, activation: Activation = .immediate, floor: Double = 0.01,
    holdout: Holdout? = nil, ramp: Ramp? = nil, guardrails: [Guardrail] = [],
    apprenticeship: Apprenticeship? = nil, isSticky: Bool = false, shadows: [Shadow] = [],
    features: [String] = [], memory: Int64 = 30 * day, promotion: PromotionRule = .byPerson
  ) {
    precondition(arms.indices.contains(defaultArm), "the default arm is one of the arms")
    precondition(arms.count <= Self.armCountMax, "a plan has at most 255 arms")
    self.id = id
    self.site = site
    self.campaign = campaign
    self.content = content
    self.arms = arms
    self.defaultArm = defaultArm
    self.policy = policy
    self.reward = reward
    self.rewardWindow = rewardWindow
    self.activation = activation
    self.floor = floor
    self.holdout = holdout
    self.ramp = ramp
    self.guardrails = guardrails
    self.apprenticeship = apprenticeship
    self.isSticky = isSticky
    self.shadows = shadows
    self.features = features
    self.memory = memory
    self.promotion = promotion
  }

  /// Tells from other plans what tokens are about: a hash of site, id and arms.
  public var fingerprint: UInt32 { Self.fingerprint(site: site, id: id, arms: arms) }

  public static func fingerprint(site: String, id: String, arms: [String]) -> UInt32 {
    var hash = SipHash128()
    hash.update(field: site)
    hash.update(field: id)
    for arm in arms { hash.update(field: arm) }
    return UInt32(truncatingIfNeeded: hash.finalize().low)
  }

  /// Tells how it decided from how it did before it was changed: a hash of all of it.
  public var version: UInt32 {
    var hash = SipHash128()
    hash.update(field: "\(fingerprint) \(campaign) \(content) \(defaultArm)")
    hash.update(
      field: "\(policy.name) \(policy.parameters) \(reward) \(rewardWindow) \(activation)")
    hash.update(field: "\(floor) \(text(holdout)) \(text(ramp)) \(guardrails)")
    hash.update(field: "\(text(apprenticeship)) \(isSticky) \(shadows) \(features) \(memory)")
    // Of plans that were declared before there were promotions nothing has changed.
    if promotion != .byPerson || promoted != nil {
      hash.update(field: "\(promotion.rawValue) \(promoted?.place ?? 0) \(promoted?.since ?? 0)")
    }
    // Chances of so many arms were rounded to other parts before.
    let whole = Propensities.whole(of: arms.count)
    if whole != Propensities.wholeMax { hash.update(field: "\(whole)") }
    return UInt32(truncatingIfNeeded: hash.finalize().low)
  }

  private func text(_ value: (some Any)?) -> String { value.map { "\($0)" } ?? "" }

  /// Whether a person takes no part. Another hash than the one that shares persons out to partitions, and another
  /// one for each plan.
  public func holdsOut(_ person: Key128) -> Bool {
    guard let holdout, holdout.share > 0 else { return false }
    return Double(personHash(person, "holdout") >> 11) * 0x1p-53 < holdout.share
  }

  func personHash(_ person: Key128, _ purpose: String) -> UInt64 {
    var hash = SipHash128()
    hash.update(field: purpose)
    hash.update(field: id)
    withUnsafeBytes(of: (person.low.littleEndian, person.high.littleEndian)) { hash.update($0) }
    return hash.finalize().low
  }
}
