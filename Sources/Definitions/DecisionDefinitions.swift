import Learning
import Yams

/// Reads `Streams/decisions.yaml`: what is decided while events come in, among which arms, for which reward.
enum DecisionDefinitions {
  static let fileName = "decisions.yaml"
  static let rootKeys = ["decisions"]
  static let planCountMax = 256
  private static let nameBytesMax = 128
  private static let keys = ["campaign", "arms", "default"]
  private static let optionalKeys = [
    "site", "content", "policy", "reward", "reward_window", "activation", "floor", "holdout",
    "ramp",
    "guardrails", "apprenticeship", "sticky", "shadows", "promotion", "features", "memory",
  ]
  private static let second: Int64 = 1_000_000
  private static let day: Int64 = 86_400_000_000
  private static let name = "a text of 1 to \(nameBytesMax) bytes"

  /// In order of their place in the file.
  static func read(_ root: Section) -> [DecisionPlan]? {
    guard let section = root.section("decisions") else { return nil }
    if section.entries.count > planCountMax {
      root.problems.add(
        line: section.line, key: "decisions", what: "has \(section.entries.count) plans",
        allowed: "at most \(planCountMax)", fix: "remove those that are over")
      return nil
    }
    let plans = section.entries.compactMap { read($0, section) }
    return plans.count == section.entries.count ? plans : nil
  }

  private static func read(_ entry: Section.Entry, _ all: Section) -> DecisionPlan? {
    let known = all.problems.problems.count
    guard
      let section = Section(
        entry.value, key: all.path(entry.name), keys: keys, optional: optionalKeys,
        problems: all.problems)
    else { return nil }
    if !isID(entry.name) {
      all.problems.add(
        line: entry.line, key: section.key, what: "is no id of a decision",
        allowed: "1 to 64 of a-z, 0-9, - and _", fix: "rename it")
    }
    guard let campaign = text(section, "campaign"), let arms = readArms(section),
      let first = section.choice("default", arms), let index = arms.firstIndex(of: first)
    else { return nil }
    var plan = DecisionPlan(
      id: entry.name, site: text(section, "site") ?? "default", campaign: campaign, arms: arms,
      defaultArm: index)
    plan.content = text(section, "content") ?? ""
    plan.floor = section.number("floor", 0...(1 / Double(arms.count))) ?? plan.floor
    plan.isSticky = flag(section, "sticky") ?? plan.isSticky
    plan.memory = section.duration("memory", second...(3650 * day)) ?? plan.memory
    plan.rewardWindow =
      section.duration("reward_window", second...(90 * day)) ?? plan.rewardWindow
    if section["features"] != nil { plan.features = readFeatures(section) }
    if let policy = DecisionPolicyDefinitions.read(section, "policy") { plan.policy = policy }
    if let reward = readReward(section) { plan.reward = reward }
    if let activation = readActivation(section) { plan.activation = activation }
    plan.holdout = readHoldout(section)
    plan.ramp = readRamp(section)
    plan.guardrails = readGuardrails(section)
    plan.apprenticeship = readApprenticeship(section)
    plan.shadows = readShadows(section, plan)
    plan.promotion = readPromotion(section, plan) ?? plan.promotion
    checkFits(plan.policy, plan, section, "policy")
    return all.problems.problems.count == known ? plan : nil
  }

  private static func checkFits(
    _ policy: DecisionPolicy, _ plan: DecisionPlan, _ section: Section, _ key: String
  ) {
    guard !policy.fits(plan) else { return }
    note(
      section, key, "does not fit the plan",
      "\(plan.arms.count) chances, by one of the plan's features",
      "write a chance for each arm, and the feature among `features:`")
  }

  private static func isID(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count)
      && text.utf8.allSatisfy {
        (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d || $0 == 0x5f
      }
  }

  private static func text(_ section: Section, _ key: String) -> String? {
    section.value(key, allowed: name, fix: "shorten it") {
      $0.utf8.count <= nameBytesMax ? $0 : nil
    }
  }

  private static func flag(_ section: Section, _ key: String) -> Bool? {
    section.choice(key, ["true", "false"]).map { $0 == "true" }
  }

  private static func readArms(_ section: Section) -> [String]? {
    guard let arms = section.texts("arms", allowed: name) else { return nil }
    guard (2...DecisionPlan.armCountMax).contains(arms.count), Set(arms).count == arms.count,
      arms.allSatisfy({ $0.utf8.count <= nameBytesMax })
    else {
      note(
        section, "arms", "has \(arms.count)",
        "2 to \(DecisionPlan.armCountMax) variants of the campaign, each once", "list them all")
      return nil
    }
    return arms
  }

  private static func readFeatures(_ section: Section) -> [String] {
    let features = section.texts("features", allowed: "names of the context") ?? []
    if features.count > DecisionFeatures.countMax {
      note(
        section, "features", "has \(features.count)", "at most \(DecisionFeatures.countMax)",
        "leave out what tells least")
    }
    return features
  }

  // MARK: What is learned from

