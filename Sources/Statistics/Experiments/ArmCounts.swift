/// What one arm of an experiment counted: visitors, and how many of them converted.
///
/// A visitor is counted once, when its outcome is known: at its conversion or at the end of the time in
/// which one counts, the same for all arms.
public struct ArmCounts: Sendable, Equatable {
  public var visitors: Int
  public var conversions: Int

  public init(visitors: Int = 0, conversions: Int = 0) {
    self.visitors = visitors
    self.conversions = conversions
  }

  public var rate: Double { visitors == 0 ? 0 : Double(conversions) / Double(visitors) }

  public static func + (left: Self, right: Self) -> Self {
    Self(
      visitors: left.visitors + right.visitors, conversions: left.conversions + right.conversions)
  }

  public static func += (left: inout Self, right: Self) { left = left + right }

  func check(_ arm: StaticString) throws(ExperimentError) {
    guard visitors >= 0, conversions >= 0, conversions <= visitors else {
      throw .counts(arm: arm, visitors: visitors, conversions: conversions)
    }
  }
}
