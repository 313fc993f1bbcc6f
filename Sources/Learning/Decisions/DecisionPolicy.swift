/// How a plan chooses among its arms.
///
/// All but the first two and the given ones learn from what the arms earned; `discounted` and `sliding` forget by time, because that is
/// what marketers can say.
public enum DecisionPolicy: Hashable, Sendable {
  /// Each arm as often as any.
  case uniform
  /// The default arm always.
  case fixed
  /// Forgets as fast as rates are seen to change, and not at all where they stay; the one to take.
  case adaptiveThompson
  case bernoulliThompson
  /// Rewards fade by 1/e in `memory` microseconds.
  case discountedThompson(memory: Int64)
  /// Rewards of the last `window` microseconds.
  case slidingThompson(window: Int64)
  /// For rewards that are amounts: by their means and variances.
  case gaussianThompson
  /// Finds the best arm soonest; `share` of decisions go to the first of the two.
  case topTwoThompson(share: Double)
  case ucb1
  case klUCB
  case epsilonGreedy(epsilon: Double)
  /// From outside.
  case given(GivenChances)
  // With context: by the features of the plan.
  case kernelGap
  case squareCB
  case linUCB
  case linearThompson
  case logisticThompson
  case contextualGreedy(epsilon: Double)

  /// As declarations and events have it.
  public var name: String {
    switch self {
    case .uniform: "uniform"
    case .fixed: "fixed"
    case .adaptiveThompson: "thompson"
    case .bernoulliThompson: "bernoulli_thompson"
    case .discountedThompson: "discounted_thompson"
    case .slidingThompson: "sliding_thompson"
    case .gaussianThompson: "gaussian_thompson"
    case .topTwoThompson: "top_two_thompson"
    case .ucb1: "ucb1"
    case .klUCB: "kl_ucb"
    case .epsilonGreedy: "epsilon_greedy"
    case .given: "given"
    case .kernelGap: "kernel_gap"
    case .squareCB: "square_cb"
    case .linUCB: "lin_ucb"
    case .linearThompson: "linear_thompson"
    case .logisticThompson: "logistic_thompson"
    case .contextualGreedy: "contextual_greedy"
    }
  }

  /// With their usual parameters: a day's memory, a week's window.
  public static let all: [DecisionPolicy] = [
    .adaptiveThompson, .uniform, .fixed, .bernoulliThompson,
    .discountedThompson(memory: 86_400_000_000), .slidingThompson(window: 7 * 86_400_000_000),
    .gaussianThompson, .topTwoThompson(share: 0.5), .ucb1, .klUCB, .epsilonGreedy(epsilon: 0.1),
    .kernelGap, .squareCB, .linUCB, .linearThompson, .logisticThompson,
    .contextualGreedy(epsilon: 0.05), .given(GivenChances()),
  ]

  /// With its usual parameters.
  public init?(name: String) {
    guard let policy = Self.all.first(where: { $0.name == name }) else { return nil }
    self = policy
  }

  /// Whether what is given has a chance for each arm of a plan, and goes by a feature that the plan has.
  public func fits(_ plan: DecisionPlan) -> Bool {
    guard case .given(let table) = self else { return true }
    return table.armCounts.subtracting([plan.arms.count]).isEmpty
      && (table.feature.isEmpty || plan.features.contains(table.feature))
  }

  /// What an event has to say of it, so that the same name with other parameters is told apart.
  public var parameters: [Double] {
    switch self {
    case .discountedThompson(let memory): [Double(memory)]
    case .slidingThompson(let window): [Double(window)]
    case .topTwoThompson(let share): [share]
    case .epsilonGreedy(let epsilon), .contextualGreedy(let epsilon): [epsilon]
    case .given(let table): table.parameters
    default: []
    }
  }
}
