public import Statistics

/// The chance of each arm in whole parts, so that what is logged is exactly what was drawn from.
///
/// The parts add up to ``whole(of:)`` the number of arms: the greatest multiple of it that is at most 65,536, so that equal
/// chances are equal. (Those that were logged before it was so add up to 65,536 with any number of arms.) Shares of what
/// does not divide go to the greatest remainders, of equal ones to the lower arm.
public struct Propensities: Hashable, Sendable {
  public static let wholeMax: UInt32 = 65_536

  public static func whole(of count: Int) -> UInt32 {
    count < 1 ? wholeMax : wholeMax - wholeMax % UInt32(clamping: count)
  }

  public let parts: [UInt32]
  /// What they add up to.
  public let whole: UInt32

  /// - Returns: nil where the parts do not add up.
  public init?(parts: [UInt32]) {
    var sum: UInt64 = 0
    for part in parts { sum += UInt64(part) }
    guard sum == UInt64(Self.wholeMax) || sum == UInt64(Self.whole(of: parts.count)) else {
      return nil
    }
    self.parts = parts
    whole = UInt32(sum)
  }

  /// All of it to one arm.
  public init(only arm: Int, of count: Int) {
    var parts = [UInt32](repeating: 0, count: count)
    whole = Self.whole(of: count)
    parts[arm] = whole
    self.parts = parts
  }

  public init(uniform count: Int) {
    self.init([Double](repeating: 1, count: count))
  }

  /// - Parameters:
  ///   - weights: of any sum, at least one of an allowed arm above 0 or else all of them equal; what is no number
  ///     counts as 0.
  ///   - floor: the least chance of each allowed arm; at most 1 over their number.
  ///   - allowed: whether an arm may be shown at all; nil for all. Where none may, all may.
  public init(_ weights: [Double], floor: Double = 0, allowed: [Bool]? = nil) {
    var arms = weights.indices.filter { allowed?[$0] ?? true }
    if arms.isEmpty { arms = Array(weights.indices) }
    whole = Self.whole(of: weights.count)
    let least = min(
      UInt32((max(0, min(1, floor)) * Double(whole)).rounded(.up)), whole / UInt32(arms.count))
    var parts = [UInt32](repeating: 0, count: weights.count)
    for arm in arms { parts[arm] = least }
    let rest = whole - least * UInt32(arms.count)
    let shares = Self.divide(rest, among: arms.map { weights[$0] })
    for (arm, share) in zip(arms, shares) { parts[arm] += share }
    self.parts = parts
  }

  private static func divide(_ rest: UInt32, among weights: [Double]) -> [UInt32] {
    var weights = weights.map { $0 > 0 && $0 < .infinity ? $0 : 0 }
    var total = 0.0
    for weight in weights { total += weight }
    if !(total > 0 && total < .infinity) {
      weights = weights.map { _ in 1 }
      total = Double(weights.count)
    }
    var shares: [UInt32] = []
    var remainders: [(index: Int, value: Double)] = []
    var given: UInt32 = 0
    for (index, weight) in weights.enumerated() {
      let exact = weight / total * Double(rest)
      let share = min(rest - given, UInt32(exact.rounded(.down)))
      shares.append(share)
      given += share
      remainders.append((index, exact - Double(share)))
    }
    remainders.sort { $0.value != $1.value ? $0.value > $1.value : $0.index < $1.index }
    var place = 0
    while given < rest {
      shares[remainders[place % remainders.count].index] += 1
      given += 1
      place += 1
    }
    return shares
  }

  public var count: Int { parts.count }

  /// Between 0 and 1.
  public subscript(arm: Int) -> Double { Double(parts[arm]) / Double(whole) }

  /// With all of the chance on some of the arms, in the proportions that they have; equal ones where they have none.
  public func restricted(to arms: [Int]) -> Propensities {
    var allowed = [Bool](repeating: false, count: count)
    for arm in arms where arm >= 0 && arm < count { allowed[arm] = true }
    if !allowed.contains(true) || !allowed.contains(false) { return self }
    return Propensities(parts.map(Double.init), allowed: allowed)
  }

  /// Mostly these, with a share of others.
  ///
  /// - Parameter share: of the others, 0 to 1.
  public func mixed(with others: Propensities, share: Double) -> Propensities {
    guard share > 0 else { return self }
    guard share < 1 else { return others }
    return Propensities(
      parts.indices.map { self[$0] * (1 - share) + others[$0] * share })
  }

  /// An arm with exactly its chance.
  public func draw(_ draws: inout Draws) -> Int {
    // The upper bits times the whole, without a remainder that would prefer some arms by more than 2^-48.
    var rest = UInt32(truncatingIfNeeded: draws.next().multipliedFullWidth(by: UInt64(whole)).high)
    for (arm, part) in parts.enumerated() {
      if rest < part { return arm }
      rest -= part
    }
    return parts.lastIndex { $0 > 0 } ?? 0
  }

  /// An arm with its chance, drawn so that the same draws give the same arm as long as its chance does not fall
  /// beside that of the others: the first of exponential clocks that run as fast as the chances.
  public func race(_ draws: inout Draws) -> Int {
    var best = (arm: 0, time: Double.infinity)
    for (arm, part) in parts.enumerated() {
      let clock = -Elementary.log(draws.unit())
      guard part > 0 else { continue }
      let time = clock / Double(part)
      if time < best.time { best = (arm, time) }
    }
    return best.arm
  }
}
