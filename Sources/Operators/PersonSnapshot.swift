import Events
import Views

// A section of persons: time and counters, persons that have left, tuples, what was not drained, then
// persons with all of their touches and anchors, those of a group together in order of their ids, then united ids.
// What follows from the touches is not written. An increment holds the persons that changed, each whole;
// what time alone has done to the others is done again when it is restored.
extension PersonHistories {
  private static var sectionID: UInt16 { 43 }
  private static var sectionVersion: UInt16 { 3 }
  private static var touchByteCount: Int { 38 }
  private static var personByteCount: Int { 31 }
  /// Of a changed person: itself, and its share of the tuples.
  private static var changeByteCount: Int { 87 }

  /// About how many bytes the changes take.
  public var changeByteCount: Int {
    isChangeLost
      ? count * Self.personByteCount + touchCount * (Self.touchByteCount + 8)
        + anchorArena.byteCount
      : changed.count * Self.changeByteCount + changedTouchCount * Self.touchByteCount
        + removed.count * 16 + pending.count * 96 + pendingExposures.count * 144 + 80
  }

  /// Forgets what has changed, as if a snapshot had been taken.
  public mutating func forgetChanges() {
    flush()
    for index in changed { table.record(Int(index)).pointee.isChanged = false }
    changed.removeAll(keepingCapacity: true)
    changedTouchCount = 0
    removed.removeAll(keepingCapacity: true)
    isChangeLost = false
  }

  public var stateSize: StateSize {
    StateSize(keyCount: count - idleCount, keyCountMax: policy.personCountMax, byteCount: byteCount)
  }

  /// Writes all persons, or those that changed since the last snapshot or restore.
  public mutating func snapshot(isComplete: Bool, into writer: inout SnapshotWriter) {
    flush()
    let isComplete = isComplete || isChangeLost
    let indices = takeIndices(isComplete)
    writer.begin(section: Self.sectionID, version: Self.sectionVersion)
    writer.put(UInt8(isComplete ? 1 : 0))
    writer.put(now)
    writer.put(untracked)
    writer.put(refusedUnions)
    writer.put(forgottenExposures)
    let removed = isComplete ? [] : removed.sorted(by: Self.isOrdered)
    writer.put(UInt64(removed.count))
    for key in removed { Self.write(key, into: &writer) }
    self.removed.removeAll(keepingCapacity: true)
    isChangeLost = false
    let differences = orderedPending()
    let exposures = orderedExposures()
    let numbers = writeTuples(differences, exposures, indices.roots, into: &writer)
    writePending(differences, numbers, into: &writer)
    writeExposures(exposures, numbers, into: &writer)
    writer.put(UInt64(indices.roots.count))
    for index in indices.roots { write(person: index, numbers, into: &writer) }
    writer.put(UInt64(indices.united.count))
    for index in indices.united {
      Self.write(table.record(index).pointee.key, into: &writer)
      Self.write(
        table.record(Int(table.record(index).pointee.root) - 1).pointee.key, into: &writer)
    }
    writer.end()
  }

  /// The records that are to be written, in order; their marks are taken away.
  private mutating func takeIndices(_ isComplete: Bool) -> (roots: [Int], united: [Int]) {
    var indices: [Int] = []
    if isComplete {
      indices.reserveCapacity(count + unitedCount)
      for group in 0..<KeyGroup.count { indices.append(contentsOf: table.ordered(group)) }
      for index in changed { table.record(Int(index)).pointee.isChanged = false }
    } else {
      for index in changed where table.record(Int(index)).pointee.isChanged {
        // A record that was freed and used again may be there twice.
        table.record(Int(index)).pointee.isChanged = false
        indices.append(Int(index))
        appendUnited(of: Int(index), to: &indices)
      }
      indices.sort { Self.isOrdered(table.record($0).pointee.key, table.record($1).pointee.key) }
    }
    changed.removeAll(keepingCapacity: true)
    changedTouchCount = 0
    var roots: [Int] = []
    roots.reserveCapacity(indices.count)
    var united: [Int] = []
    for (place, index) in indices.enumerated() where place == 0 || indices[place - 1] != index {
      if table.record(index).pointee.root == 0 { roots.append(index) } else { united.append(index) }
    }
    return (roots, united)
  }

