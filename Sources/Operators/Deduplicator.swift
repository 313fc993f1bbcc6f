public import Events

/// Finds every copy of an event within a horizon of log time.
///
/// One table per key group, which an event's person decides. An id is remembered with the whole
/// second of log time at which it was first stored; a copy is a duplicate if it comes at most the
/// horizon later, whatever its event time. A duplicate does not prolong it. Ids are 128 bits of a
/// cryptographic hash and are compared whole: there are no false duplicates.
///
/// Cost: one cache miss per event, overlapped over up to 64 events. Stamps hold 1970 to 2106; log
/// times outside count as the nearest end.
public struct Deduplicator: ~Copyable, Operator {
  public static var name: String { "dedupe" }

  /// The key groups of this partition.
  public let parts: Range<Int>
  private let horizonSeconds: UInt32
  private let countMax: Int
  /// One per group of ``parts``.
  private let tables: UnsafeMutablePointer<DedupeTable>
  /// Which table a group's ids are in: groups that are not ours, which only a collector with another
  /// number of partitions sends, are spread over ours.
  private let tableOfGroup: UnsafeMutablePointer<UInt16>
  /// Per table: the sequence up to which it was restored; earlier frames are in it.
  private var restoredSequences: [UInt64]
  /// Log time in whole seconds; while parts of different age are restored, that of the oldest.
  private var now: UInt32 = 0
  private var isTimeKnown = false
  /// The second in which expired ids were last dropped because of the limit.
  private var purgedAt: UInt32?
  /// At least ``count``; exact after a purge.
  private var countBound = 0
  private var touched: UInt32 = 0

  /// - Parameters:
  ///   - groups: the key groups that the partition owns; none for one that holds no events.
  ///   - horizon: microseconds of log time, rounded up to seconds.
  ///   - countMax: the most unexpired ids.
  public init(groups: Range<Int>, horizon: Int64, countMax: Int) {
    precondition(
      groups.lowerBound >= 0 && groups.upperBound <= KeyGroup.count, "groups are 0 to 255")
    parts = groups
    let seconds = max(0, horizon) / 1_000_000
    horizonSeconds = UInt32(clamping: seconds * 1_000_000 < horizon ? seconds + 1 : seconds)
    self.countMax = countMax
    tables = .allocate(capacity: max(1, groups.count))
    for index in 0..<max(1, groups.count) { (tables + index).initialize(to: DedupeTable()) }
    tableOfGroup = .allocate(capacity: KeyGroup.count)
    for group in 0..<KeyGroup.count {
      let table =
        groups.contains(group)
        ? group - groups.lowerBound : groups.isEmpty ? 0 : group % groups.count
      (tableOfGroup + group).initialize(to: UInt16(table))
    }
    restoredSequences = Array(repeating: 0, count: max(1, groups.count))
  }

  deinit {
    tables.deinitialize(count: max(1, parts.count))
    tables.deallocate()
    tableOfGroup.deallocate()
  }

  /// Remembered ids, expired ones that still take room included.
  public var count: Int {
    var sum = 0
    for index in 0..<max(1, parts.count) { sum += tables[index].count }
    return sum
  }

  /// The oldest stamp that is still remembered.
  private var oldest: UInt32 { now > horizonSeconds ? now - horizonSeconds : 0 }

  public mutating func advance(to moment: FrameMoment) {
    now = max(now, Self.stamp(of: moment.logTime))
    isTimeKnown = true
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
    var added = 0
    var start = 0
    // 64 buckets of 64 bytes stay in the first-level cache between the two passes.
    while start < eventCount {
      let end = min(start &+ 64, eventCount)
      touch(frame, start, end)
      for index in start..<end {
        let key = Self.usable(frame.key(index))
        let table = tables + Int(tableOfGroup[KeyGroup.of(person: frame.person(index))])
        if table.pointee.insert(key, stamp: now, oldest: oldest) {
          added &+= 1
        } else {
          values[index] = Verdict.duplicate.rawValue
        }
      }
      start = end
    }
    countBound += added
  }

  /// Loads the bucket of every event, none waiting for another, so that the misses overlap.
  @inline(__always)
  private mutating func touch(_ frame: FrameView, _ start: Int, _ end: Int) {
    var sum: UInt32 = 0
    for index in start..<end {
      let table = tables + Int(tableOfGroup[KeyGroup.of(person: frame.person(index))])
      let bucket = table.pointee.buckets + table.pointee.home(frame.key(index))
      sum &+= bucket.pointee.used
    }
    touched &+= sum
  }

