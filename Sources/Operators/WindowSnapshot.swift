import Events
import Views

// The aggregator's whole state as bytes: time, counters, tuples in order of id, then windows in
// order of (level, start) with their rows in order of tuple. Undrained corrections and late events
// are not in it: a snapshot is used only where everything up to it has been committed.
extension WindowAggregator {
  private static var sectionID: UInt16 { 17 }
  private static var sectionVersion: UInt16 { 2 }
  /// The fewest bytes of a row: its tuple, its revision and six counts.
  private static var rowByteCountMin: Int { 8 }
  /// What a row mostly takes.
  static var rowByteCount: Int { 14 }
  static var tupleByteCount: Int { 72 }

  public var stateSize: StateSize {
    var byteCount = tuples.byteCount + open.byteCount + changes.byteCount
    for level in windows {
      for window in level { byteCount += window.pointee.rows.byteCount }
    }
    return StateSize(
      keyCount: tuples.liveCount, keyCountMax: policy.tupleCountMax, byteCount: byteCount)
  }

  public var changeByteCount: Int {
    changes.isLost
      ? rowCount * Self.rowByteCount + tupleCount * Self.tupleByteCount
      : incrementByteCount
  }

  public mutating func snapshot(_ scope: SnapshotScope, into writer: inout SnapshotWriter) {
    fold()
    writer.begin(section: Self.sectionID, version: Self.sectionVersion)
    let isComplete = scope == .everything || changes.isLost
    writer.put(UInt8(isComplete ? 1 : 0))
    writer.put(logTime)
    writer.put(watermark)
    writer.put(overflowed)
    writer.put(lastCorrectionSequence)
    if isComplete {
      writeEverything(into: &writer)
    } else {
      writeChanges(into: &writer)
    }
    writer.end()
    changes.clear(&tuples)
  }

  /// What was counted and not folded belongs to what is forgotten.
  public mutating func forgetChanges() {
    fold()
    changes.clear(&tuples)
  }

  private mutating func writeEverything(into writer: inout SnapshotWriter) {
    let slots = tuples.liveSlots.sorted { isTupleOrdered($0, $1) }
    writer.put(UInt64(slots.count))
    writer.reserve(slots.count * Self.tupleByteCount + rowCount * Self.rowByteCount)
    var ranks: [UInt32] = Array(repeating: 0, count: (slots.max() ?? 0) + 1)
    for (rank, slot) in slots.enumerated() {
      ranks[slot] = UInt32(rank)
      writeTuple(slot, into: &writer)
      tuples.markStored(slot)
    }
    writer.put(UInt64(windows.reduce(0) { $0 + $1.count }))
    for level in windows {
      for window in level { write(window, ranks, into: &writer) }
    }
  }

  func writeTuple(_ slot: Int, into writer: inout SnapshotWriter) {
    let bytes = tuples.bytes(slot)
    writer.put(UInt32(bytes.count))
    writer.put(bytes)
  }

  private func isTupleOrdered(_ a: Int, _ b: Int) -> Bool {
    let first = tuples.slots[a].id
    let second = tuples.slots[b].id
    if first != second { return first < second }
    return tuples.bytes(a).lexicographicallyPrecedes(tuples.bytes(b))
  }

  /// Rows name their tuples by the distance from the row before.
  private func write(
    _ window: UnsafeMutablePointer<LiveWindow>, _ ranks: [UInt32],
    into writer: inout SnapshotWriter
  ) {
    writer.put(UInt8(window.pointee.level.rawValue))
    writer.put(window.pointee.start)
    writer.put(UInt64(window.pointee.rows.count))
    let rows = (0..<window.pointee.rows.count).map { index in
      UInt64(ranks[Int(window.pointee.rows.entry(index).pointee.key)]) << 32 | UInt64(index)
    }.sorted()
    var previous: UInt64 = 0
    for row in rows {
      let rank = row >> 32
      let value = window.pointee.rows.entry(Int(row & 0xffff_ffff)).pointee.value
      writer.put(varint: rank &- previous)
      previous = rank
      writer.put(varint: UInt64(value.revision))
      Self.put(value.counts, into: &writer)
    }
  }

  static func put(_ counts: Counts, into writer: inout SnapshotWriter) {
    writer.put(zigzag: counts.impressions)
    writer.put(zigzag: counts.views)
    writer.put(zigzag: counts.clicks)
    writer.put(zigzag: counts.engagements)
    writer.put(zigzag: counts.conversions)
    writer.put(zigzag: counts.revenueMicros)
  }

  // MARK: Restoring

