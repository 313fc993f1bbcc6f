import Events
import Views

// The aggregator's whole state as bytes: time, counters, tuples in order of id, then windows in
// order of (level, start) with their rows in order of tuple. Undrained corrections and late events
// are not in it: a snapshot is used only where everything up to it has been committed.
extension WindowAggregator {
  private static var sectionID: UInt16 { 17 }
  private static var sectionVersion: UInt16 { 1 }
  private static var rowByteCount: Int { 56 }

  public mutating func snapshot(part: Int, into writer: inout SnapshotWriter) {
    fold()
    writer.begin(section: Self.sectionID, version: Self.sectionVersion)
    writer.put(logTime)
    writer.put(watermark)
    writer.put(overflowed)
    writer.put(lastCorrectionSequence)
    let ranks = writeTuples(into: &writer)
    writer.put(UInt64(windows.reduce(0) { $0 + $1.count }))
    writer.reserve(rowCount * Self.rowByteCount)
    for level in windows {
      for window in level { write(window, ranks, into: &writer) }
    }
    writer.end()
  }

  /// - Returns: each tuple's place in the snapshot by its slot.
  private func writeTuples(into writer: inout SnapshotWriter) -> [Int: UInt32] {
    var used: Set<Int> = []
    for level in windows {
      for window in level {
        for index in 0..<window.pointee.rows.count {
          used.insert(Int(window.pointee.rows.entries[index].key))
        }
      }
    }
    let slots = used.sorted { isTupleOrdered($0, $1) }
    writer.put(UInt64(slots.count))
    var ranks: [Int: UInt32] = [:]
    ranks.reserveCapacity(slots.count)
    for (rank, slot) in slots.enumerated() {
      ranks[slot] = UInt32(rank)
      let bytes = tuples.bytes(slot)
      writer.put(UInt32(bytes.count))
      writer.put(bytes)
    }
    return ranks
  }

  private func isTupleOrdered(_ a: Int, _ b: Int) -> Bool {
    let first = tuples.slots[a].id
    let second = tuples.slots[b].id
    if first != second { return first < second }
    return tuples.bytes(a).lexicographicallyPrecedes(tuples.bytes(b))
  }

  private func write(
    _ window: UnsafeMutablePointer<LiveWindow>, _ ranks: [Int: UInt32],
    into writer: inout SnapshotWriter
  ) {
    writer.put(UInt8(window.pointee.level.rawValue))
    writer.put(window.pointee.start)
    writer.put(UInt64(window.pointee.rows.count))
    let rows = (0..<window.pointee.rows.count).map { index in
      (rank: ranks[Int(window.pointee.rows.entries[index].key)] ?? 0, index: index)
    }.sorted { $0.rank < $1.rank }
    for row in rows {
      let value = window.pointee.rows.entries[row.index].value
      writer.put(row.rank)
      writer.put(value.revision)
      writer.put(value.counts.impressions)
      writer.put(value.counts.views)
      writer.put(value.counts.clicks)
      writer.put(value.counts.engagements)
      writer.put(value.counts.conversions)
      writer.put(value.counts.revenueMicros)
    }
  }

  public mutating func restore(
    part: Int, from reader: inout SnapshotReader
  ) throws(SnapshotFormatError) {
    try reader.open(section: Self.sectionID, version: Self.sectionVersion)
    logTime = try reader.get(Int64.self)
    watermark = try reader.get(Int64.self)
    overflowed = try reader.get(Int64.self)
    lastCorrectionSequence = try reader.get(UInt64.self)
    let isUnset = logTime == .min && watermark == .min
    guard
      isUnset
        || (TimeRange.clamp(logTime) == logTime && watermark <= logTime
          && watermark >= 2 * TimeRange.earliest - TimeRange.latest)
    else { throw reader.malformed("log time or watermark lies outside the years 1 to 9999") }
    for level in WindowLevel.allCases {
      seams[level.rawValue] = policy.seam(level, watermark: watermark)
    }
    let slots = try readTuples(from: &reader)
    let windowCount = try reader.getCount(elementByteCount: 17 + Self.rowByteCount)
    var previous = (level: -1, start: Int64.min)
    for _ in 0..<windowCount {
      let raw = Int(try reader.get(UInt8.self))
      let start = try reader.get(Int64.self)
      guard let level = WindowLevel(rawValue: raw), TimeRange.clamp(start) == start,
        level.start(of: start) == start, start >= seams[raw], (raw, start) > previous
      else { throw reader.malformed("a window is not one, expired, or not in order") }
      previous = (raw, start)
      try readRows(level, start, slots, from: &reader)
    }
    try reader.close()
    finishRestore()
    guard tuples.liveCount == slots.count else {
      throw reader.malformed("a tuple is used by no row")
    }
  }

  private mutating func readTuples(
    from reader: inout SnapshotReader
  ) throws(SnapshotFormatError) -> [Int] {
    let count = try reader.getCount(elementByteCount: 4)
    var slots: [Int] = []
    slots.reserveCapacity(count)
    for _ in 0..<count {
      let byteCount = Int(try reader.get(UInt32.self))
      let bytes = try reader.get(byteCount: byteCount)
      guard bytes.withUnsafeBytes({ EncodedTuple.isValid($0) }) else {
        throw reader.malformed("a tuple is not of its form")
      }
      let slot = bytes.withUnsafeBytes { tuples.intern($0) }
      if let last = slots.last, !isTupleOrdered(last, slot) {
        throw reader.malformed("tuples are not in order")
      }
      slots.append(slot)
    }
    return slots
  }

  private mutating func readRows(
    _ level: WindowLevel, _ start: Int64, _ slots: [Int], from reader: inout SnapshotReader
  ) throws(SnapshotFormatError) {
    let rowCount = try reader.getCount(elementByteCount: Self.rowByteCount)
    guard rowCount > 0 else { throw reader.malformed("a window has no rows") }
    var previous = -1
    for _ in 0..<rowCount {
      let rank = Int(try reader.get(UInt32.self))
      let revision = try reader.get(Int32.self)
      guard rank > previous, rank < slots.count, revision >= 0 else {
        throw reader.malformed("a row's tuple is not in order, or its revision negative")
      }
      previous = rank
      var counts = Counts()
      counts.impressions = try reader.get(Int64.self)
      counts.views = try reader.get(Int64.self)
      counts.clicks = try reader.get(Int64.self)
      counts.engagements = try reader.get(Int64.self)
      counts.conversions = try reader.get(Int64.self)
      counts.revenueMicros = try reader.get(Int64.self)
      let row = WindowRow(
        level: level, start: start, dimensionID: 0, counts: counts, revision: revision,
        isFinal: false)
      restoreRow(row, slot: slots[rank])
    }
  }
}
