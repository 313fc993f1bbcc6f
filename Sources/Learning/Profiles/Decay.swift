import Statistics

/// How fast what was done counts less: half as much after each half-life.
///
/// Forward decay (Cormode, Shkapenyuk, Srivastava, Xu 2009, "Forward decay: a practical time decay model"): an event's
/// weight grows with its own time and is divided by that of now when it is asked for, so that nothing needs to
/// be touched as time goes by. Weights are whole numbers, begun anew every 16 half-lives:
///
///     epoch e−1              epoch e              now
///     2^16 ……… 2^32 │ 2^16 ……… 2^32 │
///
/// Sums of whole numbers are the same in every order. What is two epochs back counts less than 2^−16 and is
/// left out.
public struct Decay: Hashable, Sendable {
  /// Microseconds.
  public let halfLife: Int64

  private static let halfLives: Int64 = 16
  private static let unit = 65_536.0

  public init(halfLife: Int64) {
    precondition(halfLife >= 1, "a half-life is a time")
    self.halfLife = halfLife
  }

  func epoch(_ time: Int64) -> Int32 {
    let span = halfLife.multipliedReportingOverflow(by: Self.halfLives).partialValue
    let rest = time % span
    return Int32(clamping: (time - rest) / span - (rest < 0 ? 1 : 0))
  }

  private func halvings(from epoch: Int32, to time: Int64) -> Double {
    let start = Double(epoch) * Double(halfLife) * Double(Self.halfLives)
    return (Double(time) - start) / Double(halfLife)
  }

  /// Of an event, 2^16 to 2^32.
  func weight(_ time: Int64) -> Int64 {
    let halvings = min(max(halvings(from: epoch(time), to: time), 0), Double(Self.halfLives))
    return Int64(Self.unit * Elementary.exp(Elementary.ln2 * halvings))
  }

  /// What sums of an epoch and of the one before are multiplied by to be worth what they are at a time.
  func factors(_ epoch: Int32, at time: Int64) -> (current: Double, previous: Double) {
    // A time before the epoch's events would make more of them than they were.
    let halvings = min(max(halvings(from: epoch, to: time), 0), 1_000)
    let current = Elementary.exp(-Elementary.ln2 * halvings) / Self.unit
    return (current, current / Elementary.exp(Elementary.ln2 * Double(Self.halfLives)))
  }
}

/// A sum that decays; see ``Decay``. The epoch is that of whoever has it.
struct DecayedSum: Hashable, Sendable {
  private(set) var current: Int64 = 0
  private(set) var previous: Int64 = 0

  enum Place { case current, previous }

  mutating func add(_ amount: Int64, weight: Int64, _ place: Place) {
    let product = amount.multipliedReportingOverflow(by: weight)
    let step = product.overflow ? (amount < 0 ? Int64.min : .max) : product.partialValue
    switch place {
    case .current: current = Self.sum(current, step)
    case .previous: previous = Self.sum(previous, step)
    }
  }

  /// Goes on by so many epochs.
  mutating func advance(_ epochs: Int32) {
    previous = epochs == 1 ? current : 0
    current = 0
  }

  func value(_ factors: (current: Double, previous: Double)) -> Double {
    Double(current) * factors.current + Double(previous) * factors.previous
  }

  private static func sum(_ a: Int64, _ b: Int64) -> Int64 {
    let (sum, overflow) = a.addingReportingOverflow(b)
    return overflow ? (b < 0 ? .min : .max) : sum
  }
}
