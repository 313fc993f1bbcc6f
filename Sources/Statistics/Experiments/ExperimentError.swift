/// What an experiment's statistics can't be computed from.
public enum ExperimentError: Error, Equatable, CustomStringConvertible {
  case counts(arm: StaticString, visitors: Int, conversions: Int)
  case parameter(name: StaticString, value: Double, allowed: StaticString)
  case armCount(Int, expected: Int)

  public var description: String {
    switch self {
    case .counts(let arm, let visitors, let conversions):
      "\(arm): \(conversions) conversions of \(visitors) visitors; conversions must be between 0 and "
        + "the visitors of the same step: count a visitor when its outcome is known"
    case .parameter(let name, let value, let allowed):
      "\(name) is \(value); it must be \(allowed)"
    case .armCount(let count, let expected):
      "\(count) arms where the experiment has \(expected); give one number for each arm"
    }
  }

  public static func == (left: Self, right: Self) -> Bool { left.description == right.description }

  static func check(
    _ name: StaticString, _ value: Double, _ holds: Bool, _ allowed: StaticString
  ) throws(ExperimentError) {
    guard holds else { throw .parameter(name: name, value: value, allowed: allowed) }
  }
}
