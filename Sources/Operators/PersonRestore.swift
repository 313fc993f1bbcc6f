import Events
import Views

extension PersonHistories {
  /// Reads a section: all persons of the groups, or changes of those that are there.
  ///
  /// - Parameter groups: the key groups whose persons are taken. Those of other groups, which are of
  ///   another's snapshot, stay; then neither may hold differences that were not drained.
  public mutating func restore(
    from reader: inout SnapshotReader, keeping groups: Range<Int>
  ) throws(SnapshotFormatError) {
    try reader.open(section: 43, version: 3)
    let isComplete = try reader.get(UInt8.self) == 1
    let stored = try reader.get(Int64.self)
    let isInRange =
      stored >= -TimeRange.latest / Self.step && stored <= TimeRange.latest / Self.step
    guard stored == .min || isInRange else {
      throw reader.malformed("the watermark lies outside the years 1 to 9999")
    }
    untracked = try reader.get(Int64.self)
    refusedUnions = try reader.get(Int64.self)
    let forgotten = try reader.get(Int64.self)
    if isComplete {
      for group in groups { forget(group: group) }
    }
    let isShared = table.holdsRecords(outside: groups)
    for _ in 0..<(try reader.getCount(elementByteCount: 16)) {
      let key = try key(&reader)
      if groups.contains(KeyGroup.of(person: key)) { forget(key) }
    }
    // What time alone has done since the section before.
    if stored > now {
      let closedFrom = closedBefore
      setNow(stored)
      review(closedFrom: closedFrom, silent: groups)
    }
    let slots = try readTuples(&reader)
    try readPending(slots, isShared: isShared, &reader)
    try readExposures(slots, isShared: isShared, &reader)
    var loaded: [UInt32] = []
    for _ in 0..<(try reader.getCount(elementByteCount: 31)) {
      let person = try key(&reader)
      let linkedUntil = try reader.get(Int64.self)
      let touches = try readTouches(slots, &reader)
      let isForgetful = try reader.get(UInt8.self) == 1
      let anchors = try readAnchors(&reader)
      let known = table.find(person)
      guard person != .zero, known < 0 || table.record(known).pointee.root == 0 else {
        throw reader.malformed("a person without an id, or one that is united with another")
      }
      if !groups.contains(KeyGroup.of(person: person)) { continue }
      let index = load(person, touches, linkedUntil: linkedUntil)
      table.record(index).pointee.isForgetful = isForgetful
      setAnchors(anchors, of: index)
      loaded.append(UInt32(index))
    }
    for _ in 0..<(try reader.getCount(elementByteCount: 32)) {
      let (id, root) = (try key(&reader), try key(&reader))
      guard root < id, root != .zero else { throw reader.malformed("an id is united with none") }
      if groups.contains(KeyGroup.of(person: id)) { try unite(loaded: id, with: root, &reader) }
    }
    try reader.close()
    finish(loaded, from: stored)
    forgottenExposures = forgotten
    for slot in slots { tuples.releasePending(slot) }
    tuples.releaseUnused()
    forgetChanges()
  }

  private mutating func load(_ person: Key128, _ touches: [KeptTouch], linkedUntil: Int64) -> Int {
    var index = table.find(person)
    if index < 0 { index = addPerson(person) }
    let record = table.record(index)
    setTouches(touches, of: index)
    record.pointee.linkedUntil = linkedUntil
    if linkedUntil == .max { timeless.append(UInt32(index)) }
    return index
  }

  /// Sees to the timers of persons that were read, and to what time has done since they were saved.
  private mutating func finish(_ loaded: [UInt32], from stored: Int64) {
    let closedFrom = stored == .min ? .min : stored * Self.step - policy.sessionGap
    for index in loaded where table.record(Int(index)).pointee.key != .zero {
      let record = table.record(Int(index))
      if record.pointee.root == 0 { review(Int(index), closedFrom: closedFrom) }
    }
  }

  private mutating func unite(
    loaded id: Key128, with root: Key128, _ reader: inout SnapshotReader
  ) throws(SnapshotFormatError) {
    var kept = table.find(root)
    if kept < 0 {
      kept = addPerson(root)
      table.record(kept).pointee.linkedUntil =
        now == .min ? .max : now + policy.keep / Self.step + 1
    }
    var gone = table.find(id)
    if gone < 0 { gone = addPerson(id) }
    let record = table.record(gone)
    guard table.record(kept).pointee.root == 0 else {
      throw reader.malformed("an id is united with one that is no root")
    }
    if record.pointee.root == UInt32(kept + 1) { return }
    guard record.pointee.root == 0 else { return move(gone, to: kept) }
    dropFirst(Int(record.pointee.count), of: gone)
    setAnchors([], of: gone)
    join(gone, to: kept)
  }

  /// Moves a united id, whose root has become a member itself, to another root.
  private mutating func move(_ member: Int, to kept: Int) {
    let record = table.record(member)
    let old = Int(record.pointee.root) - 1
    var place = old
    while table.record(place).pointee.nextUnited != UInt32(member + 1) {
      guard table.record(place).pointee.nextUnited != 0 else { break }
      place = Int(table.record(place).pointee.nextUnited) - 1
    }
    table.record(place).pointee.nextUnited = record.pointee.nextUnited
    record.pointee.nextUnited = table.record(kept).pointee.nextUnited
    record.pointee.root = UInt32(kept + 1)
    table.record(kept).pointee.nextUnited = UInt32(member + 1)
  }

