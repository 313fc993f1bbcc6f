import Events
import Learning

/// What `POST /v1/decide` answers:
///
///     {"decision":"spring-teaser","decision_id":"…","arm":"b","probability":0.93,"arms":["b"],
///      "probabilities":{"a":0.07,"b":0.93},"token":"…","slots":[…],"policy":"thompson","version":7,"default":false,
///      "holdout":false,"model":{"position":"1~0.12","as_of":"…"},"reasons":["…"]}
///
/// With several slots the members beside `slots` are of the first one.
enum DecideAnswer {
  static func json(_ outcome: DecisionDesk.Outcome) -> [UInt8] {
    let plan = outcome.plan
    var json = JSONWriter(reserving: 1_024)
    json.beginObject()
    json.key("decision")
    json.string(plan.id)
    if let first = outcome.decisions.first { write(first, plan, to: &json) }
    json.key("arms")
    json.beginArray()
    for (decision, _) in outcome.decisions { json.string(plan.arms[decision.arm]) }
    json.endArray()
    json.key("slots")
    json.beginArray()
    for slot in outcome.decisions {
      json.beginObject()
      write(slot, plan, to: &json)
      json.endObject()
    }
    json.endArray()
    json.key("policy")
    json.string(plan.policy.name)
    json.key("version")
    json.integer(outcome.decisions.first?.decision.token.version ?? 0)
    let flags = outcome.decisions.first?.decision.token.flags ?? []
    json.key("default")
    json.bool(flags.contains(.fallback))
    json.key("holdout")
    json.bool(flags.contains(.holdout))
    json.key("model")
    write(outcome.model, to: &json)
    json.key("reasons")
    json.beginArray()
    for reason in reasons(outcome) { json.string(reason) }
    json.endArray()
    json.endObject()
    return json.bytes
  }

  private static func write(
    _ slot: (decision: Decision, token: String), _ plan: DecisionPlan, to json: inout JSONWriter
  ) {
    let token = slot.decision.token
    json.key("decision_id")
    json.string(token.id.description)
    json.key("arm")
    json.string(plan.arms[token.chosen])
    json.key("probability")
    json.double(token.propensities[token.chosen])
    json.key("probabilities")
    json.beginObject()
    for (arm, name) in plan.arms.enumerated() {
      json.key(name)
      json.double(token.propensities[arm])
    }
    json.endObject()
    json.key("token")
    json.string(slot.token)
  }

  private static func write(_ model: PolicySnapshot?, to json: inout JSONWriter) {
    guard let model else { return json.null() }
    json.beginObject()
    json.key("position")
    json.string(model.position.description)
    json.key("as_of")
    if model.logTime > 0 { json.string(Timestamp.format(model.logTime)) } else { json.null() }
    json.endObject()
  }

  /// In words, of the first slot.
  static func reasons(_ outcome: DecisionDesk.Outcome) -> [String] {
    guard let first = outcome.decisions.first?.decision else { return [] }
    let plan = outcome.plan
    let arm = plan.arms[first.arm]
    let chance = percent(first.token.propensities[first.arm])
    var reasons: [String] = []
    switch first.reason {
    case .policy:
      reasons.append("\(arm) was drawn with a chance of \(chance) by \(plan.policy.name)")
      if let known = outcome.model?.arms, known.indices.contains(first.arm) {
        let state = known[first.arm]
        reasons.append(
          "\(arm) has earned \(percent(state.mean)) (\(percent(state.lower)) to"
            + " \(percent(state.upper))) in \(state.trials) decisions")
      }
      if outcome.model?.isApprentice == true {
        reasons.append("the policy imitates the default arm until it is as good")
      }
      for (index, state) in (outcome.model?.arms ?? []).enumerated() where state.isStopped {
        reasons.append("\(plan.arms[index]) is stopped by a guardrail")
      }
    case .holdout:
      reasons.append("the person takes no part, so that there is something to compare with")
    case .elsewhere:
      reasons.append("somebody else decided, and showed \(arm) with a chance of \(chance)")
    case .repeated: reasons.append("the person has had \(arm) before")
    case .fallback:
      reasons.append("\(arm) is the default arm: \(outcome.fallback ?? "there is no model")")
    }
    return reasons
  }

  static func percent(_ share: Double) -> String { "\(decimal(share * 100)) %" }

  /// With at most three digits behind the point.
  static func decimal(_ value: Double) -> String {
    guard value.isFinite else { return "an unknown" }
    let rounded = (value * 1_000).rounded() / 1_000
    return rounded == rounded.rounded() && abs(rounded) < 1e15 ? "\(Int(rounded))" : "\(rounded)"
  }
}
