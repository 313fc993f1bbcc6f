public import Events
import Views

/// Experiments as JSON: what the API takes and gives, and what facts hold. Names are the same everywhere, in
/// `Streams/experiments.yaml` too.
public enum ExperimentFormat {
  /// Members of a plan, weights among them; `site_id`, as queries call it, is the site.
  public static let planMembers = [
    "site", "site_id", "campaign", "variants", "control", "metric", "guardrails", "must_not_rise",
    "currency", "minimal_effect", "planned_persons", "alpha", "segments", "cohort",
    "outcome_window_seconds", "weights",
  ]
  public static let patchMembers = planMembers + ["status", "decision", "revision"]
  public static let textBytesMax = Dimension.bytesMax
  public static let reasonBytesMax = 1_000
  public static let personBytesMax = 512

  // MARK: Reading

  /// A new experiment, of `POST /v1/experiments`.
  public static func declaration(
    _ body: [UInt8]
  ) throws(ExperimentRefusal) -> (id: String, command: ExperimentCommand) {
    let json = try members(body, allowed: ["id"] + planMembers)
    guard let id = try json.text("id") else { throw json.missing("id") }
    guard Experiment.isID(id) else {
      throw .invalid(path: "$.id", detail: "an id is 1 to 64 of a-z, 0-9, - and _")
    }
    let (plan, shares) = try plan(json, base: nil)
    return (id, .declare(plan, shares: shares))
  }

  /// A change, of `PATCH /v1/experiments/{id}`: members of the plan, or the status, not both.
  ///
  /// - Returns: the command, and the revision that it is meant for, if one is given.
  public static func change(
    _ body: [UInt8], of experiment: Experiment
  ) throws(ExperimentRefusal) -> (command: ExperimentCommand, revision: UInt64?) {
    let json = try members(body, allowed: patchMembers)
    let revision = try json.integer("revision", 0...Int(Int64.max)).map { UInt64($0) }
    let early = "a decision comes with \"status\":\"stopped\""
    let changesPlan = planMembers.contains { json.tree[$0] != nil }
    guard let status = try json.choice("status", ["running", "stopped"]) else {
      guard changesPlan else {
        throw .invalid(path: "$", detail: "nothing is changed", allowed: patchMembers)
      }
      if json.tree["decision"] != nil { throw .invalid(path: "$.decision", detail: early) }
      let (plan, shares) = try plan(json, base: experiment)
      return (.change(plan, shares: shares), revision)
    }
    guard !changesPlan else {
      throw .invalid(
        path: "$.status",
        detail: "status and other members change one after the other; send two requests")
    }
    guard status == "stopped" else {
      guard json.tree["decision"] == nil else { throw .invalid(path: "$.decision", detail: early) }
      return (.start, revision)
    }
    guard let decision = json.tree["decision"] else { throw json.missing("decision") }
    return (.stop(try Self.decision(decision)), revision)
  }

  /// A person's id as the events have it.
  public static func person(_ text: String, path: String) throws(ExperimentRefusal) -> String {
    guard (1...personBytesMax).contains(text.utf8.count) else {
      throw .invalid(path: path, detail: "a person's id is 1 to \(personBytesMax) bytes")
    }
    return text
  }

  /// Of `{"person":"…"}`.
  public static func person(body: [UInt8]) throws(ExperimentRefusal) -> String {
    let json = try members(body, allowed: ["person"])
    guard let person = try json.text("person", bytesMax: personBytesMax) else {
      throw json.missing("person")
    }
    return person
  }

  private static func decision(_ tree: JSONTree) throws(ExperimentRefusal) -> Experiment.Decision {
    let json = try ExperimentMembers(tree, path: "$.decision", allowed: ["variant", "reason"])
    guard let variant = try json.text("variant") else { throw json.missing("variant") }
    return Experiment.Decision(
      variant: variant, reason: try json.text("reason", bytesMax: reasonBytesMax) ?? "")
  }

