import Events
import Views

// A section: time and counters, then panes in order of their starts, each with its rows and the
// revisions of its window in order of their tuples, which come before in order of id. Running totals
// are not in it: they follow from the panes. Rows that were not drained are not in it: a snapshot is
// used only where everything up to it has been committed. Increments hold the rows and revisions that
// changed, as they are now.
extension HoppingWindows {
  private static var sectionID: UInt16 { 44 }
  private static var sectionVersion: UInt16 { 2 }
  private static var rowByteCount: Int { 52 }
  private static var revisionByteCount: Int { 8 }
  /// Of a changed row: itself and, mostly, its tuple.
  private static var changeByteCount: Int { 120 }

  public var stateSize: StateSize {
    let panesByteCount = panes.reduce(0) {
      $0 + $1.pointee.rows.byteCount + $1.pointee.revisions.byteCount
    }
    return StateSize(
      keyCount: tupleCount, keyCountMax: tupleCountMax,
      byteCount: tuples.byteCount + panesByteCount)
  }

  /// About how many bytes the changes take.
  public var changeByteCount: Int {
    panes.reduce(64) { sum, pane in
      sum + pane.pointee.changedRows.count * Self.changeByteCount
        + pane.pointee.changedRevisions.count * Self.revisionByteCount
    }
  }

  /// Forgets what has changed, as if a snapshot had been taken.
  public mutating func forgetChanges() {
    for pane in panes { pane.pointee.forgetChanges() }
  }

  /// What a pane gives to a section, by index.
  private struct Written {
    var pane: UnsafeMutablePointer<HoppingPane>
    var rows: [UInt32]
    var revisions: [UInt32]
  }

  /// Writes all of the state, or what changed since the last snapshot or restore.
  public mutating func snapshot(isComplete: Bool, into writer: inout SnapshotWriter) {
    writer.begin(section: Self.sectionID, version: Self.sectionVersion)
    writer.put(UInt8(isComplete ? 1 : 0))
    writer.put(watermark)
    writer.put(tooLate)
    writer.put(overflowed)
    let written = panes.filter { isComplete || $0.pointee.hasChanges }.map { pane in
      isComplete
        ? Written(
          pane: pane, rows: Array(0..<UInt32(pane.pointee.rows.count)),
          revisions: Array(0..<UInt32(pane.pointee.revisions.count)))
        : Written(
          pane: pane, rows: pane.pointee.changedRows.indices,
          revisions: pane.pointee.changedRevisions.indices)
    }
    let ranks = writeTuples(of: written, into: &writer)
    writer.put(UInt64(written.count))
    for part in written {
      writer.put(part.pane.pointee.start)
      let rows = part.pane.pointee.rows.entries
      writer.put(UInt64(part.rows.count))
      for (rank, index) in Self.ordered(rows, part.rows, ranks) {
        writer.put(rank)
        let counts = rows[index].value
        for value in [
          counts.impressions, counts.views, counts.clicks, counts.engagements, counts.conversions,
          counts.revenueMicros,
        ] {
          writer.put(value)
        }
      }
      let revisions = part.pane.pointee.revisions.entries
      writer.put(UInt64(part.revisions.count))
      for (rank, index) in Self.ordered(revisions, part.revisions, ranks) {
        writer.put(rank)
        writer.put(revisions[index].value.count)
      }
    }
    writer.end()
    forgetChanges()
  }

  private static func ordered<Value>(
    _ entries: UnsafeMutablePointer<FlatTable<Value>.Entry>, _ indices: [UInt32],
    _ ranks: [UInt32]
  ) -> [(rank: UInt32, index: Int)] {
    indices.map { (ranks[Int(entries[Int($0)].key)], Int($0)) }.sorted { $0.rank < $1.rank }
  }

  /// - Returns: each tuple's place in the section by its slot.
  private func writeTuples(
    of parts: [Written], into writer: inout SnapshotWriter
  ) -> [UInt32] {
    var used: Set<Int> = []
    for part in parts {
      let pane = part.pane
      for index in part.rows { used.insert(Int(pane.pointee.rows.entries[Int(index)].key)) }
      for index in part.revisions {
        used.insert(Int(pane.pointee.revisions.entries[Int(index)].key))
      }
    }
    let slots = used.sorted { isTupleOrdered($0, $1) }
    var ranks: [UInt32] = Array(repeating: 0, count: (slots.max() ?? 0) + 1)
    writer.put(UInt64(slots.count))
    for (rank, slot) in slots.enumerated() {
      ranks[slot] = UInt32(rank)
      let bytes = tuples.bytes(slot)
      writer.put(UInt32(bytes.count))
      writer.put(bytes)
    }
    return ranks
  }

