import Events
import Learning

/// Why it was this arm, as `GET /v1/decisions/{plan}/why` says it: the chances from which it was drawn, the
/// alternatives and their odds, the event in the log with the features as they were and how far the log was read for
/// its model, what each feature does for the arm by now, and what is known of each arm by now.
struct DecisionReason {
  let token: DecisionToken
  let report: DecisionReport
  /// Nil where its event is not in the log: lost, or not yet there.
  let logged: Logged?

  /// The decision's event, and where it is in the log.
  struct Logged {
    var decision: LoggedDecisionEvent
    var position: String
  }

  var json: [UInt8] {
    let plan = report.plan
    var json = JSONWriter(reserving: 2_048)
    json.beginObject()
    json.key("decision")
    json.string(plan.id)
    json.key("decision_id")
    json.string(token.id.description)
    json.key("decided_at")
    DecisionReport.write(time: token.time, to: &json)
    json.key("arm")
    json.string(plan.arms[token.chosen])
    json.key("probability")
    json.double(token.propensities[token.chosen])
    json.key("version")
    json.integer(token.version)
    json.key("is_present_version")
    json.bool(token.version == plan.version)
    json.key("features_digest")
    json.integer(token.features)
    json.key("alternatives")
    json.beginArray()
    for arm in plan.arms.indices where arm != token.chosen { write(alternative: arm, to: &json) }
    json.endArray()
    json.key("features")
    if let logged { logged.decision.features.write(to: &json) } else { json.null() }
    json.key("contributions")
    json.beginArray()
    for contribution in contributions { write(contribution, to: &json) }
    json.endArray()
    json.key("event_position")
    if let logged { json.string(logged.position) } else { json.null() }
    json.key("model")
    if let logged {
      json.beginObject()
      json.key("position")
      json.string(logged.decision.model.description)
      json.key("as_of")
      DecisionReport.write(time: logged.decision.at, to: &json)
      json.endObject()
    } else {
      json.null()
    }
    json.key("position")
    if let progress = report.progress {
      json.string(progress.position.description)
    } else {
      json.null()
    }
    json.key("reasons")
    json.beginArray()
    for sentence in sentences { json.string(sentence) }
    json.endArray()
    json.endObject()
    return json.bytes
  }

  private func write(_ contribution: FeatureContribution, to json: inout JSONWriter) {
    json.beginObject()
    json.key("feature")
    json.string(contribution.name)
    json.key("chance")
    json.double(contribution.chance)
    json.key("reward")
    if let reward = contribution.reward { json.double(reward) } else { json.null() }
    json.endObject()
  }

  /// By the present model; it takes the log to make the one that decided again.
  private var contributions: [FeatureContribution] {
    guard let logged, let model = report.model else { return [] }
    return model.contributions(of: logged.decision.features, to: token.chosen)
  }

  private func write(alternative arm: Int, to json: inout JSONWriter) {
    json.beginObject()
    json.key("arm")
    json.string(report.plan.arms[arm])
    json.key("probability")
    json.double(token.propensities[arm])
    json.key("odds")
    json.double(token.propensities[arm] / token.propensities[token.chosen])
    json.endObject()
  }

  private var sentences: [String] {
    let plan = report.plan
    let arm = plan.arms[token.chosen]
    var sentences: [String] = []
    if token.flags.contains(.fallback) {
      sentences.append("\(arm) is the default arm, and there was no model to decide by.")
    } else if token.flags.contains(.holdout) {
      sentences.append("The person takes no part, so that there is something to compare with.")
    } else if token.flags.contains(.repeated) {
      sentences.append("The person had had \(arm) before.")
    } else if token.flags.contains(.elsewhere) {
      let chance = DecideAnswer.percent(token.propensities[token.chosen])
      sentences.append("Somebody else decided, and showed \(arm) with a chance of \(chance).")
    } else {
      let chance = DecideAnswer.percent(token.propensities[token.chosen])
      sentences.append("\(arm) was drawn with a chance of \(chance) by \(plan.policy.name).")
    }
    if let first = contributions.first, first.chance != 0 {
      sentences.append(
        "Of what was known, \(first.name) says most: with it the chance of \(arm) is by now"
          + " \(DecideAnswer.percent(first.chance.magnitude)) \(first.chance > 0 ? "greater" : "smaller")."
      )
    }
    if let model = report.model {
      for (index, known) in model.arms.enumerated() {
        sentences.append(
          "By now \(plan.arms[index]) has earned \(DecideAnswer.percent(known.mean)) a decision"
            + " (\(DecideAnswer.percent(known.lower)) to \(DecideAnswer.percent(known.upper))), in"
            + " \(known.trials).")
      }
    }
    if token.version != plan.version {
      sentences.append("The decision has been declared anew since.")
    }
    return sentences
  }
}
