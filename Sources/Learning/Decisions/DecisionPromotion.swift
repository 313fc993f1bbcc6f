public import Events
import States

/// That another of a plan's policies decides from now on, as an event of kind ``EventKind/decision`` with this payload:
///
///     {"promotion_of":"hero","version":7,"policy":"forgetful","since":1763978400000000,"by":"lower_bound","note":"",
///      "decisions":4000,"advantage":[0.01,0.03]}
///
/// It is for the plan as it was declared then: one that is declared anew begins with its declared policy. Of several the
/// last one counts, by `since` and then by the policy's name, so that those who read streams in another order come to the
/// same. Copies and renewed ones (a log is read back as far as a plan's memory, and a promotion is to outlive that) say the
/// same `since`, and change nothing.
public struct DecisionPromotion: Hashable, Sendable {
  public enum Cause: String, CaseIterable, Sendable {
    /// Its lower bound was above what was served.
    case lowerBound = "lower_bound"
    case person
  }

  /// ``DecisionPlan/id``.
  public var plan: String
  /// ``DecisionPlan/version`` of the plan as it is declared.
  public var version: UInt32
  /// Of a shadow, or ``DecisionPlan/declaredName``.
  public var policy: String
  /// Microseconds since the epoch.
  public var since: Int64
  public var cause: Cause
  /// Of the person.
  public var note: String
  /// What was known of the policy then; nil where nothing was.
  public var evidence: Evidence?

  /// How many decisions had been scored, and the ends of the interval of what it would have earned more.
  public struct Evidence: Hashable, Sendable {
    public var decisions: Int
    public var lower: Double
    public var upper: Double

    public init(decisions: Int, lower: Double, upper: Double) {
      self.decisions = decisions
      self.lower = lower
      self.upper = upper
    }

    public init(_ report: ShadowReport) {
      self.init(
        decisions: report.decisions, lower: report.advantageLower, upper: report.advantageUpper)
    }
  }

  public init(
    plan: String, version: UInt32, policy: String, since: Int64, cause: Cause, note: String = "",
    evidence: Evidence? = nil
  ) {
    self.plan = plan
    self.version = version
    self.policy = policy
    self.since = since
    self.cause = cause
    self.note = note
    self.evidence = evidence
  }

  /// Name of the event.
  public static let eventName = "decision_promotion"
  /// Ids of events are unique within it.
  public static let source = "api/promotion"

  public var payload: [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.key("promotion_of")
    json.string(plan)
    json.key("version")
    json.integer(version)
    json.key("policy")
    json.string(policy)
    json.key("since")
    json.integer(since)
    json.key("by")
    json.string(cause.rawValue)
    json.key("note")
    json.string(note)
    if let evidence {
      json.key("decisions")
      json.integer(evidence.decisions)
      json.key("advantage")
      json.beginArray()
      json.double(evidence.lower)
      json.double(evidence.upper)
      json.endArray()
    }
    json.endObject()
    return json.bytes
  }

  /// - Returns: nil where the payload is of something else.
  public init?(payload bytes: UnsafeRawBufferPointer) throws(JSONError) {
    var json = JSONScanner(bytes)
    var (plan, policy, cause): (String?, String?, Cause?) = (nil, nil, nil)
    var (version, since): (Int64?, Int64?) = (nil, nil)
    var note = ""
    var decisions = 0
    var advantage: [Double] = []
    try json.beginObject()
    while let key = try json.nextKey() {
      switch key {
      case "promotion_of": plan = try json.string()
      case "version": version = try json.int64()
      case "policy": policy = try json.string()
      case "since": since = try json.int64()
      case "by": cause = Cause(rawValue: try json.string())
      case "note": note = try json.string()
      case "decisions": decisions = Int(try json.int64())
      case "advantage":
        try json.beginArray()
        while try json.nextElement() { advantage.append(try json.double()) }
      default: try json.skipValue()
      }
    }
    try json.end()
    guard let plan, let policy, let cause, let version, let since,
      let version = UInt32(exactly: version)
    else { return nil }
    self.init(
      plan: plan, version: version, policy: policy, since: since, cause: cause, note: note,
      evidence: advantage.count == 2
        ? Evidence(decisions: decisions, lower: advantage[0], upper: advantage[1]) : nil)
  }

  /// Whether it takes the place of another one.
  func follows(_ other: Self) -> Bool { (since, policy) > (other.since, other.policy) }
}

extension DecisionPlan {
  /// Who may put a shadow in the policy's place.
  public enum PromotionRule: String, Hashable, Sendable, CaseIterable {
    case byPerson = "by_person"
    /// Also the system, once it is certain that the shadow earns more than what is served.
    case lowerBound = "lower_bound"
  }

  /// What of a plan is not as it was declared.
  public struct Promoted: Hashable, Sendable {
    /// Among ``candidates`` of the declared plan.
    public var place: Int
    /// Microseconds since the epoch.
    public var since: Int64
  }

  /// What the declared policy is called beside its shadows.
  public static let declaredName = "declared"

  /// Of a plan as it was declared: its own policy, and its shadows.
  public var candidates: [Shadow] { [Shadow(name: Self.declaredName, policy: policy)] + shadows }

  /// The plan as it was declared with another of its candidates deciding: those that decide nothing are its shadows.
  func promoting(_ place: Int, since: Int64) -> DecisionPlan {
    let all = candidates
    var plan = self
    plan.policy = all[place].policy
    plan.shadows = all.indices.filter { $0 != place }.map { all[$0] }
    plan.promoted = Promoted(place: place, since: since)
    return plan
  }
}

extension DecisionPromotion {
  /// As its event's payload.
  static func code(_ promotion: inout Self?, _ codec: inout StateCodec) throws(StateError) {
    var payload = promotion?.payload ?? []
    try codec.code(&payload)
    guard codec.isReading else { return }
    promotion = nil
    guard !payload.isEmpty else { return }
    do {
      promotion = try payload.withUnsafeBytes { try DecisionPromotion(payload: $0) }
    } catch {
      throw .malformed("a promotion cannot be read: \(error)")
    }
  }
}