  /// A root is written with all that is united with it: what was saved of them before may have left
  /// state on its own by the time of this increment.
  private func appendUnited(of root: Int, to indices: inout [Int]) {
    if table.record(root).pointee.root != 0 { return }
    var next = table.record(root).pointee.nextUnited
    while next != 0 {
      let member = table.record(Int(next) - 1)
      indices.append(Int(next) - 1)
      next = member.pointee.nextUnited
    }
  }

  private static func isOrdered(_ a: Key128, _ b: Key128) -> Bool {
    let (x, y) = (KeyGroup.of(person: a), KeyGroup.of(person: b))
    return x != y ? x < y : a < b
  }

  private static func write(_ key: Key128, into writer: inout SnapshotWriter) {
    writer.put(key.low)
    writer.put(key.high)
  }

  /// Tuples have their own numbers in a section: the order of their first use.
  ///
  /// - Returns: numbers by slot.
  private func writeTuples(
    _ differences: [Int], _ exposures: [Int], _ roots: [Int], into writer: inout SnapshotWriter
  ) -> [UInt32] {
    var numbers: [UInt32] = Array(repeating: .max, count: contentCapacity)
    var slots: [Int] = []
    func use(_ slot: Int) {
      if numbers[slot] != .max { return }
      numbers[slot] = UInt32(slots.count)
      slots.append(slot)
    }
    for index in differences { use(WindowKey.slot(pending.entries[index].key)) }
    for index in exposures { use(WindowKey.slot(pendingExposures.entries[index].key)) }
    for index in roots {
      let timeline = table.record(index).pointee.timeline
      for place in 0..<timeline.count { use(Int(timeline[place].tuple)) }
    }
    writer.put(UInt64(slots.count))
    for slot in slots {
      let bytes = tuples.bytes(slot)
      writer.put(UInt32(bytes.count))
      writer.put(bytes)
    }
    return numbers
  }

  private func writePending(
    _ differences: [Int], _ numbers: [UInt32], into writer: inout SnapshotWriter
  ) {
    writer.put(UInt64(differences.count))
    for index in differences {
      let entry = pending.entries[index]
      writer.put(numbers[WindowKey.slot(entry.key)])
      writer.put(WindowKey.start(entry.key))
      Self.write(entry.value.counts, into: &writer)
    }
  }

  private func writeExposures(
    _ differences: [Int], _ numbers: [UInt32], into writer: inout SnapshotWriter
  ) {
    writer.put(UInt64(differences.count))
    for index in differences {
      let entry = pendingExposures.entries[index]
      writer.put(numbers[WindowKey.slot(entry.key)])
      writer.put(WindowKey.start(entry.key))
      Self.write(entry.value.exposures.counts, into: &writer)
      Self.write(entry.value.baselines.counts, into: &writer)
    }
  }

  private static func write(_ counts: Counts, into writer: inout SnapshotWriter) {
    for value in [
      counts.impressions, counts.views, counts.clicks, counts.engagements, counts.conversions,
      counts.revenueMicros,
    ] {
      writer.put(value)
    }
  }

  private func write(person index: Int, _ numbers: [UInt32], into writer: inout SnapshotWriter) {
    let record = table.record(index)
    Self.write(record.pointee.key, into: &writer)
    writer.put(record.pointee.linkedUntil)
    let timeline = record.pointee.timeline
    writer.put(UInt32(timeline.count))
    for place in 0..<timeline.count {
      let touch = timeline[place]
      writer.put(touch.time)
      Self.write(touch.key, into: &writer)
      writer.put(touch.revenueMicros)
      writer.put(numbers[Int(touch.tuple)])
      writer.put(touch.kind)
      writer.put(UInt8(touch.isSettled ? 1 : 0))
    }
    writer.put(UInt8(record.pointee.isForgetful ? 1 : 0))
    let anchors = liveAnchors(of: index)
    writer.put(UInt16(anchors.count))
    for anchor in anchors {
      writer.put(anchor.time)
      writer.put(anchor.from)
      writer.put(anchor.campaign)
    }
  }
}
