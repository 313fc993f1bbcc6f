public import Statistics

/// A policy as it is to decide: without context its chances, with context what gives them for the features of a
/// decision.
public struct ContextualModel: Sendable {
  public let policy: DecisionPolicy
  /// nil without context.
  public let learned: (any ContextualPolicy)?
  /// Of a policy without context.
  private let fixed: [Double]
  /// Names of the features that it looks at.
  private let features: [String]

  init(
    policy: DecisionPolicy, learned: (any ContextualPolicy)?, chances: [Double],
    features: [String]
  ) {
    self.policy = policy
    self.learned = learned
    fixed = chances
    self.features = features
  }

  /// Whether its chances depend on the context.
  var looksAtContext: Bool {
    if case .given(let table) = policy { return !table.feature.isEmpty }
    return learned != nil
  }

  /// The chance of each arm; they add up to 1.
  func chances(_ context: DecisionFeatures) -> [Double] {
    if case .given(let table) = policy { return table.chances(context, arms: fixed.count) }
    guard let learned else { return fixed }
    return learned.probabilities(features: context.vector, arms: fixed.count)
  }

  /// What each feature of a context adds to what a linear model predicts of an arm, in the unit of rewards, the
  /// greatest first; nil for models that are not linear.
  public func contributions(
    _ context: DecisionFeatures, arm: Int
  ) -> [(name: String, value: Double)]? {
    guard let linear = learned as? any LinearPolicy else { return nil }
    let parts = linear.model.contributions(context.vector, arm: arm)
    return context.all.map { feature in
      var text: String?
      if case .text(let value) = feature.value { text = value }
      // The constant comes first.
      let place = DecisionFeatures.space.feature(of: feature.name, text: text) + 1
      return (feature.name, place < parts.count ? parts[place] : 0)
    }.sorted { $0.value.magnitude > $1.value.magnitude }
  }
}

extension DecisionFeatures {
  /// What names and values come to as numbers: the same wherever they are learned from and decided by.
  static let space = FeatureSpace(dimensions: 64)

  var vector: [Double] {
    Self.space.vector(
      all.map { feature in
        switch feature.value {
        case .number(let number): (feature.name, .number(number))
        case .text(let text): (feature.name, .text(text))
        case .flag(let flag): (feature.name, .flag(flag))
        }
      })
  }
}

extension DecisionPolicy {
  /// A policy with context that has learned nothing; nil for those without.
  func contextual() -> (any ContextualPolicy)? {
    let dimensions = DecisionFeatures.space.dimensions
    return switch self {
    case .kernelGap: KernelGapBandit(dimensions: dimensions)
    case .squareCB: SquareCB(dimensions: dimensions)
    case .linUCB: LinUCB(dimensions: dimensions)
    case .linearThompson: LinearThompson(dimensions: dimensions)
    case .logisticThompson: LogisticThompson(dimensions: dimensions)
    case .contextualGreedy(let epsilon):
      ContextualGreedy(dimensions: dimensions, epsilon: epsilon)
    default: nil
    }
  }

  public var isContextual: Bool { contextual() != nil }
}
