import Events

/// Decisions of which nothing comes any more, the latest of them, in the order in which they were settled: what was learned
/// from them can be taken back.
///
///     settled for good │ the latest, each as it was learned │ entries whose rewards may still come
///     ─────────────────┼────────────────────────────────────┼──────────────────────────────────────▶
///        snapshot ─────╯ learned again without what is taken back
///
/// Bounded: what is older stays learned. Some 300 bytes each.
struct SettledDecisions {
  struct Settled {
    var id: DecisionID
    var persons: [Key128]
    var part: DecisionEntry.Contribution
    var score: ShadowSums.Part?
    /// nil where policies with context learn nothing from it.
    var example: ContextualLedger.Example?
  }

  static let countMax = 20_000

  private(set) var all: [Settled] = []
  private let countMax: Int

  init(countMax: Int = countMax) { self.countMax = countMax }

  /// - Returns: what there is no room for any more, the oldest first.
  mutating func add(_ settled: Settled) -> [Settled] {
    all.append(settled)
    // Some at once, so that moving the rest costs little.
    guard all.count > countMax + countMax / 8 else { return [] }
    let gone = Array(all.prefix(all.count - countMax))
    all.removeFirst(gone.count)
    return gone
  }

  mutating func take(_ id: DecisionID) -> Settled? {
    all.firstIndex { $0.id == id }.map { all.remove(at: $0) }
  }

  /// What shadows come to begins anew.
  mutating func forgetScores() {
    for place in all.indices { all[place].score = nil }
  }

  func decisions(of person: Key128, until time: Int64) -> [DecisionID] {
    all.filter { $0.part.time <= time && $0.persons.contains(person) }.map(\.id)
  }
}
