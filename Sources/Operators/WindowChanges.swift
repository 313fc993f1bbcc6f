import Views

/// What the windows have counted since the last snapshot.
///
/// On-time counts are noted as they are folded: once per (tuple, 10 s window), from which the rows of
/// the longer windows follow, so a note is a quarter of the rows that it stands for. Late events are
/// noted by row, because they also change revisions. Notes keep their tuples' slots from being given
/// away.
///
/// Limit: when there are more than half as many notes as rows in state, and many, they are thrown away
/// and nothing is noted until the next snapshot, which must then hold everything. 70 bytes per note.
struct WindowChanges: ~Copyable {
  /// Fewer are always kept: 20 MB.
  var keptCountMin = 1 << 18

  /// By ``WindowKey`` of level 10 s.
  var counts = FlatTable<Counts>(capacity: 1024)
  /// Rows that late events have changed, by ``WindowKey``; the value says nothing.
  var late = FlatTable<UInt8>()
  /// True while nothing is noted: the next increment must hold everything.
  private(set) var isLost = false
  /// Tuples of notes that earlier snapshots do not give, about.
  private(set) var addedTupleCount = 0

  /// Memory in bytes.
  var byteCount: Int { counts.byteCount + late.byteCount }

  @inline(__always)
  mutating func note(_ key: UInt64, _ added: Counts, _ tuples: inout TupleTable) {
    if isLost { return }
    var entry = counts.find(key)
    if entry < 0 {
      entry = counts.insert(key, Counts())
      retain(WindowKey.slot(key), &tuples)
    }
    counts.entries[entry].value += added
  }

  mutating func note(late key: UInt64, _ tuples: inout TupleTable) {
    if isLost || late.find(key) >= 0 { return }
    _ = late.insert(key, 0)
    retain(WindowKey.slot(key), &tuples)
  }

  private mutating func retain(_ slot: Int, _ tuples: inout TupleTable) {
    if !tuples.slots[slot].isStored && tuples.slots[slot].pendingRefs == 0 { addedTupleCount += 1 }
    tuples.retainPending(slot)
  }

  /// - Parameter rowCount: rows in state.
  mutating func limit(rowCount: Int, _ tuples: inout TupleTable) {
    let count = counts.count + late.count
    if count > keptCountMin && count > rowCount / 2 {
      clear(&tuples)
      isLost = true
    }
  }

  /// Starts anew: everything so far is in a snapshot.
  mutating func clear(_ tuples: inout TupleTable) {
    isLost = false
    for index in 0..<counts.count {
      tuples.releasePending(WindowKey.slot(counts.entries[index].key))
    }
    for index in 0..<late.count {
      tuples.releasePending(WindowKey.slot(late.entries[index].key))
    }
    if counts.count > keptCountMin {
      counts = FlatTable(capacity: 1024)
    } else {
      counts.removeAll()
    }
    late.removeAll()
    addedTupleCount = 0
  }
}
