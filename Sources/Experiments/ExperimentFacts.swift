import Events
import Ports

/// Events of experiments as facts, and back.
enum ExperimentFacts {
  static let kind = "experiment"

  static func fact(
    _ event: ExperimentEvent, of id: String, variants: [String], time: Int64, eventID: String
  ) -> Fact {
    var json = JSONWriter()
    json.beginObject()
    switch event {
    case .declared(let plan, let shares), .changed(let plan, let shares):
      ExperimentFormat.writePlan(plan, shares: shares, to: &json)
    case .started: break
    case .allotted(let shares): ExperimentFormat.writeWeights(shares, variants, to: &json)
    case .stopped(let decision): ExperimentFormat.writeDecision(decision, to: &json)
    }
    json.endObject()
    return Fact(
      kind: kind, id: id, type: event.type, eventID: eventID, time: time, data: json.bytes)
  }

  /// - Parameter experiment: as it was before.
  static func event(
    _ fact: Fact, _ experiment: Experiment?
  ) throws(ExperimentRefusal) -> ExperimentEvent {
    let tree: JSONTree
    do throws(JSONError) {
      tree = try JSONTree(fact.data)
    } catch {
      throw .invalid(path: "$", detail: "\(error)")
    }
    switch fact.type {
    case "experiment.declared", "experiment.changed":
      let json = try ExperimentMembers(tree, path: "$", allowed: ExperimentFormat.planMembers)
      let (plan, shares) = try ExperimentFormat.plan(json, base: nil)
      return fact.type == "experiment.declared"
        ? .declared(plan, shares: shares) : .changed(plan, shares: shares)
    case "experiment.started": return .started
    case "experiment.allotted":
      guard let variants = experiment?.plan.variants, let weights = tree["weights"] else { break }
      return .allotted(
        shares: try ExperimentFormat.shares(weights, of: variants, path: "$.weights"))
    case "experiment.stopped":
      guard let decision = tree["decision"], case .string(let variant)? = decision["variant"],
        case .string(let reason)? = decision["reason"]
      else { break }
      return .stopped(Experiment.Decision(variant: variant, reason: reason))
    default: break
    }
    throw .invalid(path: "$", detail: "\(fact.type) is not understood as it stands")
  }
}
