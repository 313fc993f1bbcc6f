/// A condition of a rule as it is for a person.
public struct SegmentCondition: Hashable, Sendable {
  public enum Value: Hashable, Sendable {
    case number(Double)
    case text(String)
    /// Nothing was said, or none of the values that rules ask for.
    case unknown
  }

  /// As the rule writes it.
  public let text: String
  public let value: Value
  public let holds: Bool
}

extension SegmentRule {
  /// What it is made of, each with what it is for a person.
  ///
  /// - Parameter number: of a name; nil where nobody has it.
  public func conditions(
    for view: ProfileView, _ number: (String) -> Int?
  ) -> [SegmentCondition] {
    var conditions: [SegmentCondition] = []
    condition.visit { part in
      let value: SegmentCondition.Value
      switch part {
      case .compare(let field, _, _):
        let found = field.value(in: view, number)
        value = found.isNaN ? .unknown : .number(found)
      case .equals(let name, _): value = view.value(of: name).map { .text($0) } ?? .unknown
      case .all, .any, .not: return
      }
      conditions.append(
        SegmentCondition(
          text: part.text, value: value, holds: part.holds(for: view, number)))
    }
    return conditions
  }

  /// Whether the person is in, and when that may change if nothing comes, microseconds since the epoch; `.max` where it will
  /// not.
  public func state(
    for view: ProfileView, _ decay: Decay, _ number: (String) -> Int?
  ) -> (isIn: Bool, nextChange: Int64) {
    (
      condition.holds(for: view, number), condition.nextChange(of: view, decay, number)
    )
  }
}
