import Events
import States

/// What was to be taken back, and was settled too long ago to be taken out of what is learned: who reads the log again knows
/// it beforehand, and learns nothing from it (``Learner/successor()``).
///
///     retraction ─▶ too late ─▶ owed ──5 s: more──▶ due ─▶ a successor that is told, reads the log ─▶ takes over
///
/// Bounded: what there is no room for is counted, and stays learned until it is forgotten.
struct OwedRetractions: Equatable, Sendable {
  static let countMax = 100_000
  private static let collects: Int64 = 5_000_000

  private(set) var decisions: Set<DecisionID> = []
  /// Until when their decisions are taken back, microseconds since the epoch; `.max` of who was erased: of them nothing is
  /// read any more.
  private(set) var persons: [Key128: Int64] = [:]
  private(set) var turnedAway: UInt64 = 0
  /// Log time at which the first was owed; nil while nothing is.
  private var since: Int64?

  var count: Int { decisions.count + persons.count }

  mutating func owe(_ id: DecisionID, at logTime: Int64) {
    guard !decisions.contains(id), makesRoom(at: logTime) else { return }
    decisions.insert(id)
  }

  mutating func owe(_ person: Key128, until time: Int64, at logTime: Int64) {
    guard persons[person] != nil || makesRoom(at: logTime) else { return }
    persons[person] = max(persons[person] ?? .min, time)
  }

  private mutating func makesRoom(at logTime: Int64) -> Bool {
    guard count < Self.countMax else {
      turnedAway += 1
      return false
    }
    since = since ?? logTime
    return true
  }

  /// Whether it is time to read the log again.
  func isDue(at logTime: Int64) -> Bool { since.map { logTime >= $0 + Self.collects } ?? false }

  func knows(_ id: DecisionID) -> Bool { decisions.contains(id) }

  func knows(_ person: Key128, until time: Int64) -> Bool {
    persons[person].map { $0 >= time } ?? false
  }

  /// Both, as what is known beforehand.
  func adding(_ other: Self) -> Self {
    var sum = self
    for id in other.decisions { sum.owe(id, at: 0) }
    for (person, time) in other.persons { sum.owe(person, until: time, at: 0) }
    return sum
  }
}

extension OwedRetractions: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&decisions)
    try codec.code(&persons)
    try codec.code(&turnedAway)
    try codec.code(&since)
  }
}
