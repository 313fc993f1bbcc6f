import Events
import Experiments
import Views
import Yams

/// Reads `Streams/experiments.yaml`: experiments that are changed by changing the file. Others are declared by
/// the API.
enum ExperimentDefinitions {
  static let fileName = "experiments.yaml"
  static let rootKeys = ["experiments"]
  private static let keys = ["campaign", "variants", "control", "status", "allocation"]
  private static let optionalKeys = [
    "site", "metric", "guardrails", "must_not_rise", "currency", "minimal_effect",
    "planned_persons", "alpha", "segments", "cohort", "outcome_window", "stopped_at", "decision",
  ]

  /// In order of their place in the file.
  static func read(_ root: Section) -> [Experiment]? {
    guard let section = root.section("experiments") else { return nil }
    let experiments = section.entries.compactMap { read($0, section) }
    return experiments.count == section.entries.count ? experiments : nil
  }

  private static func read(_ entry: Section.Entry, _ all: Section) -> Experiment? {
    if !Experiment.isID(entry.name) {
      all.problems.add(
        line: entry.line, key: all.path(entry.name), what: "is no id of an experiment",
        allowed: "1 to 64 of a-z, 0-9, - and _", fix: "rename it")
    }
    guard
      let section = Section(
        entry.value, key: all.path(entry.name), keys: keys, optional: optionalKeys,
        problems: all.problems)
    else { return nil }
    guard let plan = readPlan(section) else { return nil }
    let epochs = readAllocation(section, plan.variants)
    guard let status = readStatus(section, plan.variants), let epochs, Experiment.isID(entry.name)
    else { return nil }
    return Experiment(id: entry.name, plan: plan, epochs: epochs, status: status)
  }

  // MARK: Plan

  private static func readPlan(_ section: Section) -> ExperimentPlan? {
    let text = "a text of 1 to \(ExperimentFormat.textBytesMax) bytes"
    func name(_ key: String) -> String? {
      section.value(key, allowed: text, fix: "shorten it") { value in
        value.utf8.count <= ExperimentFormat.textBytesMax ? value : nil
      }
    }
    let campaign = name("campaign")
    let control = name("control")
    let variants = readVariants(section, allowed: text)
    guard let campaign, let variants, let control else { return nil }
    guard variants.contains(control) else {
      add(section, "control", "is \(control)", variants.joined(separator: ", "), "write a variant")
      return nil
    }
    var plan = ExperimentPlan(campaign: campaign, variants: variants, control: control)
    if section["site"] != nil { plan.site = name("site") ?? plan.site }
    if section["metric"] != nil { plan.metric = metric(section) ?? plan.metric }
    plan.guardrails = metrics(section, "guardrails", but: [plan.metric])
    plan.mustNotRise = metrics(section, "must_not_rise", but: [plan.metric] + plan.guardrails)
    plan.currency =
      section.value("currency", allowed: "an ISO 4217 code", fix: "write one, such as EUR") {
        $0.utf8.count == 3 && $0.utf8.allSatisfy { (0x41...0x5a).contains($0) } ? $0 : nil
      } ?? plan.currency
    plan.minimalEffect =
      section.number("minimal_effect", ExperimentPlan.minimalEffects) ?? plan.minimalEffect
    plan.plannedPersons =
      section.integer("planned_persons", ExperimentPlan.plannedPersonsAllowed)
      ?? plan.plannedPersons
    plan.alpha = section.number("alpha", ExperimentPlan.alphas) ?? plan.alpha
    if section["segments"] != nil {
      let names = choices(section, "segments", ExperimentSegment.allCases.map(\.name))
      plan.segments = ExperimentSegment.allCases.filter { names.contains($0.name) }
    }
    if section["outcome_window"] != nil {
      let windows = ExperimentPlan.outcomeWindows
      plan.outcomeWindow = section.duration(
        "outcome_window",
        Int64(windows.lowerBound) * 1_000_000...Int64(windows.upperBound) * 1_000_000)
    }
    let levels = WindowLevel.allCases
    if let name = section.choice("cohort", levels.map(\.name)) {
      plan.cohort = levels.first { $0.name == name } ?? plan.cohort
    }
    return plan
  }

  private static func readVariants(_ section: Section, allowed: String) -> [String]? {
    guard let variants = section.texts("variants", allowed: allowed) else { return nil }
    let counts = ExperimentPlan.variantCounts
    guard counts.contains(variants.count), Set(variants).count == variants.count,
      variants.allSatisfy({ $0.utf8.count <= ExperimentFormat.textBytesMax })
    else {
      add(
        section, "variants", "has \(variants.count)",
        "\(counts.lowerBound) to \(counts.upperBound) variants, each once", "list them all")
      return nil
    }
    return variants
  }

  private static func metric(_ section: Section) -> ExperimentMetric? {
    section.text("metric", allowed: ExperimentMetric.allowed.joined(separator: ", "))
      .flatMap { metric($0, section, "metric") }
  }

