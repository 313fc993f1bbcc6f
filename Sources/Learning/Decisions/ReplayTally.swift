/// How many decisions of the log came out of a replay as they were logged.
public struct ReplayTally: Hashable, Sendable {
  /// A decision that came out otherwise.
  public struct Difference: Hashable, Sendable {
    public var logged: DecisionToken
    public var again: DecisionToken
  }

  public var decisions = 0
  /// Token for token: arm, chances and all.
  public var same = 0
  public var otherChances = 0
  /// The same chances and another arm.
  public var otherArm = 0
  /// Made by the plan as it was before it was changed: not compared.
  public var otherVersion = 0
  /// Made by somebody else: not compared.
  public var elsewhere = 0
  /// Of other arms than the plan has now: not compared, and nothing is estimated from them.
  public var otherArms = 0
  /// Made without a model: not compared, and nothing is estimated from them.
  public var fallback = 0
  /// The one that was decided first.
  public var first: Difference?

  public init() {}

  /// How many were made again.
  public var compared: Int { same + otherChances + otherArm }

  mutating func compare(_ logged: DecisionToken, _ again: DecisionToken) {
    if again == logged {
      same += 1
      return
    }
    if again.propensities == logged.propensities { otherArm += 1 } else { otherChances += 1 }
    note(Difference(logged: logged, again: again))
  }

  private mutating func note(_ difference: Difference) {
    if let first,
      (first.logged.timeMs, first.logged.id) <= (difference.logged.timeMs, difference.logged.id)
    {
      return
    }
    first = difference
  }

  public static func += (a: inout Self, b: Self) {
    a.decisions += b.decisions
    a.same += b.same
    a.otherChances += b.otherChances
    a.otherArm += b.otherArm
    a.otherVersion += b.otherVersion
    a.elsewhere += b.elsewhere
    a.otherArms += b.otherArms
    a.fallback += b.fallback
    if let first = b.first { a.note(first) }
  }
}
