import Events
import Views

// What has changed in the windows, as bytes: the tuples that earlier snapshots do not give, counts
// per (tuple, 10 s window) to be added to the windows of all levels, then the rows that late events
// have changed. Windows that have expired since follow from the watermark. Tuples are named by
// identity and hash, because slots differ between the one that writes and the one that restores.
extension WindowAggregator {
  /// What a note mostly takes.
  private static var noteByteCount: Int { 28 }
  /// Id, hash, start and six counts at least.
  private static var noteByteCountMin: Int { 19 }

  /// On-time counts that are not yet folded are notes to be.
  var incrementByteCount: Int {
    (changes.counts.count + changes.late.count + open.count) * Self.noteByteCount
      + (changes.addedTupleCount + openTupleCount) * Self.tupleByteCount
  }

  mutating func writeChanges(into writer: inout SnapshotWriter) {
    writeNewTuples(into: &writer)
    let counted = (0..<changes.counts.count).filter {
      isLive(changes.counts.entries[$0].key)
    }
    writer.put(UInt64(counted.count))
    writer.reserve(counted.count * Self.noteByteCount)
    for index in counted {
      let entry = changes.counts.entries[index]
      put(tuple: entry.key, into: &writer)
      writer.put(zigzag: WindowKey.start(entry.key) / WindowLevel.tenSeconds.length)
      Self.put(entry.value, into: &writer)
    }
    let late = (0..<changes.late.count).filter { index in
      let key = changes.late.entries[index].key
      return WindowKey.start(key) >= seams[WindowKey.level(key).rawValue]
    }
    writer.put(UInt64(late.count))
    for index in late { writeRow(changes.late.entries[index].key, into: &writer) }
  }

  /// A tuple without rows is not restored, and whatever it was counted for has expired.
  private func isLive(_ key: UInt64) -> Bool {
    tuples.slots[WindowKey.slot(key)].liveRefs > 0
  }

  private mutating func writeNewTuples(into writer: inout SnapshotWriter) {
    var slots: [Int] = []
    func note(_ key: UInt64, _ tuples: inout TupleTable) {
      let slot = WindowKey.slot(key)
      guard tuples.slots[slot].liveRefs > 0, !tuples.slots[slot].isStored else { return }
      slots.append(slot)
      tuples.markStored(slot)
    }
    for index in 0..<changes.counts.count { note(changes.counts.entries[index].key, &tuples) }
    for index in 0..<changes.late.count { note(changes.late.entries[index].key, &tuples) }
    writer.put(UInt64(slots.count))
    writer.reserve(slots.count * Self.tupleByteCount)
    for slot in slots { writeTuple(slot, into: &writer) }
  }

  private func put(tuple key: UInt64, into writer: inout SnapshotWriter) {
    let slot = tuples.slots + WindowKey.slot(key)
    writer.put(slot.pointee.id)
    writer.put(slot.pointee.hash)
  }

  /// Writes a row as it is now.
  private mutating func writeRow(_ key: UInt64, into writer: inout SnapshotWriter) {
    let level = WindowKey.level(key)
    let start = WindowKey.start(key)
    let window = window(level, start: start)
    let row = window.pointee.rows.find(UInt64(WindowKey.slot(key)))
    precondition(row >= 0, "a row lives as long as its window")
    let value = window.pointee.rows.entry(row).pointee.value
    writer.put(UInt8(level.rawValue))
    writer.put(start)
    put(tuple: key, into: &writer)
    writer.put(varint: UInt64(value.revision))
    Self.put(value.counts, into: &writer)
  }

  // MARK: Restoring

  /// All tuples are looked up and held before windows expire, which might let go of some.
  mutating func readChanges(
    watermark new: Int64, from reader: inout SnapshotReader
  ) throws(SnapshotFormatError) {
    let slots = try readTuples(from: &reader)
    for slot in slots { tuples.retainPending(slot) }
    let notes = try readNotes(from: &reader)
    let lateRows = try readLateRows(from: &reader)
    if new != watermark {
      setWatermark(new)
      closeWindows(isSilent: true)
    }
    for note in notes {
      for level in WindowLevel.allCases {
        let start = level.start(of: note.start)
        if start >= seams[level.rawValue] {
          add(note.counts, note.slot, to: window(level, start: start))
        }
      }
    }
    for row in lateRows {
      guard row.start >= seams[row.level.rawValue] else {
        throw reader.malformed("a window has expired")
      }
      set(row.value, row.slot, in: window(row.level, start: row.start))
    }
    for slot in slots + notes.map(\.slot) + lateRows.map(\.slot) {
      tuples.markStored(slot)
      tuples.releasePending(slot)
    }
  }

  private mutating func readNotes(
    from reader: inout SnapshotReader
  ) throws(SnapshotFormatError) -> [(slot: Int, start: Int64, counts: Counts)] {
    let count = try reader.getCount(elementByteCount: Self.noteByteCountMin)
    var notes: [(slot: Int, start: Int64, counts: Counts)] = []
    notes.reserveCapacity(count)
    for _ in 0..<count {
      let slot = try readSlot(from: &reader)
      let tens = try reader.getZigzag()
      let start = tens.multipliedReportingOverflow(by: WindowLevel.tenSeconds.length)
      guard !start.overflow, TimeRange.clamp(start.partialValue) == start.partialValue else {
        throw reader.malformed("a window lies outside the years 1 to 9999")
      }
      notes.append((slot, start.partialValue, try Self.readCounts(from: &reader)))
      tuples.retainPending(slot)
    }
    return notes
  }

  private mutating func readLateRows(
    from reader: inout SnapshotReader
  ) throws(SnapshotFormatError) -> [(level: WindowLevel, start: Int64, slot: Int, value: LiveRow)] {
    let count = try reader.getCount(elementByteCount: 28)
    var rows: [(level: WindowLevel, start: Int64, slot: Int, value: LiveRow)] = []
    rows.reserveCapacity(count)
    for _ in 0..<count {
      let (level, start) = try readWindow(from: &reader)
      let slot = try readSlot(from: &reader)
      rows.append((level, start, slot, try Self.readRow(from: &reader)))
      tuples.retainPending(slot)
    }
    return rows
  }

  private func readSlot(
    from reader: inout SnapshotReader
  ) throws(SnapshotFormatError) -> Int {
    let id = try reader.get(Int64.self)
    let slot = tuples.find(id: id, hash: try reader.get(UInt32.self))
    guard slot >= 0 else { throw reader.malformed("a tuple is not in it, nor in those before") }
    return slot
  }
}
