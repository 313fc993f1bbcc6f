public import Learning
import Yams

/// Reads a policy: its name alone, with its usual parameters, or its name and a parameter.
///
///     policy: thompson
///     policy: {name: discounted_thompson, memory: 6h}
public enum DecisionPolicyDefinitions {
  /// - Parameter text: a policy by itself, as a command line has it.
  public static func parse(_ text: String) throws(DefinitionsError) -> DecisionPolicy {
    let (policy, problems) = DefinitionFile.parse(
      "policy: \(text)", as: "--policy", keys: ["policy"]
    ) { read($0, "policy") }
    guard let policy else { throw DefinitionsError(problems: problems) }
    return policy
  }

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
      let policy = section.choice(key, names).flatMap { DecisionPolicy(name: $0) }
      if case .given = policy {
        section.problems.add(
          line: section.line(of: entry), key: section.path(key), what: "has no chances",
          allowed: "{name: given, chances: [0.2, 0.8]}", fix: "write the chance of each arm")
        return nil
      }
      return policy
    }
    guard let all = section.section(key) else { return nil }
    if all["name"]?.value.scalar?.string == "given" { return readGiven(section, key) }
    let parameter = all["name"]?.value.scalar.flatMap { parameters[$0.string] }
    guard
      let part = section.section(key, keys: ["name"] + (parameter.map { [$0] } ?? [])),
      let name = part.choice("name", names), let policy = DecisionPolicy(name: name)
    else { return nil }
    return read(policy, part)
  }

  private static func readGiven(_ section: Section, _ key: String) -> DecisionPolicy? {
    let isByFeature = section.section(key)?["feature"] != nil
    guard
      let part = section.section(
        key, keys: ["name", "chances"] + (isByFeature ? ["feature"] : []))
    else { return nil }
    guard isByFeature else {
      return chances(part, "chances").map { .given(GivenChances(rows: ["": $0])) }
    }
    guard let feature = part.text("feature", allowed: "a feature of the plan"),
      let table = part.section("chances")
    else { return nil }
    var rows: [String: [Double]] = [:]
    for entry in table.entries { rows[entry.name] = chances(table, entry.name) }
    return .given(GivenChances(feature: feature, rows: rows))
  }

  /// Numbers that add up to 1.
  private static func chances(_ section: Section, _ key: String) -> [Double]? {
    guard let entry = section[key] else { return nil }
    let numbers = (entry.value.sequence.map(Array.init) ?? []).compactMap {
      $0.scalar.flatMap { Double($0.string) }
    }
    let isWhole = numbers.count == entry.value.sequence?.count ?? -1
    guard isWhole, numbers.allSatisfy({ $0 >= 0 }), (numbers.reduce(0, +) - 1).magnitude < 1e-6
    else {
      section.problems.add(
        line: section.line(of: entry), key: section.path(key), what: "are no chances",
        allowed: "a list of numbers from 0 to 1 that add up to 1, one for each arm",
        fix: "write the chance of each arm, in the order of the arms")
      return nil
    }
    return numbers
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
