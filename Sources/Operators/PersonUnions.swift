public import Events
import Views

/// One person becomes another: an anonymous one a known one, or two known ones the same.
///
///     handOver(a)      a's touches leave here, what they count is taken back, another owner puts them in
///     unite(b, c)      records   b (root) ◀── c       touches of both, past and future, are b's
///
/// The root of united ids is the smallest of them, so that it does not matter in which order they were
/// united. United ids are forgotten with the last touch of their person, but not before a union is as
/// old as a touch may become (``PersonPolicy/keep``).
extension PersonHistories {
  /// - Returns: the number of the record that has the person's touches, or -1.
  private func root(of person: Key128) -> Int {
    let index = table.find(person)
    if index < 0 { return -1 }
    let root = table.record(index).pointee.root
    return root == 0 ? index : Int(root) - 1
  }

  // MARK: Handing over

  /// Takes a person's last sessions out: what their touches have counted is taken back, and they are given
  /// to `body` in order, with their encoded tuples. What the person stays exposed to by what is left here,
  /// or has left state, is given to `anchored`.
  ///
  /// Sessions that began longer ago than ``PersonPolicy/takeOver`` stay as they are: what they could be
  /// joined with elsewhere may have left state there, or here, as the click of a conversion.
  public mutating func handOver(
    _ person: Key128, _ body: (Touch, UnsafeRawBufferPointer) -> Void,
    anchored: (PartialAnchor) -> Void = { _ in }
  ) {
    flush()
    let index = root(of: person)
    if index < 0 { return }
    let timeline = table.record(index).pointee.timeline
    let first = firstTakenOver(timeline)
    if first == timeline.count && first > 0 { return giveAnchors(of: index, anchored) }
    emitAll(timeline, sign: -1)
    emitExposures(of: index, sign: -1)
    for place in first..<timeline.count {
      let touch = timeline[place]
      body(
        Touch(
          time: touch.time, key: touch.key, revenueMicros: touch.revenueMicros, tuple: touch.tuple,
          kind: touch.kind), tuples.bytes(Int(touch.tuple)))
    }
    if first > 0 {
      keepFirst(first, of: index)
      return giveAnchors(of: index, anchored)
    }
    giveAnchors(of: index, anchored, withTouches: false)
    // It is remembered here, too, should it become somebody of its own again.
    if keepsAnchors(index) { return keepFirst(0, of: index) }
    noteRemoval(of: index)
    dropFirst(timeline.count, of: index)
    remove(index)
  }

  /// Gives away what a person is exposed to: by its anchors, and by the touches that it has. It concerns
  /// touches that may be taken over now, and later ones: what whoever gets it has counted of them is not
  /// settled.
  private mutating func giveAnchors(
    of index: Int, _ body: (PartialAnchor) -> Void, withTouches: Bool = true
  ) {
    let person = table.record(index).pointee.key
    let from = takenOverFrom
    for anchor in liveAnchors(of: index) {
      body(
        PartialAnchor(user: person, campaign: anchor.campaign, time: anchor.time, from: from))
    }
    if facets == nil || !withTouches { return }
    findExposures(of: index)
    let timeline = table.record(index).pointee.timeline
    for found in exposurePlaces {
      let touch = timeline[Int(found)]
      let campaign = facet(touch.tuple).campaign
      body(PartialAnchor(user: person, campaign: campaign, time: touch.time, from: from))
    }
  }

  /// Sessions that began earlier are not handed over.
  private var takenOverFrom: Int64 {
    now == .min ? TimeRange.earliest : now * Self.step - policy.takeOver
  }

  /// The first touch of the sessions that are handed over.
  private func firstTakenOver(_ timeline: PersonTimeline) -> Int {
    if now == .min { return 0 }
    let earliest = takenOverFrom
    var first = timeline.count
    while first > 0 {
      let start = timeline.sessionStart(first - 1, gap: policy.sessionGap)
      if timeline[start].time < earliest { break }
      first = start
    }
    return first
  }

  /// Leaves a person its first touches, which have to count anew.
  private mutating func keepFirst(_ count: Int, of index: Int) {
    let timeline = table.record(index).pointee.timeline
    setTouches((0..<count).map { timeline[$0] }, of: index)
    emitAll(table.record(index).pointee.timeline, sign: 1)
    emitExposures(of: index, sign: 1)
    markChanged(index)
    armNext(index)
  }

  /// Notes that a person leaves for another reason than time, or for time and another. An increment names all of its ids: each
  /// may have been a person of its own in what was saved before.
  mutating func noteRemoval(of root: Int) {
    var member = root
    while true {
      let record = table.record(member)
      if removed.count < Self.removedCountMax {
        removed.append(record.pointee.key)
      } else {
        isChangeLost = true
      }
      if record.pointee.nextUnited == 0 { return }
      member = Int(record.pointee.nextUnited) - 1
    }
  }

