import Events
import Views

/// What one person saw and did on the campaign of an experiment. A function of the set of its touches, as long as there
/// are no more of them than are kept.
struct ExposedPerson: Sendable {
  /// The first touch that showed a variant.
  struct Shown: Sendable, Hashable {
    var time: Int64
    var key: Key128
    var variant: Int32
    /// Number of its ``ExposurePlace``.
    var place: Int32

    static func < (a: Self, b: Self) -> Bool { (a.time, a.key) < (b.time, b.key) }
  }

  /// A touch that may count as what came of an exposure.
  struct Outcome: Sendable, Hashable {
    enum Kind: UInt8, Sendable { case click, engagement, conversion, other }

    var time: Int64
    var key: Key128
    var kind: Kind
    /// A bit for each goal of the question.
    var goals: UInt32
    /// Millionths of the currency.
    var revenueMicros: Int64
    /// Number of the currency.
    var currency: Int32
    var dwellTenths: Int32

    static func < (a: Self, b: Self) -> Bool { (a.time, a.key) < (b.time, b.key) }
  }

  static let outcomesMax = 64

  /// One of each variant.
  private(set) var shown: [Shown] = []
  /// The earliest ones, at most ``outcomesMax``.
  private(set) var outcomes: [Outcome] = []

  /// What exposed the person; nil while nothing did.
  var first: Shown? { shown.min { $0 < $1 } }

  /// Whether this touch would be the first one of its variant.
  func isNews(_ variant: Int32, at time: Int64, _ key: Key128) -> Bool {
    guard let known = shown.first(where: { $0.variant == variant }) else { return true }
    return (time, key) < (known.time, known.key)
  }

  mutating func show(_ touch: Shown) {
    guard let place = shown.firstIndex(where: { $0.variant == touch.variant }) else {
      shown.append(touch)
      return
    }
    if touch < shown[place] { shown[place] = touch }
  }

  /// - Returns: whether one had to go, or did not come in.
  mutating func add(_ outcome: Outcome) -> Bool {
    if outcomes.count < Self.outcomesMax {
      outcomes.append(outcome)
      return false
    }
    if let latest = outcomes.indices.max(by: { outcomes[$0] < outcomes[$1] }),
      outcome < outcomes[latest]
    {
      outcomes[latest] = outcome
    }
    return true
  }

  /// Another id was the same person.
  mutating func join(_ other: ExposedPerson) {
    for touch in other.shown { show(touch) }
    for outcome in other.outcomes { _ = add(outcome) }
  }

  mutating func move(places: [Int32: Int32]) {
    for index in shown.indices { shown[index].place = places[shown[index].place] ?? 0 }
  }

  // MARK: What it comes to

  struct Sums {
    var exposures = Exposures()
    var hasEngaged = false
    var goals: UInt32 = 0
    var dwellTenths: Int64 = 0
    var hasDwelled = false
    /// By number of the currency.
    var revenue: [(currency: Int32, micros: Int64)] = []
  }

  /// What it did from its first exposure on within so many microseconds; nil where it was not exposed.
  func sums(within window: Int64) -> (first: Shown, sums: Sums)? {
    guard let first else { return nil }
    var sums = Sums()
    sums.exposures.persons = 1
    for other in shown where other.variant != first.variant && other.time - first.time <= window {
      sums.exposures.mixed = 1
    }
    for outcome in outcomes where outcome.time >= first.time && outcome.time - first.time <= window
    {
      sums.goals |= outcome.goals
      if outcome.dwellTenths > 0 {
        sums.hasDwelled = true
        sums.dwellTenths += Int64(outcome.dwellTenths)
      }
      switch outcome.kind {
      case .click: sums.exposures.clickers = 1
      case .engagement: sums.hasEngaged = true
      case .conversion:
        sums.exposures.converters = 1
        if outcome.revenueMicros != 0 { Self.add(outcome, to: &sums.revenue) }
      case .other: break
      }
    }
    return (first, sums)
  }

  private static func add(
    _ outcome: Outcome, to revenue: inout [(currency: Int32, micros: Int64)]
  ) {
    if let place = revenue.firstIndex(where: { $0.currency == outcome.currency }) {
      revenue[place].micros = Counts.sum(revenue[place].micros, outcome.revenueMicros)
    } else {
      revenue.append((outcome.currency, outcome.revenueMicros))
    }
  }
}
