import Events
import Learning

/// What is known of a plan, as `GET /v1/decisions/{plan}` says it: its arms and what they earn, and a card of the model:
/// what it was learned from, until when, by which rules.
struct DecisionReport {
  let plan: DecisionPlan
  /// Nil before anything is learned.
  let model: PolicySnapshot?
  let progress: LearningProgress?
  /// Nil before anything is learned.
  var learning: PlanLearning?
  /// Why learning does not go on; nil where it does.
  let problem: String?

  /// As in the list of all plans.
  func writeSummary(to json: inout JSONWriter) {
    json.beginObject()
    writeHead(to: &json)
    json.endObject()
  }

  func write(to json: inout JSONWriter) {
    json.beginObject()
    writeHead(to: &json)
    json.key("arms")
    json.beginArray()
    for index in plan.arms.indices { write(arm: index, to: &json) }
    json.endArray()
    ShadowWriter.write(plan, model, learning, to: &json)
    json.key("card")
    writeCard(to: &json)
    json.endObject()
  }

  private func writeHead(to json: inout JSONWriter) {
    json.key("decision")
    json.string(plan.id)
    json.key("site")
    json.string(plan.site)
    json.key("campaign")
    json.string(plan.campaign)
    json.key("policy")
    json.string(plan.policy.name)
    json.key("version")
    json.integer(plan.version)
    json.key("default")
    json.string(plan.arms[plan.defaultArm])
    json.key("trials")
    json.integer(model.map { $0.arms.reduce(0) { $0 + $1.trials } } ?? 0)
    json.key("best")
    let best = model.flatMap { model in
      model.arms.indices.max { model.arms[$0].mean < model.arms[$1].mean }
    }
    if let best { json.string(plan.arms[best]) } else { json.null() }
    json.key("pending_retractions")
    json.integer(learning?.pendingRetractions ?? 0)
    json.key("complete")
    json.bool(progress?.isCaughtUp ?? false)
    json.key("position")
    if let progress { json.string(progress.position.description) } else { json.null() }
    json.key("as_of")
    Self.write(time: model?.logTime, to: &json)
    json.key("problem")
    if let problem { json.string(problem) } else { json.null() }
  }

  private func write(arm index: Int, to json: inout JSONWriter) {
    json.beginObject()
    json.key("arm")
    json.string(plan.arms[index])
    json.key("probability")
    if let model { json.double(model.propensities[index]) } else { json.null() }
    guard let arm = model?.arms[index] else { return json.endObject() }
    json.key("trials")
    json.integer(arm.trials)
    json.key("pending")
    // By the delay curve: so many of them may still get a reward that is not counted as a no.
    json.double(max(0, Double(arm.trials) - arm.effectiveTrials))
    json.key("rewards")
    json.double(arm.rewards)
    json.key("mean")
    json.double(arm.mean)
    json.key("interval")
    json.beginArray()
    json.double(arm.lower)
    json.double(arm.upper)
    json.endArray()
    json.key("is_stopped")
    json.bool(arm.isStopped)
    json.endObject()
  }

  // MARK: Model card

  private func writeCard(to json: inout JSONWriter) {
    json.beginObject()
    json.key("reward")
    json.string(Self.text(plan.reward))
    json.key("reward_window_seconds")
    json.double(Double(plan.rewardWindow) / 1_000_000)
    json.key("memory_seconds")
    json.double(Double(plan.memory) / 1_000_000)
    json.key("activation")
    switch plan.activation {
    case .immediate: json.string("immediate")
    case .echoed(let wait): json.string("echoed within \(wait / 1_000_000) s")
    }
    json.key("floor")
    json.double(plan.floor)
    json.key("is_sticky")
    json.bool(plan.isSticky)
    json.key("holdout")
    json.double(plan.holdout?.share ?? 0)
    json.key("is_apprentice")
    json.bool(model?.isApprentice ?? (plan.apprenticeship != nil))
    json.key("features")
    json.beginArray()
    for feature in plan.features { json.string(feature) }
    json.endArray()
    json.key("sentences")
    json.beginArray()
    for sentence in sentences { json.string(sentence) }
    json.endArray()
    json.endObject()
  }

  /// What was learned from what, when, and how it did.
  var sentences: [String] {
    guard let model else {
      return ["Nothing has been learned yet; \(plan.arms[plan.defaultArm]) is shown."]
    }
    let trials = model.arms.reduce(0) { $0 + $1.trials }
    let rewards = model.arms.reduce(0) { $0 + $1.rewards }
    var sentences = [
      "Learned from \(trials) decisions of the last \(plan.memory / 86_400_000_000) days of the log and what they"
        + " earned within \(plan.rewardWindow / 1_000_000) s, up to position \(model.position).",
      "They earned \(DecideAnswer.decimal(rewards)) in sum, \(DecideAnswer.percent(rewards / Double(max(1, trials)))) each.",
    ]
    if plan.holdout != nil { sentences.append("Persons who take no part are not among them.") }
    let stopped = model.arms.indices.filter { model.arms[$0].isStopped }.map { plan.arms[$0] }
    if !stopped.isEmpty {
      sentences.append("Stopped by a guardrail: \(stopped.joined(separator: ", ")).")
    }
    return sentences
  }

  static func text(_ reward: DecisionPlan.Reward) -> String {
    switch reward {
    case .click: "click"
    case .conversion: "conversion"
    case .revenue(let unit, let currency):
      "revenue, \(DecideAnswer.decimal(Double(unit) / 1_000_000)) \(currency) count as 1"
    }
  }

  static func write(time: Int64?, to json: inout JSONWriter) {
    if let time, time > 0 { json.string(Timestamp.format(time)) } else { json.null() }
  }
}
