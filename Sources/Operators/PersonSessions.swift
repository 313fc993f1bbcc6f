import Events
import Views

/// Sessions: touches of a person with no more than the gap between one and the next.
///
///     gap 3   ·· ·   ·     · ·          · ·   ·  touch that came late
///             └─────┘      └─┘    ──▶   └───────────┘
///             -1     -1                  +1              the two that it joins are taken back
///
/// A session is one difference at its start for the tuple of its first touch: one session, one bounce
/// while it has a single touch, its length once it is closed.
extension PersonHistories {
  /// Puts the latest touch of a person in.
  @inline(__always)
  mutating func append(_ touch: KeptTouch, to index: Int) {
    let record = table.record(index)
    let place = Int(record.pointee.count)
    if place > 0 {
      let timeline = record.pointee.timeline
      let end = timeline[place - 1].time
      if touch.time - end <= policy.sessionGap {
        extendLast(record, from: end, to: touch.time)
        makeRoom(at: place, of: record)
        record.pointee.touches.unsafelyUnwrapped[place] = touch
        // An open session's timer looks again when it is due; a closed one may be open again.
        if isClosed(end) { armSession(index, end: touch.time, isFirst: false) }
        return
      }
    }
    makeRoom(at: place, of: record)
    record.pointee.touches.unsafelyUnwrapped[place] = touch
    record.pointee.lastStart = UInt16(truncatingIfNeeded: place)
    emit(touch, Outcomes(sessions: 1, bounces: 1))
    armSession(index, end: touch.time, isFirst: place == 0)
  }

  /// Hands out what a later end of the last session means to what it has counted.
  @inline(__always)
  private mutating func extendLast(
    _ record: UnsafeMutablePointer<Person>, from end: Int64, to newEnd: Int64
  ) {
    let start = Int(record.pointee.lastStart)
    let first = record.pointee.touches.unsafelyUnwrapped[start]
    var outcomes = Outcomes()
    if start == Int(record.pointee.count) - 1 { outcomes.bounces = -1 }
    if isClosed(end) {
      outcomes.sessionMicros = first.time - end
      if isClosed(newEnd) {
        outcomes.sessionMicros = newEnd - end
      }
    }
    if !outcomes.isZero { emit(first, outcomes) }
  }

  /// Arms what an end of a session brings about.
  @inline(__always)
  private mutating func armSession(_ index: Int, end: Int64, isFirst: Bool) {
    if isClosed(end) {
      if isFirst { arm(index, Self.step(of: end + policy.keep)) }
    } else {
      arm(index, Self.step(of: end + policy.sessionGap))
    }
  }

  /// Puts a touch in before others of its person.
  @inline(never)
  mutating func insert(_ touch: KeptTouch, at place: Int, of index: Int) {
    let record = table.record(index)
    let before = record.pointee.timeline
    let gap = policy.sessionGap
    let joinsLeft = place > 0 && touch.time - before[place - 1].time <= gap
    let joinsRight = before[place].time - touch.time <= gap
    let isInside = joinsLeft && joinsRight && before[place].time - before[place - 1].time <= gap
    if !isInside {
      if joinsLeft { emit(session: place - 1, in: before, sign: -1) }
      if joinsRight { emit(session: place, in: before, sign: -1) }
    }
    makeRoom(at: place, of: record)
    record.pointee.touches.unsafelyUnwrapped[place] = touch
    let after = record.pointee.timeline
    record.pointee.lastStart = UInt16(after.sessionStart(after.count - 1, gap: gap))
    if !isInside { emit(session: place, in: after, sign: 1) }
    armNext(index)
  }

  /// Hands out, or takes back, what the session around a touch counts.
  mutating func emit(session index: Int, in timeline: PersonTimeline, sign: Int64) {
    let start = timeline.sessionStart(index, gap: policy.sessionGap)
    let last = timeline.sessionEnd(index, gap: policy.sessionGap)
    let first = timeline[start]
    let end = timeline[last].time
    emit(
      first,
      Outcomes(
        sessions: sign, bounces: start == last ? sign : 0,
        sessionMicros: isClosed(end) ? sign * (end - first.time) : 0))
  }

