public import Events
public import States

/// The arm that each person had first, for plans that are to give it again.
///
/// In shards, so that who reads it keeps what it was while a few shards change. The first decision counts, by time and
/// then by id, whatever the order in which they come. Who has had no decision for as long as the plan remembers is forgotten, to
/// the day, so that a process that has run for long and one that has just read the log know the same persons. Bounded: where it
/// is full, further persons are not noted, and get the arm that their race comes to (``Propensities/race(_:)``), which is the
/// same one while the chances hardly change. 48 bytes a person.
public struct StickyArms: Sendable, Equatable {
  fileprivate struct Note: Sendable, Equatable {
    var arm: Int
    var time: Int64
    var id: DecisionID
    /// Of the latest decision: days since the epoch.
    var day: Int32
  }

  private var shards: [[Key128: Note]]
  public private(set) var count = 0
  private let countMax: Int
  /// Who came last before it is forgotten: days since the epoch.
  private var firstDay = Int32.min

  public static let countMax = 1_000_000
  private static let shardCount = 1_024

  public init(countMax: Int = countMax) {
    self.countMax = countMax
    shards = [[Key128: Note]](repeating: [:], count: Self.shardCount)
  }

  public subscript(person: Key128) -> Int? { shards[Self.shard(person)][person]?.arm }

  /// - Returns: false where there was no room.
  mutating func note(_ person: Key128, _ arm: Int, at time: Int64, _ id: DecisionID) -> Bool {
    let shard = Self.shard(person)
    let day = Self.day(of: time)
    if let known = shards[shard][person] {
      // Only what changes is written: readers share the shard.
      if (time, id) < (known.time, known.id) {
        shards[shard][person] = Note(arm: arm, time: time, id: id, day: max(day, known.day))
      } else if day > known.day {
        shards[shard][person]?.day = day
      }
      return true
    }
    guard count < countMax else { return false }
    shards[shard][person] = Note(arm: arm, time: time, id: id, day: day)
    count += 1
    return true
  }

  mutating func forget(_ person: Key128) {
    if shards[Self.shard(person)].removeValue(forKey: person) != nil { count -= 1 }
  }

  /// Forgets who has had no decision since; looks once a day, at all.
  ///
  /// - Parameter time: microseconds since the epoch.
  mutating func forget(before time: Int64) {
    let first = Self.day(of: time)
    guard first > firstDay else { return }
    firstDay = first
    for shard in shards.indices where shards[shard].contains(where: { $0.value.day < first }) {
      shards[shard] = shards[shard].filter { $0.value.day >= first }
    }
    count = shards.reduce(0) { $0 + $1.count }
  }

  private static func day(of time: Int64) -> Int32 { Int32(clamping: time / DecisionPlan.day) }

  private static func shard(_ person: Key128) -> Int { Int(person.high % UInt64(shardCount)) }
}

extension StickyArms: CodedState {
  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.check(countMax)
    try codec.code(each: &shards)
    try codec.code(&firstDay)
    count = shards.reduce(0) { $0 + $1.count }
  }
}

extension StickyArms.Note: CodedElement {
  static var blank: Self { Self(arm: 0, time: 0, id: .blank, day: 0) }

  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&arm)
    try codec.code(&time)
    try codec.code(&id)
    try codec.code(&day)
  }
}