  private func isTupleOrdered(_ a: Int, _ b: Int) -> Bool {
    let (first, second) = (tuples.slots[a].id, tuples.slots[b].id)
    if first != second { return first < second }
    return tuples.bytes(a).lexicographicallyPrecedes(tuples.bytes(b))
  }

  // MARK: Restoring

  /// Reads a section: all of the state, or changes of what was restored before.
  public mutating func restore(from reader: inout SnapshotReader) throws(SnapshotFormatError) {
    try reader.open(section: Self.sectionID, version: Self.sectionVersion)
    let isComplete = try reader.get(UInt8.self) == 1
    let stored = try reader.get(Int64.self)
    tooLate = try reader.get(Int64.self)
    overflowed = try reader.get(Int64.self)
    guard
      stored == .min
        || (stored >= 2 * TimeRange.earliest - TimeRange.latest && stored <= TimeRange.latest),
      stored >= watermark
    else { throw reader.malformed("the watermark goes back, or lies outside the years 1 to 9999") }
    if isComplete {
      while let pane = panes.last { removePane(startingAt: pane.pointee.start) }
    }
    let slots = try readTuples(from: &reader)
    var previous = Int64.min
    for _ in 0..<(try reader.getCount(elementByteCount: 24)) {
      let start = try reader.get(Int64.self)
      // There may be panes before time is known: it is that of the source that is farthest behind.
      guard start > previous, TimeRange.clamp(start) == start, floor(start) == start else {
        throw reader.malformed("a pane is not one, or not in order")
      }
      previous = start
      try readPane(makePane(startingAt: start), slots, from: &reader)
    }
    try reader.close()
    setWatermark(stored)
    for slot in slots { tuples.releasePending(slot) }
    tuples.releaseUnused()
  }

  private mutating func readPane(
    _ pane: UnsafeMutablePointer<HoppingPane>, _ slots: [Int], from reader: inout SnapshotReader
  ) throws(SnapshotFormatError) {
    var previous = -1
    for _ in 0..<(try reader.getCount(elementByteCount: Self.rowByteCount)) {
      let slot = try slot(slots, after: &previous, from: &reader)
      let counts = Counts(
        impressions: try reader.get(Int64.self), views: try reader.get(Int64.self),
        clicks: try reader.get(Int64.self), engagements: try reader.get(Int64.self),
        conversions: try reader.get(Int64.self), revenueMicros: try reader.get(Int64.self))
      let row = pane.pointee.rows.find(UInt64(slot))
      if row >= 0 {
        pane.pointee.rows.entries[row].value = counts
      } else {
        _ = pane.pointee.rows.insert(UInt64(slot), counts)
        tuples.retainLive(slot)
      }
    }
    previous = -1
    for _ in 0..<(try reader.getCount(elementByteCount: Self.revisionByteCount)) {
      let slot = try slot(slots, after: &previous, from: &reader)
      let count = try reader.get(Int32.self)
      guard count > 0 else { throw reader.malformed("a revision that is none") }
      let revision = HoppingPane.Revision(count: count, sequence: 0, isPending: false)
      let index = pane.pointee.revisions.find(UInt64(slot))
      if index >= 0 {
        pane.pointee.revisions.entries[index].value = revision
      } else {
        _ = pane.pointee.revisions.insert(UInt64(slot), revision)
        tuples.retainLive(slot)
      }
    }
  }

  /// - Parameter previous: the rank that was read before, in rising order.
  private func slot(
    _ slots: [Int], after previous: inout Int, from reader: inout SnapshotReader
  ) throws(SnapshotFormatError) -> Int {
    let rank = Int(try reader.get(UInt32.self))
    guard rank < slots.count, rank > previous else {
      throw reader.malformed("a tuple that is not there, or not in order")
    }
    previous = rank
    return slots[rank]
  }

  private mutating func readTuples(
    from reader: inout SnapshotReader
  ) throws(SnapshotFormatError) -> [Int] {
    let count = try reader.getCount(elementByteCount: 4)
    var slots: [Int] = []
    slots.reserveCapacity(count)
    for _ in 0..<count {
      let bytes = try reader.get(byteCount: Int(try reader.get(UInt32.self)))
      guard bytes.withUnsafeBytes({ EncodedTuple.isValid($0) }) else {
        throw reader.malformed("a tuple is not of its form")
      }
      let slot = bytes.withUnsafeBytes { intern($0) }
      // Kept while panes that are replaced let go of it.
      tuples.retainPending(slot)
      slots.append(slot)
    }
    return slots
  }
}
