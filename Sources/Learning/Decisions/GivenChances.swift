import Events

/// A policy that is given from outside: the chance of each arm, by what one feature says.
///
///     {name: given, feature: position, chances: {"1": [0.2, 0.8], "2": [0.6, 0.4]}}
///
/// In a context that the table does not have all arms have the same chance.
public struct GivenChances: Hashable, Sendable {
  /// Empty where the chances are the same everywhere.
  public let feature: String
  /// The feature's values as text, rising, so that the same table is told in the same way by every process; without a feature
  /// the empty text.
  public let values: [String]
  /// Of each value.
  public let rows: [[Double]]

  public init(feature: String = "", rows: [String: [Double]] = [:]) {
    self.feature = feature
    values = rows.keys.sorted()
    self.rows = values.map { rows[$0] ?? [] }
  }

  /// Of how many arms its rows speak: of one number, where it can be used.
  public var armCounts: Set<Int> { Set(rows.map(\.count)) }

  func chances(_ context: DecisionFeatures, arms: Int) -> [Double] {
    let value = feature.isEmpty ? "" : text(context[feature])
    guard let row = values.firstIndex(of: value), rows[row].count == arms else {
      return [Double](repeating: 1 / Double(arms), count: arms)
    }
    return rows[row]
  }

  private func text(_ value: DecisionFeatures.Value?) -> String {
    switch value {
    case .text(let text): text
    case .number(let number):
      number == number.rounded() && number.magnitude < 1e15 ? "\(Int64(number))" : "\(number)"
    case .flag(let flag): flag ? "true" : "false"
    case nil: ""
    }
  }

  /// What tells it from others.
  var parameters: [Double] {
    var hash = SipHash128()
    hash.update(field: feature)
    for value in values { hash.update(field: value) }
    return [Double(hash.finalize().low >> 32)] + self.rows.flatMap { $0 }
  }
}