  private static func members(
    _ body: [UInt8], allowed: [String]
  ) throws(ExperimentRefusal) -> ExperimentMembers {
    let tree: JSONTree
    do throws(JSONError) {
      tree = try JSONTree(body)
    } catch {
      throw .malformed("the body is no JSON: \(error)")
    }
    return try ExperimentMembers(tree, path: "$", allowed: allowed)
  }

  /// - Parameter base: what members that are not there are taken from; nil: their defaults. Of one that is no draft
  ///   any more the plan is fixed: whether another one would be a good one is not asked.
  static func plan(
    _ json: ExperimentMembers, base: Experiment?
  ) throws(ExperimentRefusal) -> (plan: ExperimentPlan, shares: [Int]) {
    let campaign = try json.text("campaign") ?? base?.plan.campaign
    guard let campaign else { throw json.missing("campaign") }
    let variants = try json.texts("variants") ?? base?.plan.variants
    guard let variants else { throw json.missing("variants") }
    let control = try json.text("control") ?? base?.plan.control
    guard let control else { throw json.missing("control") }
    let usual =
      base?.plan ?? ExperimentPlan(campaign: campaign, variants: variants, control: control)
    var plan = usual
    plan.campaign = campaign
    plan.variants = variants
    plan.control = control
    let (site, siteID) = (try json.text("site"), try json.text("site_id"))
    guard site == nil || siteID == nil || site == siteID else {
      throw .invalid(path: json.path("site_id"), detail: "it is another one than `site`; give one")
    }
    plan.site = site ?? siteID ?? usual.site
    plan.metric = try json.metric("metric") ?? usual.metric
    plan.guardrails = try json.metrics("guardrails") ?? usual.guardrails
    plan.mustNotRise = try json.metrics("must_not_rise") ?? usual.mustNotRise
    if let currency = try json.text("currency") {
      guard currency.utf8.count == 3, currency.utf8.allSatisfy({ (0x41...0x5a).contains($0) })
      else {
        throw .invalid(
          path: json.path("currency"), detail: "an ISO 4217 code is needed, such as EUR")
      }
      plan.currency = currency
    }
    plan.minimalEffect =
      try json.number("minimal_effect", ExperimentPlan.minimalEffects) ?? usual.minimalEffect
    plan.plannedPersons =
      try json.integer("planned_persons", ExperimentPlan.plannedPersonsAllowed)
      ?? usual.plannedPersons
    plan.alpha = try json.number("alpha", ExperimentPlan.alphas) ?? usual.alpha
    let segments = ExperimentSegment.allCases
    if let names = try json.choices("segments", segments.map(\.name)) {
      plan.segments = segments.filter { names.contains($0.name) }
    }
    plan.outcomeWindow =
      try json.integer("outcome_window_seconds", ExperimentPlan.outcomeWindows).map {
        Int64($0) * 1_000_000
      } ?? usual.outcomeWindow
    let levels = WindowLevel.allCases
    if let name = try json.choice("cohort", levels.map(\.name)) {
      plan.cohort = levels.first { $0.name == name } ?? usual.cohort
    }
    let isFixed = base.map { $0.status != .draft } ?? false
    if !isFixed { try plan.check(at: json) }
    if isFixed, plan != usual { return (plan, base?.epochs.last?.shares ?? []) }
    if let weights = json.tree["weights"] {
      return (plan, try shares(weights, of: plan.variants, path: json.path("weights")))
    }
    guard let shares = base?.epochs.last?.shares, base?.plan.variants == plan.variants else {
      throw json.missing("weights")
    }
    return (plan, shares)
  }

  /// Weights as fractions of all persons, by variant.
  static func shares(
    _ tree: JSONTree, of variants: [String], path: String
  ) throws(ExperimentRefusal) -> [Int] {
    let json = try ExperimentMembers(tree, path: path, allowed: variants)
    var shares: [Int] = []
    for variant in variants {
      guard let weight = try json.number(variant, 0...1) else { throw json.missing(variant) }
      guard let share = share(weight) else {
        throw .invalid(
          path: json.path(variant), detail: "a weight is a whole number of millionths, such as 0.25"
        )
      }
      shares.append(share)
    }
    try check(shares, path: path)
    return shares
  }

