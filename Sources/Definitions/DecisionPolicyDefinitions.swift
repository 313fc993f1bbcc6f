import Learning
import Yams

/// Reads a policy: its name alone, with its usual parameters, or its name and a parameter.
///
///     policy: thompson
///     policy: {name: discounted_thompson, memory: 6h}
enum DecisionPolicyDefinitions {
  private static let second: Int64 = 1_000_000
  private static let year: Int64 = 365 * 86_400_000_000
  private static let parameters = [
    "discounted_thompson": "memory", "sliding_thompson": "window", "top_two_thompson": "share",
    "epsilon_greedy": "epsilon", "contextual_greedy": "epsilon",
  ]

  static func read(_ section: Section, _ key: String) -> DecisionPolicy? {
    guard let entry = section[key] else { return nil }
    let names = DecisionPolicy.all.map(\.name)
    guard entry.value.mapping != nil else {
      return section.choice(key, names).flatMap { DecisionPolicy(name: $0) }
    }
    guard let all = section.section(key) else { return nil }
    let parameter = all["name"]?.value.scalar.flatMap { parameters[$0.string] }
    guard
      let part = section.section(key, keys: ["name"] + (parameter.map { [$0] } ?? [])),
      let name = part.choice("name", names), let policy = DecisionPolicy(name: name)
    else { return nil }
    return read(policy, part)
  }

  private static func read(_ policy: DecisionPolicy, _ part: Section) -> DecisionPolicy? {
    switch policy {
    case .discountedThompson:
      part.duration("memory", second...year).map { .discountedThompson(memory: $0) }
    case .slidingThompson:
      part.duration("window", second...year).map { .slidingThompson(window: $0) }
    case .topTwoThompson: part.number("share", 0...1).map { .topTwoThompson(share: $0) }
    case .epsilonGreedy: part.number("epsilon", 0...1).map { .epsilonGreedy(epsilon: $0) }
    case .contextualGreedy: part.number("epsilon", 0...1).map { .contextualGreedy(epsilon: $0) }
    default: policy
    }
  }
}
