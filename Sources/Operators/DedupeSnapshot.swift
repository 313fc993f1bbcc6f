import Events

// The remembered ids as bytes, by key group: of all groups in order, how many ids there are of each,
// then the ids of one group after the other. In a complete section they are in rising order and
// unexpired; in an increment they are those that were added, in that order.
extension Deduplicator {
  private static var sectionID: UInt16 { 16 }
  private static var sectionVersion: UInt16 { 2 }
  /// Low, high, stamp.
  private static var entryByteCount: Int { 20 }

  public var stateSize: StateSize {
    var byteCount = added.byteCount
    for index in 0..<max(1, groups.count) { byteCount += tables[index].byteCount }
    return StateSize(keyCount: count, keyCountMax: countMax, byteCount: byteCount)
  }

  public var changeByteCount: Int {
    (added.isLost ? count : added.count) * Self.entryByteCount + groups.count * 4
  }

  public mutating func snapshot(_ scope: SnapshotScope, into writer: inout SnapshotWriter) {
    let isComplete = scope == .everything || added.isLost
    writer.begin(section: Self.sectionID, version: Self.sectionVersion)
    writer.put(UInt8(isComplete ? 1 : 0))
    writer.put(now)
    writer.put(UInt16(groups.lowerBound))
    writer.put(UInt16(groups.count))
    if isComplete {
      let entries = groups.map { tables[$0 - groups.lowerBound].sorted(oldest: oldest) }
      for group in entries { writer.put(UInt32(group.count)) }
      for group in entries {
        writer.reserve(group.count * Self.entryByteCount)
        for entry in group { Self.put(entry.key, entry.stamp, into: &writer) }
      }
    } else {
      writeAdditions(into: &writer)
    }
    writer.end()
    added.clear()
  }

  public mutating func forgetChanges() { added.clear() }

  @inline(__always)
  private static func put(_ key: Key128, _ stamp: UInt32, into writer: inout SnapshotWriter) {
    writer.put(key.low)
    writer.put(key.high)
    writer.put(stamp)
  }

  /// Counts per group, then the additions sorted by group, keeping their order in each (a counting
  /// sort).
  private func writeAdditions(into writer: inout SnapshotWriter) {
    var starts: [Int] = Array(repeating: 0, count: groups.count + 1)
    for index in 0..<added.count { starts[Int(added.additions[index].table) + 1] += 1 }
    for group in groups {
      writer.put(UInt32(starts[group - groups.lowerBound + 1]))
    }
    for index in 1..<max(1, starts.count) { starts[index] += starts[index - 1] }
    var order: [UInt32] = Array(repeating: 0, count: added.count)
    for index in 0..<added.count {
      let table = Int(added.additions[index].table)
      order[starts[table]] = UInt32(truncatingIfNeeded: index)
      starts[table] += 1
    }
    writer.reserve(order.count * Self.entryByteCount)
    for index in order {
      let addition = added.additions[Int(index)]
      Self.put(addition.key, addition.stamp, into: &writer)
    }
  }

  public mutating func restore(
    from reader: inout SnapshotReader, keeping kept: Range<Int>
  ) throws(SnapshotFormatError) {
    try reader.open(section: Self.sectionID, version: Self.sectionVersion)
    let isComplete = try reader.get(UInt8.self) == 1
    let then = try reader.get(UInt32.self)
    let first = Int(try reader.get(UInt16.self))
    let groupCount = Int(try reader.get(UInt16.self))
    guard first + groupCount <= KeyGroup.count else {
      throw reader.malformed("there is no key group \(first + groupCount - 1)")
    }
    var counts: [Int] = []
    for _ in 0..<groupCount { counts.append(Int(try reader.get(UInt32.self))) }
    now = max(now, then)
    for (index, count) in counts.enumerated() {
      let group = first + index
      let raw = try reader.get(byteCount: count * Self.entryByteCount)
      guard kept.contains(group), groups.contains(group) else { continue }
      let isInOrder = raw.withUnsafeBytes {
        restore($0, to: group - groups.lowerBound, isComplete: isComplete, latest: then)
      }
      guard isInOrder else {
        throw reader.malformed("an id is zero, not in rising order, or later than its snapshot")
      }
    }
    try reader.close()
    countBound = self.count
    added.clear()
  }

  /// - Returns: false where an entry is not one.
  private mutating func restore(
    _ raw: UnsafeRawBufferPointer, to table: Int, isComplete: Bool, latest: UInt32
  ) -> Bool {
    func entry(_ index: Int) -> DedupeTable.Entry {
      let offset = index &* Self.entryByteCount
      let low = raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      let high = raw.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self)
      let stamp = raw.loadUnaligned(fromByteOffset: offset &+ 16, as: UInt32.self)
      return DedupeTable.Entry(
        key: Key128(low: UInt64(littleEndian: low), high: UInt64(littleEndian: high)),
        stamp: UInt32(littleEndian: stamp))
    }
    let count = raw.count / Self.entryByteCount
    if isComplete {
      var entries: [DedupeTable.Entry] = []
      entries.reserveCapacity(count)
      var previous = Key128.zero
      for index in 0..<count {
        let next = entry(index)
        guard previous < next.key, next.stamp <= latest else { return false }
        previous = next.key
        entries.append(next)
      }
      tables[table].fill(entries)
    } else {
      for index in 0..<count {
        let next = entry(index)
        guard next.key != .zero, next.stamp <= latest else { return false }
        tables[table].restore(next, oldest: oldest)
      }
    }
    return true
  }
}