  /// The most removed persons that are remembered for an increment: 16 MiB.
  private static var removedCountMax: Int { 1 << 20 }

  // MARK: Uniting

  /// Makes two ids one person: touches of either, past and future, are of both.
  public mutating func unite(_ a: Key128, _ b: Key128) {
    flush()
    if a == b { return }
    var (kept, gone) = (root(of: a), root(of: b))
    if kept < 0 || gone < 0 || kept != gone {
      guard isUnionAllowed(kept, gone) else {
        refusedUnions += 1
        return
      }
      if kept < 0 { kept = addPerson(a) }
      if gone < 0 { gone = addPerson(b) }
      if table.record(gone).pointee.key < table.record(kept).pointee.key {
        swap(&kept, &gone)
      }
      moveTouches(from: gone, to: kept)
      join(gone, to: kept)
    }
    link(kept)
    markChanged(kept)
    armNext(kept)
  }

  mutating func addPerson(_ key: Key128) -> Int {
    let index = table.add(key)
    if facets != nil && count >= 2 * policy.personCountMax {
      table.record(index).pointee.isForgetful = true
    }
    count += 1
    return index
  }

  private func isUnionAllowed(_ a: Int, _ b: Int) -> Bool {
    let newCount = (a < 0 ? 1 : 0) + (b < 0 ? 1 : 0)
    let memberCount = (a < 0 ? 0 : memberCount(a)) + (b < 0 ? 0 : memberCount(b))
    return count - idleCount + newCount <= policy.personCountMax
      && unitedCount < policy.personCountMax
      && memberCount < Self.unitedMax
  }

  private func memberCount(_ root: Int) -> Int {
    var count = 0
    var next = table.record(root).pointee.nextUnited
    while next != 0 {
      count += 1
      next = table.record(Int(next) - 1).pointee.nextUnited
    }
    return count
  }

  /// Keeps the union as long as a touch of now would be kept.
  private mutating func link(_ root: Int) {
    if now == .min {
      table.record(root).pointee.linkedUntil = .max
      timeless.append(UInt32(root))
    } else {
      table.record(root).pointee.linkedUntil = now + policy.keep / Self.step + 1
    }
  }

  /// Sets how long unions are kept that came before time was known.
  mutating func linkTimeless() {
    for root in timeless where table.record(Int(root)).pointee.linkedUntil == .max {
      link(Int(root))
      markChanged(Int(root))
      armNext(Int(root))
    }
    timeless.removeAll()
  }

  /// The touches of both in order; of equal ones one. Beyond the limit the latest are kept.
  private mutating func moveTouches(from gone: Int, to kept: Int) {
    let (a, b) = (table.record(kept).pointee.timeline, table.record(gone).pointee.timeline)
    let anchors = liveAnchors(of: kept) + liveAnchors(of: gone)
    if b.count == 0 && table.record(gone).pointee.anchorCount == 0 { return }
    changedTouchCount &+= b.count
    emitAll(a, sign: -1)
    emitAll(b, sign: -1)
    emitExposures(of: kept, sign: -1)
    emitExposures(of: gone, sign: -1)
    var touches: [KeptTouch] = []
    touches.reserveCapacity(a.count + b.count)
    var (i, j) = (0, 0)
    while i < a.count || j < b.count {
      if j == b.count || (i < a.count && KeptTouch.precedes(a[i], b[j])) {
        touches.append(a[i])
        i += 1
      } else {
        let isSame = i < a.count && !KeptTouch.precedes(b[j], a[i])
        touches.append(b[j])
        j += 1
        if isSame {
          touches[touches.count - 1].isSettled =
            touches[touches.count - 1].isSettled || a[i].isSettled
          i += 1
        }
      }
    }
    let excess = touches.count - PersonPolicy.touchCountMax
    if excess > 0 {
      touches.removeFirst(excess)
      untracked += Int64(excess)
    }
    setTouches(touches, of: kept)
    dropFirst(b.count, of: gone)
    setAnchors(anchors, of: kept)
    setAnchors([], of: gone)
    emitAll(table.record(kept).pointee.timeline, sign: 1)
    limitAnchors(of: kept)
    emitExposures(of: kept, sign: 1)
  }

  /// Makes a root without touches, and what is united with it, members of another.
  mutating func join(_ gone: Int, to kept: Int) {
    let record = table.record(gone)
    setIdle(gone, false)
    record.pointee.timer = .max
    record.pointee.linkedUntil = .min
    var member = gone
    while true {
      let united = table.record(member)
      united.pointee.root = UInt32(kept + 1)
      markChanged(member)
      if united.pointee.nextUnited == 0 { break }
      member = Int(united.pointee.nextUnited) - 1
    }
    table.record(member).pointee.nextUnited = table.record(kept).pointee.nextUnited
    table.record(kept).pointee.nextUnited = UInt32(gone + 1)
    count -= 1
    unitedCount += 1
  }
}
