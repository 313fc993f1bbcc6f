import Events
import Learning

/// How the policies of a plan that decide nothing do, and who put the present one in its place, as
/// `GET /v1/decisions/{plan}` says it:
///
///     "served":{"so_far":0.3,"interval":[0.2,0.4]},
///     "shadows":[{"policy_name":"forgetful","policy":"discounted_thompson","probabilities":{"a":0.2,"b":0.8},
///                 "so_far":{"decisions":5000,"ips":0.3,"snips":0.31,"modelled":5000,"dr":0.3,"switch_dr":0.3},
///                 "decisions":4000,"effective_decisions":2500,"estimate":0.31,"interval":[0.22,0.4],
///                 "modelled":4000,"dr":0.3,"switch_dr":0.3,"dr_interval":[0.25,0.36],
///                 "advantage":[-0.02,0.09],"is_better":false,"clipped":0}],
///     "promotion":{"rule":"lower_bound","deciding":"declared","since":null,"by":null,"note":null,"advantage":null}
enum ShadowWriter {
  static func write(
    _ plan: DecisionPlan, _ model: PolicySnapshot?, _ learning: PlanLearning?,
    to json: inout JSONWriter
  ) {
    json.key("served")
    json.beginObject()
    json.key("so_far")
    if let learning { json.double(learning.earnedSoFar) } else { json.null() }
    write("interval", learning.map { ($0.servedLower, $0.servedUpper) }, to: &json)
    json.endObject()
    json.key("shadows")
    json.beginArray()
    for (index, shadow) in plan.shadows.enumerated() {
      json.beginObject()
      json.key("policy_name")
      json.string(shadow.name)
      json.key("policy")
      json.string(shadow.policy.name)
      json.key("probabilities")
      write(index < (model?.shadows.count ?? 0) ? model?.shadows[index] : nil, plan, to: &json)
      if let learning, index < learning.shadows.count {
        write(learning.soFar[index], to: &json)
        write(learning.shadows[index], to: &json)
      }
      json.endObject()
    }
    json.endArray()
    json.key("promotion")
    write(plan, learning?.promotion, to: &json)
  }

  private static func write(
    _ shadow: LoggedDecisionEvent.Shadow?, _ plan: DecisionPlan, to json: inout JSONWriter
  ) {
    guard let shadow else { return json.null() }
    json.beginObject()
    for (arm, name) in plan.arms.enumerated() {
      json.key(name)
      json.double(shadow.chances[arm])
    }
    json.endObject()
  }

  private static func write(_ estimate: ShadowEstimate, to json: inout JSONWriter) {
    json.key("so_far")
    json.beginObject()
    json.key("decisions")
    json.integer(estimate.decisions)
    json.key("ips")
    json.double(estimate.inversePropensity)
    json.key("snips")
    json.double(estimate.selfNormalized)
    write(
      modelled: Int(estimate.modelled), estimate.doublyRobust, estimate.switchDoublyRobust,
      to: &json)
    json.endObject()
  }

  private static func write(_ report: ShadowReport, to json: inout JSONWriter) {
    json.key("decisions")
    json.integer(report.decisions)
    json.key("effective_decisions")
    json.double(report.effectiveDecisions)
    json.key("estimate")
    json.double(report.estimate)
    write("interval", (report.lower, report.upper), to: &json)
    write(
      modelled: report.modelled, report.doublyRobust, report.switchDoublyRobust, to: &json)
    write("dr_interval", (report.robustLower, report.robustUpper), to: &json)
    write("advantage", (report.advantageLower, report.advantageUpper), to: &json)
    json.key("is_better")
    json.bool(report.isBetter)
    json.key("clipped")
    json.integer(report.clipped)
  }

  /// Estimates with a model of rewards; null where no decision's chances were kept.
  private static func write(
    modelled count: Int, _ doublyRobust: Double, _ switched: Double, to json: inout JSONWriter
  ) {
    json.key("modelled")
    json.integer(count)
    for (name, value) in [("dr", doublyRobust), ("switch_dr", switched)] {
      json.key(name)
      if count > 0 { json.double(value) } else { json.null() }
    }
  }

  private static func write(
    _ plan: DecisionPlan, _ promotion: DecisionPromotion?, to json: inout JSONWriter
  ) {
    json.beginObject()
    json.key("rule")
    json.string(plan.promotion.rawValue)
    json.key("deciding")
    json.string(promotion?.policy ?? DecisionPlan.declaredName)
    json.key("since")
    DecisionReport.write(time: promotion?.since, to: &json)
    json.key("by")
    if let promotion { json.string(promotion.cause.rawValue) } else { json.null() }
    json.key("note")
    if let promotion { json.string(promotion.note) } else { json.null() }
    write("advantage", promotion?.evidence.map { ($0.lower, $0.upper) }, to: &json)
    json.endObject()
  }

  private static func write(
    _ name: String, _ ends: (lower: Double, upper: Double)?, to json: inout JSONWriter
  ) {
    json.key(name)
    guard let ends else { return json.null() }
    json.beginArray()
    json.double(ends.lower)
    json.double(ends.upper)
    json.endArray()
  }
}
