/// What has happened to an experiment; the facts of it in order are the experiment.
public enum ExperimentEvent: Sendable, Hashable {
  case declared(ExperimentPlan, shares: [Int])
  /// While it was a draft.
  case changed(ExperimentPlan, shares: [Int])
  case started
  /// Another allocation from then on.
  case allotted(shares: [Int])
  case stopped(Experiment.Decision)

  /// As facts name it.
  public var type: String {
    switch self {
    case .declared: "experiment.declared"
    case .changed: "experiment.changed"
    case .started: "experiment.started"
    case .allotted: "experiment.allotted"
    case .stopped: "experiment.stopped"
    }
  }
}

/// What somebody wants of an experiment.
public enum ExperimentCommand: Sendable, Hashable {
  case declare(ExperimentPlan, shares: [Int])
  /// Plan and shares as they are to be.
  case change(ExperimentPlan, shares: [Int])
  case start
  case stop(Experiment.Decision)
}

extension Experiment {
  /// What follows from a command; nothing where it is so already.
  ///
  /// - Parameter experiment: what there is; nil where there is none.
  public static func decide(
    _ command: ExperimentCommand, _ experiment: Experiment?, id: String
  ) throws(ExperimentRefusal) -> [ExperimentEvent] {
    if case .declare(let plan, let shares) = command {
      guard experiment == nil else {
        throw .conflict(
          "experiment \(id) is there already; take another id, or change it by PATCH")
      }
      return [.declared(plan, shares: shares)]
    }
    guard let experiment else { throw .unknown("there is no experiment \(id)") }
    switch (command, experiment.status) {
    case (.declare, _): return []
    case (.change(let plan, let shares), .draft):
      return plan == experiment.plan && shares == experiment.epochs.last?.shares
        ? [] : [.changed(plan, shares: shares)]
    case (.change(let plan, let shares), .running):
      guard plan == experiment.plan else {
        throw .conflict(
          "experiment \(id) is running: only weights and status can change, since results are valid"
            + " for the plan that they were gathered under; stop it and declare another one")
      }
      if shares == experiment.epochs.last?.shares { return [] }
      guard experiment.epochs.count < epochCountMax else {
        throw .conflict(
          "the weights of experiment \(id) have changed \(epochCountMax) times, which is the most")
      }
      return [.allotted(shares: shares)]
    case (.start, .draft): return [.started]
    case (.start, .running): return []
    case (.stop(let decision), .running):
      guard experiment.plan.variants.contains(decision.variant) else {
        throw .invalid(
          path: "$.decision.variant", detail: "\"\(decision.variant)\" is none of its variants",
          allowed: experiment.plan.variants)
      }
      return [.stopped(decision)]
    case (.stop, .draft):
      throw .conflict("experiment \(id) is a draft, which can't be stopped; start it first")
    case (.stop(let decision), .stopped(_, let before)) where decision == before: return []
    case (_, .stopped):
      throw .conflict("experiment \(id) is stopped for ever; declare another one")
    }
  }

  /// - Parameter time: when it happened, microseconds since the epoch.
  /// - Returns: nil where the event can't follow: it is not one of ours.
  public static func evolve(
    _ experiment: Experiment?, _ event: ExperimentEvent, at time: Int64, id: String
  ) -> Experiment? {
    switch event {
    case .declared(let plan, let shares):
      return experiment
        ?? Experiment(
          id: id, plan: plan, epochs: [Epoch(since: time, shares: shares)], status: .draft)
    case .changed(let plan, let shares):
      guard var changed = experiment else { return nil }
      changed.plan = plan
      changed.epochs = [Epoch(since: time, shares: shares)]
      return changed
    case .started:
      guard var changed = experiment, let shares = changed.epochs.last?.shares else { return nil }
      changed.epochs = [Epoch(since: time, shares: shares)]
      changed.status = .running
      return changed
    case .allotted(let shares):
      guard var changed = experiment, let last = changed.epochs.last else { return nil }
      // Clocks of several processes: the order of facts is the order of epochs.
      changed.epochs.append(Epoch(since: max(time, last.since + 1), shares: shares))
      return changed
    case .stopped(let decision):
      guard var changed = experiment else { return nil }
      changed.status = .stopped(at: time, decision)
      return changed
    }
  }
}
