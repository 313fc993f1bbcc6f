import Events
import States

/// Decisions of which nothing comes any more, the latest of them, in the order in which they were settled: what was learned
/// from them can be taken back.
///
///     settled for good │ the latest, each as it was learned │ entries whose rewards may still come
///     ─────────────────┼────────────────────────────────────┼──────────────────────────────────────▶
///        snapshot ─────╯ learned again without what is taken back
///
/// Bounded: what is older stays learned, and is only known for having been there. Some 400 bytes each.
struct SettledDecisions {
  struct Settled {
    var id: DecisionID
    var persons: [Key128]
    var part: DecisionEntry.Contribution
    var score: ShadowSums.Part?
    /// What the intervals of shadows have of it; nil where nothing.
    var scored: ShadowScores.Scored?
    /// nil where policies with context learn nothing from it.
    var example: ContextualLedger.Example?
    /// The log time at which it was taken back: it stays until those that depend on the order have learned again.
    var takenBackAt: Int64?
    /// Whether something that depends on the order has learned from it.
    var isOrdered = false
  }

  static let countMax = 20_000

  private(set) var all: [Settled] = []
  private(set) var forGood = SettledForGood()
  /// Taken back, and still in what depends on the order.
  private(set) var takenBackCount = 0
  /// The first time at which something was taken back that left by ``add(_:)`` since.
  private(set) var owedSince: Int64?
  private let countMax: Int

  init(countMax: Int = countMax) { self.countMax = countMax }

  /// - Returns: what there is no room for any more, the oldest first.
  mutating func add(_ settled: Settled) -> [Settled] {
    all.append(settled)
    // Some at once, so that moving the rest costs little.
    guard all.count > countMax + countMax / 8 else { return [] }
    let gone = Array(all.prefix(all.count - countMax))
    all.removeFirst(gone.count)
    for settled in gone {
      if let time = settled.takenBackAt {
        takenBackCount -= 1
        owedSince = min(owedSince ?? time, time)
      } else {
        forGood.insert(settled.id.key)
        for person in settled.persons { forGood.insert(person) }
      }
    }
    return gone
  }

  /// - Returns: nil where it is not among the latest, or was taken back before.
  mutating func takeBack(_ id: DecisionID, at logTime: Int64) -> Settled? {
    guard let place = all.firstIndex(where: { $0.id == id }), all[place].takenBackAt == nil else {
      return nil
    }
    let settled = all[place]
    if settled.isOrdered {
      all[place].takenBackAt = logTime
      takenBackCount += 1
    } else {
      all.remove(at: place)
    }
    return settled
  }

  /// What was taken back until a time is gone for good: all have learned again without it.
  mutating func removeTakenBack(until time: Int64) {
    guard takenBackCount > 0 || owedSince != nil else { return }
    all.removeAll { $0.takenBackAt.map { $0 <= time } ?? false }
    takenBackCount = all.count { $0.takenBackAt != nil }
    if let owed = owedSince, owed <= time { owedSince = nil }
  }

  /// The first time at which something was taken back that is still learned.
  var takenBackSince: Int64? {
    (all.compactMap(\.takenBackAt) + [owedSince].compactMap(\.self)).min()
  }

  /// What shadows come to begins anew.
  mutating func forgetScores() {
    for place in all.indices {
      all[place].score = nil
      all[place].scored = nil
    }
  }

  func decisions(of person: Key128, until time: Int64) -> [DecisionID] {
    all.filter { $0.takenBackAt == nil && $0.part.time <= time && $0.persons.contains(person) }
      .map(\.id)
  }
}

extension SettledDecisions: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.check(countMax)
    try codec.code(&all)
    try codec.code(&forGood)
    try codec.code(&takenBackCount)
    try codec.code(&owedSince)
  }
}

extension SettledDecisions.Settled: CodedElement {
  static var blank: Self { Self(id: .blank, persons: [], part: .blank) }

  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&id)
    try codec.code(&persons)
    try codec.code(&part)
    try codec.code(&score)
    try codec.code(&scored)
    try codec.code(&example)
    try codec.code(&takenBackAt)
    try codec.code(&isOrdered)
  }
}
