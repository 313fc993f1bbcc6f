import Events
import Views

// A section of persons: those of a group lie together, in order of their ids, each with all of its
// touches. What follows from the touches is not written but for what has been handed out already.
extension PersonHistories {
  private static var sectionID: UInt16 { 43 }
  private static var sectionVersion: UInt16 { 1 }
  private static var touchByteCount: Int { 38 }

  /// About how many bytes the changes would take.
  public var changeByteCount: Int { changed.count * 160 + pending.count * 96 + 64 }

  /// Writes all persons, or those that changed since the last snapshot.
  public mutating func snapshot(isComplete: Bool, into writer: inout SnapshotWriter) {
    var indices: [Int] = []
    if isComplete {
      forEachPerson { indices.append($0) }
    } else {
      for index in changed where persons[Int(index)].isChanged { indices.append(Int(index)) }
    }
    for index in changed { persons[Int(index)].isChanged = false }
    changed.removeAll(keepingCapacity: true)
    indices.sort { Self.isOrdered(persons[$0].key, persons[$1].key) }
    writer.begin(section: Self.sectionID, version: Self.sectionVersion)
    writer.put(now)
    writer.put(untracked)
    write(isComplete ? [] : removed.sorted(by: Self.isOrdered), into: &writer)
    removed.removeAll(keepingCapacity: true)
    write(roots: roots, into: &writer)
    // Tuples have their own numbers in a section: the order of their first use.
    var numbers = SlotNumbers()
    var entries: [(key: UInt64, outcomes: Outcomes)] = []
    for index in 0..<pending.count where !pending.entries[index].value.isZero {
      entries.append((pending.entries[index].key, pending.entries[index].value))
    }
    entries.sort { a, b in
      let (x, y) = (
        tuples.slots[WindowKey.slot(a.key)].id, tuples.slots[WindowKey.slot(b.key)].id
      )
      return x != y ? x < y : WindowKey.start(a.key) < WindowKey.start(b.key)
    }
    for entry in entries { _ = numbers.number(of: UInt32(WindowKey.slot(entry.key))) }
    for index in indices {
      let timeline = persons[index].timeline
      for touch in 0..<timeline.count { _ = numbers.number(of: timeline[touch].tuple) }
    }
    writer.put(UInt64(numbers.slots.count))
    for slot in numbers.slots {
      let bytes = tuples.bytes(Int(slot))
      writer.put(UInt16(bytes.count))
      writer.put(bytes)
    }
    writer.put(UInt64(entries.count))
    for entry in entries {
      writer.put(numbers.number(of: UInt32(WindowKey.slot(entry.key))))
      writer.put(WindowKey.start(entry.key))
      let counts = entry.outcomes.counts
      for value in [
        counts.impressions, counts.views, counts.clicks, counts.engagements, counts.conversions,
        counts.revenueMicros,
      ] {
        writer.put(value)
      }
    }
    writer.put(UInt64(indices.count))
    for index in indices {
      write(persons[index].key, into: &writer)
      let timeline = persons[index].timeline
      writer.put(UInt32(timeline.count))
      for touch in 0..<timeline.count {
        let touch = timeline[touch]
        writer.put(touch.time)
        write(touch.key, into: &writer)
        writer.put(touch.revenueMicros)
        writer.put(numbers.number(of: touch.tuple))
        writer.put(touch.kind)
        writer.put(UInt8((touch.startsSession ? 1 : 0) | (touch.isClosed ? 2 : 0)))
      }
    }
    writer.end()
  }

  private static func isOrdered(_ a: Key128, _ b: Key128) -> Bool {
    let (x, y) = (KeyGroup.of(person: a), KeyGroup.of(person: b))
    return x != y ? x < y : a < b
  }

  private func write(_ key: Key128, into writer: inout SnapshotWriter) {
    writer.put(key.low)
    writer.put(key.high)
  }

  private func write(_ keys: [Key128], into writer: inout SnapshotWriter) {
    writer.put(UInt64(keys.count))
    for key in keys { write(key, into: &writer) }
  }

  private func write(roots: [Key128: Key128], into writer: inout SnapshotWriter) {
    writer.put(UInt64(roots.count))
    for (id, root) in roots.sorted(by: { $0.key < $1.key }) {
      write(id, into: &writer)
      write(root, into: &writer)
    }
  }