  // MARK: Storage

  /// Opens a gap among a person's touches.
  @inline(__always)
  private func gap(at place: Int, of touches: UnsafeMutablePointer<KeptTouch>, count: Int) {
    if place < count { (touches + place + 1).update(from: touches + place, count: count - place) }
  }

  @inline(__always)
  private mutating func makeRoom(at place: Int, of record: UnsafeMutablePointer<Person>) {
    let count = Int(record.pointee.count)
    if record.pointee.isIdle { wake(record) }
    if let touches = record.pointee.touches, count < TouchArena.capacity(record.pointee.size) {
      gap(at: place, of: touches, count: count)
    } else {
      grow(record, gapAt: place)
    }
    record.pointee.count &+= 1
    touchCount &+= 1
  }

  /// A person that was kept for its anchors has touches again.
  private mutating func wake(_ record: UnsafeMutablePointer<Person>) {
    record.pointee.isIdle = false
    idleCount -= 1
  }

  private mutating func grow(_ record: UnsafeMutablePointer<Person>, gapAt place: Int) {
    let count = Int(record.pointee.count)
    guard let old = record.pointee.touches else {
      record.pointee.touches = arena.allocate(0)
      record.pointee.size = 0
      return
    }
    let size = record.pointee.size
    let grown = arena.allocate(size + 1)
    grown.update(from: old, count: place)
    (grown + place + 1).update(from: old + place, count: count - place)
    arena.release(old, size)
    record.pointee.touches = grown
    record.pointee.size = size + 1
  }

  /// Drops a person's first touches; what they have counted stays counted.
  mutating func dropFirst(_ dropped: Int, of index: Int) {
    let record = table.record(index)
    guard dropped > 0, let touches = record.pointee.touches else { return }
    let left = Int(record.pointee.count) - dropped
    for touch in 0..<dropped { tuples.releaseLive(Int(touches[touch].tuple)) }
    touchCount -= dropped
    let size = record.pointee.size
    if left == 0 {
      arena.release(touches, size)
      record.pointee.touches = nil
    } else if TouchArena.size(for: left) + 1 < size {
      let smaller = TouchArena.size(for: left)
      let block = arena.allocate(smaller)
      block.update(from: touches + dropped, count: left)
      arena.release(touches, size)
      record.pointee.touches = block
      record.pointee.size = smaller
    } else {
      touches.update(from: touches + dropped, count: left)
    }
    record.pointee.count = UInt16(left)
    record.pointee.lastStart =
      left == 0
      ? 0 : UInt16(record.pointee.timeline.sessionStart(left - 1, gap: policy.sessionGap))
  }

  /// Sets a person's touches, which are in order, in place of those that it has.
  mutating func setTouches(_ touches: [KeptTouch], of index: Int) {
    for touch in touches { tuples.retainLive(Int(touch.tuple)) }
    let record = table.record(index)
    dropFirst(Int(record.pointee.count), of: index)
    if touches.isEmpty { return }
    setIdle(index, false)
    let size = TouchArena.size(for: touches.count)
    let block = arena.allocate(size)
    for (place, touch) in touches.enumerated() { block[place] = touch }
    record.pointee.touches = block
    record.pointee.size = size
    record.pointee.count = UInt16(touches.count)
    record.pointee.lastStart = UInt16(
      record.pointee.timeline.sessionStart(touches.count - 1, gap: policy.sessionGap))
    touchCount += touches.count
  }

  /// Takes a person without touches out of state, with the ids that were united with it.
  mutating func remove(_ index: Int) {
    var united = table.record(index).pointee.nextUnited
    while united != 0 {
      let next = table.record(Int(united) - 1).pointee.nextUnited
      table.remove(Int(united) - 1)
      unitedCount -= 1
      united = next
    }
    setIdle(index, false)
    anchorArena.release(table.record(index).pointee.anchors)
    table.remove(index)
    count -= 1
  }
}
