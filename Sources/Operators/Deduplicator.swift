public import Events

/// Finds every copy of an event within a horizon of log time.
///
/// One table per key group, which an event's person decides. An id is remembered with the whole
/// second of log time at which it was first stored; a copy is a duplicate if it comes at most the
/// horizon later, whatever its event time. A duplicate does not prolong it. Ids are 128 bits of a
/// cryptographic hash and are compared whole: there are no false duplicates.
///
/// Cost: one cache miss per event, asked for eight events ahead. Stamps hold 1970 to 2106; log
/// times outside count as the nearest end.
public struct Deduplicator: ~Copyable, Operator {
  public static var name: String { "dedupe" }

  /// The key groups of this partition.
  public let groups: Range<Int>
  let horizonSeconds: UInt32
  let countMax: Int
  /// One per group of ``groups``.
  let tables: UnsafeMutablePointer<DedupeTable>
  /// Which table a group's ids are in: groups that are not ours, which only a collector with another
  /// number of partitions sends, are spread over ours.
  private let tableOfGroup: UnsafeMutablePointer<UInt16>
  /// The ids added since the last snapshot.
  var added = DedupeChanges()
  /// Log time in whole seconds.
  var now: UInt32 = 0
  /// The second in which expired ids were last dropped because of the limit.
  private var purgedAt: UInt32?
  /// At least ``count``; exact after a purge.
  var countBound = 0
  /// Of copies that were found since they were last taken, those of a silent replay left out.
  public private(set) var copies = CopyCounts()

  /// - Parameters:
  ///   - groups: the key groups that the partition owns; none for one that holds no events.
  ///   - horizon: microseconds of log time, rounded up to seconds.
  ///   - countMax: the most unexpired ids.
  public init(groups: Range<Int>, horizon: Int64, countMax: Int) {
    precondition(
      groups.lowerBound >= 0 && groups.upperBound <= KeyGroup.count, "groups are 0 to 255")
    self.groups = groups
    let seconds = max(0, horizon) / 1_000_000
    horizonSeconds = UInt32(clamping: seconds * 1_000_000 < horizon ? seconds + 1 : seconds)
    self.countMax = countMax
    let tableCount = max(1, groups.count)
    tables = .allocate(capacity: tableCount)
    for index in 0..<tableCount {
      (tables + index).initialize(
        to: DedupeTable(phase: index * DedupeTable.phaseCount / tableCount))
    }
    tableOfGroup = .allocate(capacity: KeyGroup.count)
    for group in 0..<KeyGroup.count {
      let table =
        groups.contains(group)
        ? group - groups.lowerBound : groups.isEmpty ? 0 : group % groups.count
      (tableOfGroup + group).initialize(to: UInt16(table))
    }
  }

  deinit {
    tables.deinitialize(count: max(1, groups.count))
    tables.deallocate()
    tableOfGroup.deallocate()
  }

  /// Remembered ids, expired ones that still take room included.
  public var count: Int {
    var sum = 0
    for index in 0..<max(1, groups.count) { sum += tables[index].count }
    return sum
  }

  /// The oldest stamp that is still remembered.
  var oldest: UInt32 { now > horizonSeconds ? now - horizonSeconds : 0 }

  public mutating func advance(to moment: FrameMoment) {
    now = max(now, Self.stamp(of: moment.logTime))
  }

  /// Whole seconds since the epoch.
  static func stamp(of logTime: Int64) -> UInt32 { UInt32(clamping: logTime / 1_000_000) }

  /// Marks the duplicates of a frame; of copies within it the first is not one.
  public mutating func process(
    _ frame: FrameView, at moment: FrameMoment, verdicts: inout Verdicts
  ) throws(OperatorError) {
    let eventCount = frame.count
    try makeRoom(for: eventCount)
    let now = now
    let oldest = oldest
    let values = verdicts.values
    let places = added.reserve(eventCount)
    var addedCount = 0
    for index in 0..<min(TableMemory.ahead, eventCount) { prefetch(frame, index) }
    for index in 0..<eventCount {
      if index &+ TableMemory.ahead < eventCount { prefetch(frame, index &+ TableMemory.ahead) }
      let key = Self.usable(frame.key(index))
      let table = tableOfGroup[KeyGroup.of(person: frame.person(index))]
      let mark = Self.mark(of: frame.fingerprint(index))
      guard
        let remembered = tables[Int(table)].insert(key, mark: mark, stamp: now, oldest: oldest)
      else {
        places[addedCount] = DedupeChanges.Addition(key: key, stamp: now, table: table)
        addedCount &+= 1
        continue
      }
      values[index] = Verdict.duplicate.rawValue
      if !moment.isSilent { copies.add(remembered: remembered, mark: mark) }
    }
    countBound += addedCount
    added.add(addedCount, stateCount: countBound)
  }

  /// Asks for the bucket of an event, so that misses overlap.
  @inline(__always)
  private func prefetch(_ frame: FrameView, _ index: Int) {
    let table = tables + Int(tableOfGroup[KeyGroup.of(person: frame.person(index))])
    TableMemory.prefetch(table.pointee.buckets + table.pointee.home(frame.key(index)))
  }

  /// Takes the counts of copies; they begin anew.
  public mutating func takeCopies() -> CopyCounts {
    defer { copies = CopyCounts() }
    return copies
  }

  /// What is remembered of a fingerprint: 1 to 1023; 0 where it is unknown.
  @inline(__always)
  private static func mark(of fingerprint: UInt32) -> UInt32 {
    fingerprint == 0 ? 0 : 1 &+ (fingerprint &* 0x9e37_79b9) >> 22 % 1023
  }

  /// Zero marks a free place; no hash gives it, and a frame that holds it anyway gets the key that
  /// the hash would have given instead.
  @inline(__always)
  static func usable(_ key: Key128) -> Key128 {
    key.low | key.high == 0 ? Key128(low: 1, high: 0) : key
  }

  /// Refuses the frame if its ids might not fit, after dropping what has expired. Expiry goes by
  /// whole seconds, so dropping once in each is enough.
  private mutating func makeRoom(for eventCount: Int) throws(OperatorError) {
    if countBound + eventCount <= countMax { return }
    if purgedAt != now {
      for index in 0..<max(1, groups.count) { tables[index].rebuild(oldest: oldest) }
      purgedAt = now
    }
    countBound = count
    guard countBound + eventCount <= countMax else {
      throw .full(operator: Self.name, count: countBound, max: countMax)
    }
  }
}