  private static func readReward(_ section: Section) -> DecisionPlan.Reward? {
    guard let entry = section["reward"] else { return nil }
    guard entry.value.mapping != nil else {
      switch section.choice("reward", ["click", "conversion"]) {
      case "click": return .click
      case "conversion": return .conversion
      default: return nil
      }
    }
    guard let part = section.section("reward", keys: ["revenue", "currency"]),
      let amount = part.number("revenue", 0.000001...1_000_000_000),
      let currency = part.value(
        "currency", allowed: "an ISO 4217 code", fix: "write one, such as EUR",
        { $0.utf8.count == 3 && $0.utf8.allSatisfy { (0x41...0x5a).contains($0) } ? $0 : nil })
    else { return nil }
    return .revenue(unit: Int64((amount * 1_000_000).rounded()), currency: currency)
  }

  private static func readActivation(_ section: Section) -> DecisionPlan.Activation? {
    guard let entry = section["activation"] else { return nil }
    guard entry.value.mapping != nil else {
      return section.choice(
        "activation", ["immediate"], because: "what is echoed has a time, as {echoed: 30m}"
      ).map { _ in .immediate }
    }
    return section.section("activation", keys: ["echoed"])?
      .duration("echoed", second...(30 * day)).map { .echoed(wait: $0) }
  }

  private static func readShadows(
    _ section: Section, _ plan: DecisionPlan
  ) -> [DecisionPlan.Shadow] {
    guard let part = section.section("shadows") else { return [] }
    if part.entries.count > DecisionPlan.shadowCountMax {
      note(
        section, "shadows", "has \(part.entries.count)",
        "at most \(DecisionPlan.shadowCountMax)", "remove those that are over")
    }
    if part[DecisionPlan.declaredName] != nil {
      note(
        part, DecisionPlan.declaredName, "is what the plan's own policy is called",
        "another name", "rename the shadow")
    }
    return part.entries.compactMap { entry in
      DecisionPolicyDefinitions.read(part, entry.name).map { policy in
        checkFits(policy, plan, part, entry.name)
        return DecisionPlan.Shadow(name: entry.name, policy: policy)
      }
    }
  }

  private static func readPromotion(
    _ section: Section, _ plan: DecisionPlan
  ) -> DecisionPlan.PromotionRule? {
    let rule = section.choice("promotion", DecisionPlan.PromotionRule.allCases.map(\.rawValue))
      .flatMap { DecisionPlan.PromotionRule(rawValue: $0) }
    if rule == .lowerBound, plan.shadows.isEmpty {
      note(
        section, "promotion", "has nothing to promote", "lower_bound with shadows",
        "add `shadows:` with at least one policy")
    }
    return rule
  }

  // MARK: Who is decided for, and what never happens

  private static func readHoldout(_ section: Section) -> DecisionPlan.Holdout? {
    guard let part = section.section("holdout", keys: ["share", "serving"]),
      let share = part.number("share", 0...1),
      let serving = part.choice("serving", ["uniform", "default"])
    else { return nil }
    return DecisionPlan.Holdout(
      share: share, serving: serving == "uniform" ? .uniform : .defaultArm)
  }

  private static func readRamp(_ section: Section) -> DecisionPlan.Ramp? {
    guard let part = section.section("ramp", keys: ["from", "begin", "end"]),
      let from = part.number("from", 0...1), let begin = part.time("begin"),
      let end = part.time("end")
    else { return nil }
    guard begin < end else {
      note(part, "end", "is not after begin", "a later time", "write the time of the whole share")
      return nil
    }
    return DecisionPlan.Ramp(from: from, begin: begin, end: end)
  }

  private static func readGuardrails(_ section: Section) -> [DecisionPlan.Guardrail] {
    guard let entry = section["guardrails"] else { return [] }
    guard let nodes = entry.value.sequence, nodes.count <= 8 else {
      note(
        section, "guardrails", "is no list", "at most 8 of {share, certainty, trials}",
        "write `- {share: 0.8, certainty: 0.99, trials: 1000}` below it")
      return []
    }
    return nodes.enumerated().compactMap { index, node in
      guard
        let part = Section(
          node, key: section.path("guardrails[\(index)]"), keys: ["share", "certainty", "trials"],
          problems: section.problems), let share = part.number("share", 0...1),
        let certainty = part.number("certainty", 0.5...0.999999),
        let trials = part.integer("trials", 1...1_000_000_000)
      else { return nil }
      return DecisionPlan.Guardrail(share: share, certainty: certainty, trialsMin: Int64(trials))
    }
  }

  private static func readApprenticeship(_ section: Section) -> DecisionPlan.Apprenticeship? {
    guard let part = section.section("apprenticeship", keys: ["exploration", "trials"]),
      let exploration = part.number("exploration", 0...1),
      let trials = part.integer("trials", 1...1_000_000_000)
    else { return nil }
    return DecisionPlan.Apprenticeship(exploration: exploration, trialsMin: Int64(trials))
  }

  private static func note(
    _ section: Section, _ name: String, _ what: String, _ allowed: String, _ fix: String
  ) {
    section.problems.add(
      line: section[name].map { section.line(of: $0) } ?? section.line, key: section.path(name),
      what: what, allowed: allowed, fix: fix)
  }
}