  /// Nothing in it belongs to persons.
  public mutating func restore(
    from reader: inout SnapshotReader, keeping groups: Range<Int>
  ) throws(SnapshotFormatError) {
    try reader.open(section: Self.sectionID, version: Self.sectionVersion)
    let isComplete = try reader.get(UInt8.self) == 1
    let newLogTime = try reader.get(Int64.self)
    let newWatermark = try reader.get(Int64.self)
    overflowed = try reader.get(Int64.self)
    lastCorrectionSequence = try reader.get(UInt64.self)
    let isUnset = newLogTime == .min && newWatermark == .min
    guard
      isUnset
        || (TimeRange.clamp(newLogTime) == newLogTime && newWatermark <= newLogTime
          && newWatermark >= 2 * TimeRange.earliest - TimeRange.latest),
      newLogTime >= logTime, newWatermark >= watermark
    else {
      throw reader.malformed("log time or watermark goes back, or lies outside the years 1 to 9999")
    }
    logTime = newLogTime
    if isComplete {
      // An increment that holds everything replaces what was restored before it.
      removeRows()
      setWatermark(newWatermark)
      try readEverything(from: &reader)
    } else {
      try readChanges(watermark: newWatermark, from: &reader)
    }
    try reader.close()
    tuples.releaseUnused()
    changes.clear(&tuples)
  }

  /// Passes over a section.
  public func skip(in reader: inout SnapshotReader) throws(SnapshotFormatError) {
    try reader.skip(section: Self.sectionID)
  }

  private mutating func readEverything(
    from reader: inout SnapshotReader
  ) throws(SnapshotFormatError) {
    let slots = try readTuples(from: &reader)
    for (one, next) in zip(slots, slots.dropFirst()) where !isTupleOrdered(one, next) {
      throw reader.malformed("tuples are not in order")
    }
    let windowCount = try reader.getCount(elementByteCount: 17 + Self.rowByteCountMin)
    var previous = (level: -1, start: Int64.min)
    for _ in 0..<windowCount {
      let (level, start) = try readWindow(from: &reader)
      guard start >= seams[level.rawValue], (level.rawValue, start) > previous else {
        throw reader.malformed("a window has expired, or is not in order")
      }
      previous = (level.rawValue, start)
      try readRows(of: window(level, start: start), slots, from: &reader)
    }
    guard tuples.liveCount == slots.count else {
      throw reader.malformed("a tuple is used by no row")
    }
    for slot in slots { tuples.markStored(slot) }
  }

  func readWindow(
    from reader: inout SnapshotReader
  ) throws(SnapshotFormatError) -> (WindowLevel, Int64) {
    let raw = Int(try reader.get(UInt8.self))
    let start = try reader.get(Int64.self)
    guard let level = WindowLevel(rawValue: raw), TimeRange.clamp(start) == start,
      level.start(of: start) == start
    else { throw reader.malformed("a window is not one") }
    return (level, start)
  }

  mutating func readTuples(
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
      slots.append(bytes.withUnsafeBytes { tuples.intern($0) })
    }
    return slots
  }

  private mutating func readRows(
    of window: UnsafeMutablePointer<LiveWindow>, _ slots: [Int],
    from reader: inout SnapshotReader
  ) throws(SnapshotFormatError) {
    let rowCount = try reader.getCount(elementByteCount: Self.rowByteCountMin)
    guard rowCount > 0 else { throw reader.malformed("a window has no rows") }
    window.pointee.reserve(rowCount)
    var rank: UInt64 = 0
    for index in 0..<rowCount {
      let step = try reader.getVarint()
      guard index == 0 || step > 0, step < UInt64(slots.count), rank + step < UInt64(slots.count)
      else { throw reader.malformed("a row's tuple is not one, or not in order") }
      rank += step
      set(try Self.readRow(from: &reader), slots[Int(rank)], in: window)
    }
  }

  /// Reads revision and counts of a row.
  static func readRow(
    from reader: inout SnapshotReader
  ) throws(SnapshotFormatError) -> LiveRow {
    let revision = try reader.getVarint()
    guard revision <= UInt64(Int32.max) else { throw reader.malformed("a revision is too large") }
    var row = LiveRow()
    row.revision = Int32(revision)
    row.counts = try readCounts(from: &reader)
    return row
  }

  /// Replaces revision and counts of a row, which counts as changed.
  mutating func set(_ value: LiveRow, _ slot: Int, in window: UnsafeMutablePointer<LiveWindow>) {
    let row = add(Counts(), slot, to: window)
    window.pointee.rows.entry(row).pointee.value.revision = value.revision
    window.pointee.rows.entry(row).pointee.value.counts = value.counts
  }

  static func readCounts(
    from reader: inout SnapshotReader
  ) throws(SnapshotFormatError) -> Counts {
    var counts = Counts()
    counts.impressions = try reader.getZigzag()
    counts.views = try reader.getZigzag()
    counts.clicks = try reader.getZigzag()
    counts.engagements = try reader.getZigzag()
    counts.conversions = try reader.getZigzag()
    counts.revenueMicros = try reader.getZigzag()
    return counts
  }
}