  /// Feeds a frame that came after the snapshots of some groups and before those of others, and
  /// that every operator behind this one has seen.
  ///
  /// The limit is not looked at: groups of different age lie beside each other here, and the frame
  /// was let in when it came.
  public mutating func catchUp(_ frame: FrameView, at moment: FrameMoment) {
    for index in 0..<frame.count {
      let table = Int(tableOfGroup[KeyGroup.of(person: frame.person(index))])
      if restoredSequences[table] >= moment.sequence { continue }
      _ = tables[table].insert(Self.usable(frame.key(index)), stamp: now, oldest: oldest)
    }
    countBound = count
  }

  /// Zero marks a free place; no hash gives it, and a frame that holds it anyway gets the key that
  /// the hash would have given instead.
  @inline(__always)
  private static func usable(_ key: Key128) -> Key128 {
    key.low | key.high == 0 ? Key128(low: 1, high: 0) : key
  }

  /// Refuses the frame if its ids might not fit, after dropping what has expired. Expiry goes by
  /// whole seconds, so dropping once in each is enough.
  private mutating func makeRoom(for eventCount: Int) throws(OperatorError) {
    if countBound + eventCount <= countMax { return }
    if purgedAt != now {
      for index in 0..<max(1, parts.count) { tables[index].rebuild(oldest: oldest) }
      purgedAt = now
    }
    countBound = count
    guard countBound + eventCount <= countMax else {
      throw .full(operator: Self.name, count: countBound, max: countMax)
    }
  }

  // MARK: Snapshots

  private static let sectionID: UInt16 = 16
  private static let sectionVersion: UInt16 = 1

  /// Entries are written as they are in memory, little-endian: low, high, stamp.
  private static let entryByteCount = 20

  public mutating func snapshot(part: Int, into writer: inout SnapshotWriter) {
    let entries = tables[part - parts.lowerBound].sorted(oldest: oldest)
    writer.begin(section: Self.sectionID, version: Self.sectionVersion)
    writer.put(UInt16(part))
    writer.put(now)
    writer.put(UInt64(entries.count))
    var raw: [UInt8] = Array(repeating: 0, count: entries.count * Self.entryByteCount)
    raw.withUnsafeMutableBytes { raw in
      var offset = 0
      for entry in entries {
        raw.storeBytes(of: entry.key.low.littleEndian, toByteOffset: offset, as: UInt64.self)
        raw.storeBytes(of: entry.key.high.littleEndian, toByteOffset: offset + 8, as: UInt64.self)
        raw.storeBytes(of: entry.stamp.littleEndian, toByteOffset: offset + 16, as: UInt32.self)
        offset += Self.entryByteCount
      }
    }
    raw.withUnsafeBytes { writer.put($0) }
    writer.end()
  }

  public mutating func restore(
    part: Int, from reader: inout SnapshotReader
  ) throws(SnapshotFormatError) {
    try reader.open(section: Self.sectionID, version: Self.sectionVersion)
    guard try reader.get(UInt16.self) == UInt16(part), parts.contains(part) else {
      throw reader.malformed("it belongs to another group than \(part)")
    }
    let then = try reader.get(UInt32.self)
    let entryCount = try reader.getCount(elementByteCount: Self.entryByteCount)
    var entries: [DedupeTable.Entry] = []
    entries.reserveCapacity(entryCount)
    let raw = try reader.get(byteCount: entryCount * Self.entryByteCount)
    raw.withUnsafeBytes { raw in
      for index in 0..<entryCount {
        let offset = index * Self.entryByteCount
        let low = raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        let high = raw.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)
        let stamp = raw.loadUnaligned(fromByteOffset: offset + 16, as: UInt32.self)
        entries.append(
          DedupeTable.Entry(
            key: Key128(low: UInt64(littleEndian: low), high: UInt64(littleEndian: high)),
            stamp: UInt32(littleEndian: stamp)))
      }
    }
    try reader.close()
    var previous = Key128.zero
    for entry in entries {
      guard previous < entry.key, entry.stamp <= then else {
        throw reader.malformed("ids are not in rising order, or later than their snapshot")
      }
      previous = entry.key
    }
    tables[part - parts.lowerBound].fill(entries)
    setOldest(then)
    countBound = count
  }

  /// Empties a group, whose ids are to be collected again from the beginning of the log.
  public mutating func clear(part: Int) {
    tables[part - parts.lowerBound].fill([])
    setOldest(0)
  }

  private mutating func setOldest(_ stamp: UInt32) {
    now = isTimeKnown ? min(now, stamp) : stamp
    isTimeKnown = true
  }

  /// Notes up to which frame a restored group has seen the log.
  public mutating func setRestored(part: Int, sequence: UInt64) {
    restoredSequences[part - parts.lowerBound] = sequence
  }
}
