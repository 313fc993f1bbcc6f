/// What a decision of a ledger says of the policies that decide nothing.
extension PlanLedger {
  /// What they would have done, of a decision that the present policy made: of its arm, of each shadow.
  func shadowChances(_ entry: DecisionEntry) -> [Double] {
    guard entry.facts?.version == version, !entry.shadows.isEmpty else { return [] }
    let chances = shadowPlaces.map { entry.shadows[$0] }
    return chances.contains(DecisionEntry.unknownChance) ? [] : chances
  }

  /// The decision for estimates with a model of rewards; nil where the chances of all arms are not kept.
  func modelled(_ entry: DecisionEntry) -> ModelledDecision? {
    guard let facts = entry.facts, !entry.chances.isEmpty else { return nil }
    let shadows = shadowPlaces.map { entry.chances.candidates[$0] }
    guard !shadows.isEmpty, shadows.allSatisfy({ $0.count == plan.arms.count }) else { return nil }
    return ModelledDecision(
      context: entry.features.digest, arm: facts.arm, served: entry.chances.served,
      shadows: shadows)
  }

  func scorePart(_ entry: DecisionEntry) -> ShadowSums.Part? {
    guard let facts = entry.facts, facts.flags.isDrawn, facts.propensity > 0,
      let part = entry.contribution(plan)
    else { return nil }
    let chances = shadowChances(entry)
    guard !chances.isEmpty else { return nil }
    return ShadowSums.Part(
      reward: part.reward, weights: chances.map { $0 / facts.propensity },
      modelled: modelled(entry))
  }
}
