/// What a feature of a context does for an arm.
public struct FeatureContribution: Sendable, Equatable {
  public var name: String
  /// By how much the arm's chance is greater than without the feature, −1 to 1: what is served, with floor and ramp.
  public var chance: Double
  /// What it adds to the reward that is predicted of the arm; nil where the model is not linear.
  public var reward: Double?
}

extension PolicySnapshot {
  /// What each feature of a context does for an arm, the greatest first; nothing where the policy looks at no context.
  ///
  /// Each feature is left out alone: what two of them say together is in both or in none. Cost: a decision for each feature.
  public func contributions(of context: DecisionFeatures, to arm: Int) -> [FeatureContribution] {
    let context = context.only(plan.features)
    guard model.looksAtContext, plan.arms.indices.contains(arm) else { return [] }
    let whole = shares(in: context)[arm]
    let predicted = model.contributions(context, arm: arm) ?? []
    return context.all.map { feature in
      let others = DecisionFeatures(context.all.filter { $0.name != feature.name })
      return FeatureContribution(
        name: feature.name, chance: whole - shares(in: others)[arm],
        reward: predicted.first { $0.name == feature.name }?.value)
    }.sorted { $0.chance.magnitude > $1.chance.magnitude }
  }
}