  /// Drops a person without taking anything back.
  private mutating func forget(_ person: Key128) {
    let index = table.find(person)
    if index < 0 || table.record(index).pointee.root != 0 { return }
    dropFirst(Int(table.record(index).pointee.count), of: index)
    remove(index)
  }

  private mutating func forget(group: Int) {
    for index in table.ordered(group) where table.record(index).pointee.key != .zero {
      let record = table.record(index)
      if record.pointee.root == 0 { forget(record.pointee.key) }
    }
  }

  private mutating func readTuples(
    _ reader: inout SnapshotReader
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
      // Kept while persons that are replaced let go of it.
      tuples.retainPending(slot)
      slots.append(slot)
    }
    return slots
  }

  private mutating func readPending(
    _ slots: [Int], isShared: Bool, _ reader: inout SnapshotReader
  ) throws(SnapshotFormatError) {
    if !isShared { clearPending() }
    for _ in 0..<(try reader.getCount(elementByteCount: 60)) {
      let slot = try slot(slots, &reader)
      let start = try reader.get(Int64.self)
      let counts = try Self.counts(&reader)
      try Self.check(start, isShared: isShared, reader)
      emit(slot, start, Outcomes(counts))
    }
  }

  private mutating func readExposures(
    _ slots: [Int], isShared: Bool, _ reader: inout SnapshotReader
  ) throws(SnapshotFormatError) {
    if !isShared { clearExposures() }
    for _ in 0..<(try reader.getCount(elementByteCount: 108)) {
      let slot = try slot(slots, &reader)
      let start = try reader.get(Int64.self)
      let sums = ExposureSums(
        exposures: Exposures(try Self.counts(&reader)),
        baselines: Baselines(try Self.counts(&reader)))
      try Self.check(start, isShared: isShared, reader)
      add(sums, slot, start: start)
    }
  }

  private static func counts(
    _ reader: inout SnapshotReader
  ) throws(SnapshotFormatError) -> Counts {
    Counts(
      impressions: try reader.get(Int64.self), views: try reader.get(Int64.self),
      clicks: try reader.get(Int64.self), engagements: try reader.get(Int64.self),
      conversions: try reader.get(Int64.self), revenueMicros: try reader.get(Int64.self))
  }

  private static func check(
    _ start: Int64, isShared: Bool, _ reader: borrowing SnapshotReader
  ) throws(SnapshotFormatError) {
    guard !isShared else {
      throw reader.malformed("differences that were not drained, beside another's persons")
    }
    guard TimeRange.clamp(start) == start, WindowLevel.tenSeconds.start(of: start) == start else {
      throw reader.malformed("outcomes of no window")
    }
  }

  private func readAnchors(
    _ reader: inout SnapshotReader
  ) throws(SnapshotFormatError) -> [ExposureAnchor] {
    let count = Int(try reader.get(UInt16.self))
    guard count == 0 || (facets != nil && count <= ExposureAnchor.countMax) else {
      throw reader.malformed("a person with too many anchors")
    }
    var anchors: [ExposureAnchor] = []
    for _ in 0..<count {
      let anchor = ExposureAnchor(
        time: try reader.get(Int64.self), from: try reader.get(Int64.self),
        campaign: try reader.get(UInt64.self))
      guard TimeRange.clamp(anchor.time) == anchor.time,
        TimeRange.clamp(anchor.from) == anchor.from
      else {
        throw reader.malformed("an anchor of no time")
      }
      anchors.append(anchor)
    }
    return anchors
  }

  private func readTouches(
    _ slots: [Int], _ reader: inout SnapshotReader
  ) throws(SnapshotFormatError) -> [KeptTouch] {
    let count = Int(try reader.get(UInt32.self))
    guard count <= PersonPolicy.touchCountMax else {
      throw reader.malformed("a person with too many touches")
    }
    var touches: [KeptTouch] = []
    touches.reserveCapacity(count)
    for _ in 0..<count {
      let time = try reader.get(Int64.self)
      let key = try key(&reader)
      let revenue = try reader.get(Int64.self)
      let tuple = UInt32(try slot(slots, &reader))
      let kind = try reader.get(UInt8.self)
      let flags = try reader.get(UInt8.self)
      let touch = KeptTouch(
        time: time, key: key, revenueMicros: revenue, tuple: tuple, kind: kind,
        isSettled: flags == 1)
      guard TimeRange.clamp(time) == time, EventKind(rawValue: kind) != nil, flags < 2,
        revenue != .min, touches.last.map({ KeptTouch.precedes($0, touch) }) ?? true
      else { throw reader.malformed("touches out of order, or of no kind") }
      touches.append(touch)
    }
    return touches
  }

  private func key(_ reader: inout SnapshotReader) throws(SnapshotFormatError) -> Key128 {
    Key128(low: try reader.get(UInt64.self), high: try reader.get(UInt64.self))
  }

  private func slot(
    _ slots: [Int], _ reader: inout SnapshotReader
  ) throws(SnapshotFormatError) -> Int {
    let number = Int(try reader.get(UInt32.self))
    guard number < slots.count else { throw reader.malformed("a tuple that is not there") }
    return slots[number]
  }
}
