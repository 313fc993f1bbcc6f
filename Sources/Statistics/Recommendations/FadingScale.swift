/// Weights that halve after each half-life, as whole numbers: what was added can be taken back without a trace, in any
/// order.
///
///     ── epoch k−1 ──┼────── epoch k ──────┼─      each of 16 half-lives, aligned to the time's zero
///       "older"            "present"              what is of epoch k−2 weighs less than 2⁻¹⁶ and is no more
///
/// A weight at time t is kept as if seen from the beginning of its epoch (forward decay, Cormode et al. 2009), in 2⁻²⁰ths:
/// fading costs nothing until it is read. 64 bits hold 10⁸ additions of weight 1 at an epoch's end, which is as much as
/// one thing can have; totals have 128.
struct FadingScale: Sendable, Equatable {
  /// Sums of one thing in two epochs.
  struct Sum: Sendable, Equatable {
    var present: Int64 = 0
    var older: Int64 = 0

    var isZero: Bool { present == 0 && older == 0 }

    /// As seen from the beginning of the present epoch, in 2⁻²⁰ths.
    var value: Double { Double(present) + Double(older) * FadingScale.epochFactor }

    mutating func add(_ addend: Addend) {
      if addend.isPresent {
        present = FadingScale.added(present, addend.units)
      } else {
        older = FadingScale.added(older, addend.units)
      }
    }

    /// The present epoch is over.
    mutating func age(by epochs: Int) {
      older = epochs == 1 ? present : 0
      present = 0
    }
  }

  /// Sums of all things in two epochs.
  struct Total: Sendable, Equatable {
    var present: Int128 = 0
    var older: Int128 = 0

    var value: Double { Double(present) + Double(older) * FadingScale.epochFactor }

    mutating func add(_ addend: Addend) {
      if addend.isPresent { present += Int128(addend.units) } else { older += Int128(addend.units) }
    }

    /// A thing is gone. What it had beyond its 64 bits stays.
    mutating func remove(_ sum: Sum) {
      present = max(0, present - Int128(sum.present))
      older = max(0, older - Int128(sum.older))
    }

    mutating func age(by epochs: Int) {
      older = epochs == 1 ? present : 0
      present = 0
    }
  }

  /// No more than there is room for.
  static func added(_ sum: Int64, _ units: Int64) -> Int64 {
    let (result, isOverflow) = sum.addingReportingOverflow(units)
    return isOverflow ? .max : result
  }

  struct Addend {
    var units: Int64
    var isPresent: Bool
  }

  private static let halfLives = 16.0
  static let epochFactor = 0x1p-16
  private static let unit = 0x1p20

  let halfLife: Double
  /// nil before anything was added.
  private(set) var epoch: Int?

  /// - Parameter halfLife: seconds.
  init(halfLife: Double) { self.halfLife = halfLife }

  /// - Returns: by how many epochs all sums are to be aged first, and what is to be added; nil where it weighs nothing any
  ///   more.
  mutating func addend(_ weight: Double, at time: Double) -> (aged: Int, addend: Addend?) {
    let length = halfLife * Self.halfLives
    let own = Int((time / length).rounded(.down))
    let aged = max(0, own - (epoch ?? own))
    let present = max(own, epoch ?? own)
    epoch = present
    guard own >= present - 1 else { return (aged, nil) }
    let grown = Elementary.exp((time - Double(own) * length) / halfLife * Elementary.ln2)
    return (
      aged, Addend(units: Int64((weight * grown * Self.unit).rounded()), isPresent: own == present)
    )
  }

  /// What ``Sum/value`` is to be multiplied with at a time.
  func factor(at time: Double) -> Double {
    let origin = Double(epoch ?? 0) * halfLife * Self.halfLives
    return Elementary.exp((origin - time) / halfLife * Elementary.ln2) / Self.unit
  }
}