  /// - Parameter others: what is watched otherwise already.
  private static func metrics(
    _ section: Section, _ name: String, but others: [ExperimentMetric]
  ) -> [ExperimentMetric] {
    guard section[name] != nil else { return [] }
    let allowed = ExperimentMetric.allowed.joined(separator: ", ")
    let found = (section.texts(name, allowed: allowed) ?? []).compactMap {
      metric($0, section, name)
    }
    for metric in found where others.contains(metric) {
      add(
        section, name, "has \(metric.name)", "metrics that are named nowhere else",
        "remove it here or there")
    }
    if found.count > ExperimentPlan.guardrailCountMax {
      add(
        section, name, "has \(found.count) metrics", "at most \(ExperimentPlan.guardrailCountMax)",
        "keep what matters")
    }
    return found
  }

  private static func metric(
    _ text: String, _ section: Section, _ name: String
  ) -> ExperimentMetric? {
    if let metric = ExperimentMetric(name: text) { return metric }
    let near = Spelling.nearest(to: text, among: ExperimentMetric.plain.map(\.name))
    add(
      section, name, "is \(text)", ExperimentMetric.allowed.joined(separator: ", "),
      near.map { "write \($0)" } ?? "write one of these")
    return nil
  }

  private static func choices(
    _ section: Section, _ name: String, _ allowed: [String]
  ) -> [String] {
    let list = allowed.joined(separator: ", ")
    let texts = section.texts(name, allowed: list) ?? []
    for text in texts where !allowed.contains(text) {
      let near = Spelling.nearest(to: text, among: allowed)
      add(section, name, "has \(text)", list, near.map { "write \($0)" } ?? "remove it")
    }
    return texts
  }

  // MARK: Allocation and status

  private static func readAllocation(
    _ section: Section, _ variants: [String]
  ) -> [Experiment.Epoch]? {
    guard let entry = section["allocation"] else { return nil }
    let allowed = "a list of `since` and `weights`, rising, at most \(Experiment.epochCountMax)"
    guard let nodes = entry.value.sequence, (1...Experiment.epochCountMax).contains(nodes.count)
    else {
      add(
        section, "allocation", "is no such list", allowed,
        "write `- since: 2026-01-01T00:00:00Z` and `weights: {…}` below it")
      return nil
    }
    var epochs: [Experiment.Epoch] = []
    for (index, node) in nodes.enumerated() {
      let key = section.path("allocation[\(index)]")
      guard
        let part = Section(node, key: key, keys: ["since", "weights"], problems: section.problems),
        let since = part.time("since"), let shares = readShares(part, variants)
      else { return nil }
      if let last = epochs.last, since <= last.since {
        add(part, "since", "is not later than the one before", allowed, "put them in order")
        return nil
      }
      epochs.append(Experiment.Epoch(since: since, shares: shares))
    }
    return epochs
  }

  private static func readShares(_ section: Section, _ variants: [String]) -> [Int]? {
    guard let weights = section.section("weights", keys: variants) else { return nil }
    let shares = variants.compactMap { variant in
      weights.value(
        variant, allowed: "a number from 0 to 1, in whole millionths", fix: "write one, such as 0.5"
      ) { text in Double(text).flatMap(ExperimentFormat.share) }
    }
    guard shares.count == variants.count else { return nil }
    let sum = shares.reduce(0, +)
    guard sum > 0, sum <= Allocation.parts else {
      add(
        section, "weights", "come to \(ExperimentFormat.weightText(sum))",
        "above 0 and at most 1 together",
        "lower them: what is left of 1 is the share of persons who are not in the experiment")
      return nil
    }
    return shares
  }

  private static func readStatus(_ section: Section, _ variants: [String]) -> Experiment.Status? {
    guard let name = section.choice("status", ["draft", "running", "stopped"]) else { return nil }
    guard name == "stopped" else {
      for key in ["stopped_at", "decision"] where section[key] != nil {
        add(
          section, key, "stands beside status: \(name)", "only status: stopped",
          "remove it, or write status: stopped")
      }
      return name == "draft" ? .draft : .running
    }
    for key in ["stopped_at", "decision"] where section[key] == nil {
      section.problems.add(
        line: section.line, key: section.path(key), what: "is missing",
        allowed: "stopped_at and decision beside status: stopped", fix: "add a line `\(key): …`")
    }
    guard let stopped = section.time("stopped_at"),
      let decision = section.section("decision", keys: ["variant", "reason"]),
      let variant = decision.choice("variant", variants), let reason = decision.text("reason")
    else { return nil }
    return .stopped(at: stopped, Experiment.Decision(variant: variant, reason: reason))
  }

  private static func add(
    _ section: Section, _ name: String, _ what: String, _ allowed: String, _ fix: String
  ) {
    section.problems.add(
      line: section[name].map { section.line(of: $0) } ?? section.line, key: section.path(name),
      what: what, allowed: allowed, fix: fix)
  }
}