  /// In parts of ``Allocation/parts``; nil where it is no whole number of them.
  public static func share(_ weight: Double) -> Int? {
    let parts = weight * Double(Allocation.parts)
    guard (parts - parts.rounded()).magnitude < 0.001, (0...1).contains(weight) else { return nil }
    return Int(parts.rounded())
  }

  static func check(_ shares: [Int], path: String) throws(ExperimentRefusal) {
    let sum = shares.reduce(0, +)
    guard sum > 0, sum <= Allocation.parts else {
      throw .invalid(
        path: path,
        detail: "the weights come to \(weightText(sum)); together they are above 0 and at most 1")
    }
  }

  // MARK: Writing

  /// 0.25 for a quarter of ``Allocation/parts``.
  public static func weightText(_ share: Int) -> String {
    let value = Double(share) / Double(Allocation.parts)
    return value == value.rounded() ? "\(Int(value))" : "\(value)"
  }

  /// The members of a plan, weights among them where they are given.
  public static func writePlan(
    _ plan: ExperimentPlan, shares: [Int]? = nil, to json: inout JSONWriter
  ) {
    for (name, text) in [("site", plan.site), ("campaign", plan.campaign)] {
      json.key(name)
      json.string(text)
    }
    write("variants", plan.variants, to: &json)
    json.key("control")
    json.string(plan.control)
    json.key("metric")
    json.string(plan.metric.name)
    write("guardrails", plan.guardrails.map(\.name), to: &json)
    write("must_not_rise", plan.mustNotRise.map(\.name), to: &json)
    json.key("currency")
    json.string(plan.currency)
    json.key("minimal_effect")
    json.double(plan.minimalEffect)
    json.key("planned_persons")
    json.integer(plan.plannedPersons)
    json.key("alpha")
    json.double(plan.alpha)
    write("segments", plan.segments.map(\.name), to: &json)
    json.key("cohort")
    json.string(plan.cohort.name)
    if let window = plan.outcomeWindow {
      json.key("outcome_window_seconds")
      json.integer(window / 1_000_000)
    }
    if let shares { writeWeights(shares, plan.variants, to: &json) }
  }

  static func writeWeights(_ shares: [Int], _ variants: [String], to json: inout JSONWriter) {
    json.key("weights")
    json.beginObject()
    for (variant, share) in zip(variants, shares) {
      json.key(variant)
      json.raw(weightText(share))
    }
    json.endObject()
  }

  public static func writeDecision(_ decision: Experiment.Decision, to json: inout JSONWriter) {
    json.key("decision")
    json.beginObject()
    json.key("variant")
    json.string(decision.variant)
    json.key("reason")
    json.string(decision.reason)
    json.endObject()
  }

  private static func write(_ name: String, _ texts: [String], to json: inout JSONWriter) {
    json.key(name)
    json.beginArray()
    for text in texts { json.string(text) }
    json.endArray()
  }
}

extension ExperimentPlan {
  /// What no single member shows.
  func check(at json: ExperimentMembers) throws(ExperimentRefusal) {
    guard Self.variantCounts.contains(variants.count), Set(variants).count == variants.count else {
      throw .invalid(
        path: json.path("variants"),
        detail: "\(Self.variantCounts.lowerBound) to \(Self.variantCounts.upperBound) variants,"
          + " each once, are compared")
    }
    guard variants.contains(control) else {
      throw .invalid(
        path: json.path("control"), detail: "\"\(control)\" is none of the variants",
        allowed: variants)
    }
    for (name, metrics) in [("guardrails", guardrails), ("must_not_rise", mustNotRise)]
    where metrics.contains(metric) {
      throw .invalid(
        path: json.path(name),
        detail: "\(metric.name) is the metric itself; a guardrail is another one")
    }
    if let both = guardrails.first(where: mustNotRise.contains) {
      throw .invalid(
        path: json.path("must_not_rise"),
        detail: "\(both.name) is among the guardrails too, which must not fall; give it once")
    }
  }
}
