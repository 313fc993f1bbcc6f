import Events
import Views

// State as bytes: the identity of the facts, time, then each window that has counts, in order, with
// its groups in order: number, revision, count. The last number stands for what belongs to no group.
// There are few windows of few groups: what has changed is not told apart, increments hold everything.
extension JoinedCounts {
  private static var sectionID: UInt16 { 24 }
  private static var sectionVersion: UInt16 { 1 }

  public var stateSize: StateSize {
    let cells = counters.windowCount * (table.groupCount + 1)
    return StateSize(
      keyCount: counters.windowCount, keyCountMax: counters.windowCountMax,
      byteCount: cells * 8 + notes.count * table.groupCount * 28)
  }

  public var changeByteCount: Int { counters.windowCount * (table.groupCount + 1) * 16 }

  /// Nothing is noted.
  public mutating func forgetChanges() {}

  public mutating func snapshot(_ scope: SnapshotScope, into writer: inout SnapshotWriter) {
    writer.begin(section: Self.sectionID, version: Self.sectionVersion)
    writer.put(table.hash)
    writer.put(logTime)
    writer.put(watermark)
    writer.put(unmatched)
    let used = (0..<counters.windowCount).filter { window in
      counters.counts(window: window).contains { $0 != 0 }
    }
    writer.put(UInt64(used.count))
    for window in used {
      let start = counters.start(window: window)
      let counts = counters.counts(window: window)
      let place = place(ofNotes: start)
      let isNoted = place < notes.count && notes[place].start == start
      writer.put(start)
      writer.put(UInt64(counts.reduce(0) { $0 + ($1 == 0 ? 0 : 1) }))
      for group in 0..<counts.count where counts[group] != 0 {
        writer.put(UInt32(group))
        writer.put(isNoted && group < table.groupCount ? notes[place].revisions[group] : Int32(0))
        writer.put(counts[group])
      }
    }
    writer.end()
  }

  public mutating func restore(
    from reader: inout SnapshotReader, keeping groups: Range<Int>
  ) throws(SnapshotFormatError) {
    try reader.open(section: Self.sectionID, version: Self.sectionVersion)
    guard try reader.get(UInt64.self) == table.hash else {
      throw reader.malformed("it was made with other facts")
    }
    logTime = try reader.get(Int64.self)
    watermark = try reader.get(Int64.self)
    unmatched = try reader.get(Int64.self)
    let isUnset = logTime == .min && watermark == .min
    guard
      isUnset
        || (TimeRange.clamp(logTime) == logTime && watermark <= logTime
          && watermark >= 2 * TimeRange.earliest - TimeRange.latest)
    else { throw reader.malformed("log time or watermark lies outside the years 1 to 9999") }
    counters.removeAll()
    notes = []
    var previous = Int64.min
    for _ in 0..<(try reader.getCount(elementByteCount: 32)) {
      let start = try reader.get(Int64.self)
      guard start > previous || previous == .min, TimeRange.clamp(start) == start,
        level.start(of: start) == start, start >= seam
      else { throw reader.malformed("a window is not one, expired, or not in order") }
      previous = start
      try restoreWindow(start, from: &reader)
    }
    try reader.close()
  }

  private mutating func restoreWindow(
    _ start: Int64, from reader: inout SnapshotReader
  ) throws(SnapshotFormatError) {
    var last = -1
    for _ in 0..<(try reader.getCount(elementByteCount: 16)) {
      let group = Int(try reader.get(UInt32.self))
      let revision = try reader.get(Int32.self)
      let count = try reader.get(Int64.self)
      guard group > last, group <= table.groupCount, revision >= 0, count > 0 else {
        throw reader.malformed("a group is not in order, or its count not positive")
      }
      last = group
      guard counters.add(group: group, time: start, count) else {
        throw reader.malformed("there are too many windows")
      }
      if revision > 0 && group < table.groupCount {
        let place = note(start)
        notes[place].revisions[group] = revision
      }
    }
    guard last >= 0 else { throw reader.malformed("a window has no counts") }
  }
}
