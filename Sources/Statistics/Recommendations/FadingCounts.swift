/// Counts of many things that halve after each half-life: how popular each one is now.
///
/// Kept as if seen from a fixed moment, so that fading costs nothing (Cormode et al. 2009, "Forward decay"): what
/// counts at time t has the weight 2^((t − origin) / half-life), and all of it is divided by the same number when it
/// is read. What comes late has the weight that it would have had in time. Cost: 30 ns an addition; a move of all
/// counts to a later moment every 40 half-lives.
public struct FadingCounts: Sendable, Equatable {
  private var values: [Double] = []
  private var total = 0.0
  private var origin = 0.0
  public let halfLife: Double

  private static let halfLivesMax = 40.0

  /// - Parameter halfLife: seconds.
  public init(halfLife: Double) { self.halfLife = halfLife }

  public mutating func add(_ number: Int, _ weight: Double, at time: Double) {
    if origin == 0 { origin = time }
    if time - origin > halfLife * Self.halfLivesMax {
      let factor = factor(at: time)
      for place in values.indices { values[place] *= factor }
      total *= factor
      origin = time
    }
    while values.count <= number { values.append(0) }
    let grown = weight * Elementary.exp((time - origin) / halfLife * Elementary.ln2)
    values[number] += grown
    total += grown
  }

  /// What ``value(_:)`` is to be multiplied with at a time.
  public func factor(at time: Double) -> Double {
    Elementary.exp((origin - time) / halfLife * Elementary.ln2)
  }

  /// As seen from the origin; see ``factor(at:)``.
  public func value(_ number: Int) -> Double { number < values.count ? values[number] : 0 }

  /// Of all numbers, as seen from the origin.
  public var sum: Double { total }

  public mutating func remove(_ number: Int) {
    guard number < values.count else { return }
    total = max(0, total - values[number])
    values[number] = 0
  }
}