  /// Reads a section: all persons, or changes of those that are there.
  ///
  /// - Parameter groups: the key groups whose persons are taken.
  public mutating func restore(
    from reader: inout SnapshotReader, keeping groups: Range<Int>
  ) throws(SnapshotFormatError) {
    try reader.open(section: Self.sectionID, version: Self.sectionVersion)
    setNow(try reader.get(Int64.self))
    untracked = try reader.get(Int64.self)
    for _ in 0..<(try reader.getCount(elementByteCount: 16)) { forget(try key(&reader)) }
    roots = [:]
    for _ in 0..<(try reader.getCount(elementByteCount: 32)) {
      roots[try key(&reader)] = try key(&reader)
    }
    var slots: [UInt32] = []
    for _ in 0..<(try reader.getCount(elementByteCount: 2)) {
      let bytes = try reader.get(byteCount: Int(try reader.get(UInt16.self)))
      slots.append(UInt32(bytes.withUnsafeBytes { intern($0) }))
    }
    clearPending()
    for _ in 0..<(try reader.getCount(elementByteCount: 60)) {
      let slot = Int(try slot(&reader, slots))
      let start = try reader.get(Int64.self)
      var values: [Int64] = []
      for _ in 0..<6 { values.append(try reader.get(Int64.self)) }
      let key = WindowKey.key(slot, window: WindowKey.window(.tenSeconds, start))
      guard pending.find(key) < 0, WindowKey.start(key) == start else {
        throw reader.malformed("outcomes of no window, or twice")
      }
      _ = pending.insert(
        key,
        Outcomes(
          sessions: values[0], bounces: values[1], sessionMicros: values[2],
          attributedClicks: values[3], attributedConversions: values[4],
          attributedRevenueMicros: values[5]))
      tuples.retainPending(slot)
    }
    for _ in 0..<(try reader.getCount(elementByteCount: 20)) {
      let person = try key(&reader)
      let touchCount = Int(try reader.get(UInt32.self))
      guard person != .zero, (1...PersonPolicy.touchCountMax).contains(touchCount) else {
        throw reader.malformed("a person without id or touches, or with too many")
      }
      var touches: [KeptTouch] = []
      touches.reserveCapacity(touchCount)
      for index in 0..<touchCount {
        let time = try reader.get(Int64.self)
        let key = try key(&reader)
        let revenue = try reader.get(Int64.self)
        let tuple = try slot(&reader, slots)
        let kind = try reader.get(UInt8.self)
        let flags = try reader.get(UInt8.self)
        let touch = KeptTouch(
          time: time, key: key, revenueMicros: revenue, tuple: tuple, kind: kind,
          startsSession: flags & 1 != 0, isClosed: flags & 2 != 0)
        guard TimeRange.clamp(time) == time, (1...5).contains(kind), flags < 4,
          index > 0 || touch.startsSession,
          touches.last.map({ KeptTouch.precedes($0, touch) }) ?? true
        else { throw reader.malformed("touches out of order, or of no kind") }
        touches.append(touch)
      }
      if groups.contains(KeyGroup.of(person: person)) { replace(person, touches) }
    }
    try reader.close()
    tuples.releaseUnused()
  }

  private func key(_ reader: inout SnapshotReader) throws(SnapshotFormatError) -> Key128 {
    Key128(low: try reader.get(UInt64.self), high: try reader.get(UInt64.self))
  }

  private func slot(
    _ reader: inout SnapshotReader, _ slots: [UInt32]
  ) throws(SnapshotFormatError) -> UInt32 {
    let number = Int(try reader.get(UInt32.self))
    guard number < slots.count else { throw reader.malformed("a tuple that is not there") }
    return slots[number]
  }
}

/// Numbers for slots in the order of their first use.
private struct SlotNumbers {
  private(set) var slots: [UInt32] = []
  private var numbers: [UInt32: UInt32] = [:]

  mutating func number(of slot: UInt32) -> UInt32 {
    if let known = numbers[slot] { return known }
    let number = UInt32(slots.count)
    numbers[slot] = number
    slots.append(slot)
    return number
  }
}
