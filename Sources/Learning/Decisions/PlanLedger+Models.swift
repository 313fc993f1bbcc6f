import Statistics

/// What models are made from what a ledger knows.
extension PlanLedger {
  /// A decision of which nothing comes any more.
  struct Outcome {
    var id: DecisionID
    var facts: DecisionEntry.Facts
    var features: DecisionFeatures
    /// 65,536ths.
    var reward: Int64
  }

  /// What the policies with context have learned, as of the last ``weigh()``, the plan's first and then its shadows'; nil for those without.
  func contextualModels() -> [(any ContextualPolicy)?] {
    guard isContextual else { return [] }
    var pending: [ContextualLedger.Example] = []
    if isOrdered {
      pending = Self.inOrder(entries.map { (id: $0.key, entry: $0.value) }).compactMap { one in
        ContextualLedger.Example(one.entry, plan)
          .flatMap { $0.reward > 0 || young.hasSay(one.id) ? $0 : nil }
      }
    }
    let models = contextual.map { $0?.model(pending) }
    // The policy that decides comes first.
    let serving = plan.promoted?.place ?? 0
    return [models[serving]] + shadowPlaces.map { models[$0] }
      + models.dropFirst(declared.candidates.count)
  }

  /// Whether some policy depends on the order of decisions.
  var isOrdered: Bool { contextual.contains { $0.map { !$0.isAdditive } ?? false } }

  /// Microseconds of log time between two of its models: those that learn all that is pending again take their time, and
  /// so do young decisions, at most a second.
  var modelInterval: Int64 {
    isOrdered
      ? min(60_000_000, Int64(entries.count) * 1_000) : min(1_000_000, Int64(young.count) * 4)
  }

  static func inOrder(
    _ entries: [(id: DecisionID, entry: DecisionEntry)]
  ) -> [(id: DecisionID, entry: DecisionEntry)] {
    entries.sorted {
      ($0.entry.facts?.time ?? 0, $0.id) < ($1.entry.facts?.time ?? 0, $1.id)
    }
  }

  /// The places of those candidates that decide nothing.
  var shadowPlaces: [Int] {
    let serving = plan.promoted?.place ?? 0
    return declared.candidates.indices.filter { $0 != serving }
  }
}
