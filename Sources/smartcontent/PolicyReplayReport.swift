import Events
import Learning
import LogFollowing

/// What came of decisions that were made again, as one JSON object:
///
///     {"decision":"hero","policy":"thompson","parameters":[],"is_plans_own":true,"first":"…","last":"…",
///      "decisions":300,"reproduced":{"compared":298,"same":298,"other_chances":0,"other_arm":0,"first_other":null,
///      "not_compared":{"other_version":0,"other_arms":0,"elsewhere":0,"without_model":2}},
///      "evaluated":280,"open":0,"effective_decisions":280,"logged":{"value":0.31,"interval":[0.27,0.36]},
///      "estimates":{"ips":{"value":0.31,"interval":[0.26,0.36]},…},
///      "anytime":{"interval":[0.2,0.5],"advantage":[-0.1,0.2],"clipped":0}}
struct PolicyReplayReport {
  let plan: DecisionPlan
  let policy: DecisionPolicy
  let outcome: DecisionReplay.Outcome

  /// Whether the policy is the plan's, so that decisions are to come out as they were.
  var isUnchanged: Bool { policy == plan.policy }

  var text: String {
    let evaluation = outcome.evaluation
    var json = JSONWriter(reserving: 2_048)
    json.beginObject()
    json.key("decision")
    json.string(plan.id)
    json.key("policy")
    json.string(policy.name)
    json.key("parameters")
    json.beginArray()
    for parameter in policy.parameters { json.double(parameter) }
    json.endArray()
    json.key("is_plans_own")
    json.bool(isUnchanged)
    for (name, time) in [
      ("first", outcome.times?.lowerBound), ("last", outcome.times?.upperBound),
    ] {
      json.key(name)
      if let time { json.string(Timestamp.format(time)) } else { json.null() }
    }
    json.key("decisions")
    json.integer(outcome.tally.decisions)
    json.key("reproduced")
    write(outcome.tally, to: &json)
    json.key("evaluated")
    json.integer(evaluation.decisions)
    json.key("open")
    json.integer(outcome.open)
    json.key("effective_decisions")
    json.double(evaluation.anytime.effectiveDecisions)
    json.key("logged")
    write(evaluation.logged, to: &json)
    json.key("estimates")
    json.beginObject()
    for estimate in evaluation.estimates {
      json.key(estimate.name)
      write(estimate, to: &json)
    }
    json.endObject()
    json.key("anytime")
    json.beginObject()
    write("interval", evaluation.anytime.lower, evaluation.anytime.upper, to: &json)
    write(
      "advantage", evaluation.anytime.advantageLower, evaluation.anytime.advantageUpper, to: &json)
    json.key("clipped")
    json.integer(evaluation.anytime.clipped)
    json.endObject()
    json.endObject()
    return String(decoding: json.bytes, as: UTF8.self)
  }

  private func write(_ tally: ReplayTally, to json: inout JSONWriter) {
    json.beginObject()
    for (name, count) in [
      ("compared", tally.compared), ("same", tally.same), ("other_chances", tally.otherChances),
      ("other_arm", tally.otherArm),
    ] {
      json.key(name)
      json.integer(count)
    }
    json.key("first_other")
    if let first = tally.first { write(first, to: &json) } else { json.null() }
    json.key("not_compared")
    json.beginObject()
    for (name, count) in [
      ("other_version", tally.otherVersion), ("other_arms", tally.otherArms),
      ("elsewhere", tally.elsewhere),
      ("without_model", tally.fallback),
    ] {
      json.key(name)
      json.integer(count)
    }
    json.endObject()
    json.endObject()
  }

  private func write(_ difference: ReplayTally.Difference, to json: inout JSONWriter) {
    json.beginObject()
    json.key("decision_id")
    json.string(difference.logged.id.description)
    json.key("decided_at")
    json.string(Timestamp.format(difference.logged.time))
    for (name, token) in [("logged", difference.logged), ("again", difference.again)] {
      json.key(name)
      json.beginObject()
      json.key("arm")
      json.string(plan.arms[token.chosen])
      json.key("probabilities")
      json.beginArray()
      for arm in plan.arms.indices { json.double(token.propensities[arm]) }
      json.endArray()
      json.endObject()
    }
    json.endObject()
  }

  private func write(_ estimate: PolicyEvaluation.Estimate, to json: inout JSONWriter) {
    json.beginObject()
    json.key("value")
    json.double(estimate.value)
    write("interval", estimate.lower, estimate.upper, to: &json)
    json.endObject()
  }

  private func write(
    _ name: String, _ lower: Double, _ upper: Double, to json: inout JSONWriter
  ) {
    json.key(name)
    json.beginArray()
    json.double(lower)
    json.double(upper)
    json.endArray()
  }
}
