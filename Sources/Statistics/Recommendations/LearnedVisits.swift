/// The visits of somebody as they were learned: what takes them out of everybody's sums again.
///
/// What a visit adds depends on the visits before it, so they are kept in the order in which they came. A person that
/// was known by several names has a sequence for each: none of them says what came before the other's.
public struct LearnedVisits: Sendable, Equatable {
  struct Visit: Sendable, Equatable {
    /// −1 once the content is gone.
    var content: Int32
    /// Of the content at that time; see ``ContentRecommender``.
    var facts: Int32
    var time: Double
    var weight: Float
    var isFirst: Bool
  }

  struct Sequence: Sendable, Equatable {
    var visits: [Visit] = []
    /// Of them, so many of the first stay learned: they only say what came before the others.
    var contextCount = 0
  }

  private(set) var sequences: [Sequence] = []

  /// Nothing was ever learned.
  public var isEmpty: Bool { sequences.isEmpty }

  /// That can be taken back.
  public var count: Int { sequences.reduce(0) { $0 + $1.visits.count - $1.contextCount } }

  mutating func append(_ visit: Visit, contextMax: Int, countMax: Int) -> Int {
    if sequences.isEmpty { sequences.append(Sequence()) }
    sequences[sequences.count - 1].visits.append(visit)
    // Some at once, so that moving the rest costs little.
    guard count > countMax + countMax / 8 + 1 else { return 1 }
    return 1 - cut(to: countMax, contextMax: contextMax)
  }

  /// The oldest stay learned.
  ///
  /// - Returns: how many cannot be taken back any more.
  mutating func cut(to countMax: Int, contextMax: Int) -> Int {
    let before = count
    while count > countMax, sequences.count > 1 { sequences.removeFirst() }
    if count > countMax, let last = sequences.indices.last {
      let visits = sequences[last].visits
      let kept = min(visits.count, countMax + contextMax)
      sequences[last].visits.removeFirst(visits.count - kept)
      sequences[last].contextCount = kept - countMax
    }
    return before - count
  }

  /// Takes over another one's, whose visits came before those that follow.
  mutating func take(_ other: LearnedVisits) {
    // What follows does not follow the other's.
    if sequences.isEmpty { sequences.append(Sequence()) }
    sequences.insert(contentsOf: other.sequences, at: 0)
  }

  mutating func forget(_ removed: Set<Int>) {
    for index in sequences.indices {
      for place in sequences[index].visits.indices
      where removed.contains(Int(sequences[index].visits[place].content)) {
        sequences[index].visits[place].content = -1
      }
    }
  }
}
