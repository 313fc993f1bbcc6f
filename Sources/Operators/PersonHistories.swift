public import Events
public import Views

/// Sessions and attributions of persons.
///
/// The result is a function of the set of touches that were put in, whatever their order: what a touch
/// changes is handed out as differences, negative where something is taken back. Sessions count when
/// they begin; their length counts once the watermark has passed their end by the gap, in steps of ten
/// seconds. A session leaves state, with its touches, once no touch that may still come could change it
/// or be attributed to it (``PersonPolicy/keep``), in the same steps; callers let no touch in that is
/// older than ``PersonPolicy/lateness`` behind the watermark. See ``PersonTimeline`` for what counts as
/// what.
///
/// Nothing but the touches is kept: what they have come to follows from them and the step of time, so
/// every change is worked out as what it is after it minus what it was before, near the touch that came.
/// Touches are put in 128 at a time, so that the cache misses of different persons overlap.
///
///     person -> place (group's table) -> record (64 bytes) -> block of touches (40 bytes each)
///                                                          -> block of anchors (24 bytes each)
///
/// A person that is handed over takes along its sessions of the last ``PersonPolicy/takeOver``; state
/// reaches back further, so that nothing that they may be joined with has left it. One that is united
/// with another takes all along that is in state, however old; what is settled by then (a conversion
/// whose click has left state) is not attributed anew: a click and a conversion count at most once.
///
/// Exposures to the variants of campaigns follow from the same touches where the policy declares
/// experiments; see ``PersonExposures.swift`` and, for what of them outlives the touches, anchors.
///
/// Cost: some 150 ns for a touch at the end of a person's history with a million persons; one in its
/// middle costs a pass over what lies within the look-backs. Memory: 84 bytes a person, 40 bytes a
/// touch in blocks of powers of two, 16 bytes a timer. Limits: persons, touches of a person and of all,
/// tuples; what is beyond is not kept and counted (``untracked``).
public struct PersonHistories: ~Copyable {
  public static var name: String { "persons" }

  public let policy: PersonPolicy
  var tuples = TupleTable()
  /// By slot: the hash of site, campaign and content.
  private(set) var contents: UnsafeMutablePointer<UInt64>
  private(set) var contentCapacity = 64
  /// By slot; nil where no exposures are counted.
  private(set) var facets: UnsafeMutablePointer<Facet>?
  var table = PersonTable()
  var arena = TouchArena()
  var anchorArena = AnchorArena()
  var timers = TimerQueue()
  private var due: [TimerQueue.Entry] = []
  /// Steps before this one have passed.
  private(set) var now = Int64.min
  /// Sessions that end before these times are closed, and leave state: the same as ``now``.
  private(set) var closedBefore = Int64.min
  private(set) var expiredBefore = Int64.min
  /// Differences that were not drained yet, by slot and 10 s window.
  var pending = FlatTable<Outcomes>(capacity: 1024)
  /// The same of exposures.
  var pendingExposures = FlatTable<ExposureSums>()
  /// See ``findExposures(of:only:)``: what it has found, and by campaign the latest exposure.
  var exposurePlaces: [UInt16] = []
  var lastExposures = FlatTable<Int64>()
  private var frameSlots: [UInt32] = []
  /// Touches that wait to be put in together.
  private let queue: UnsafeMutablePointer<Queued>
  private(set) var queued = 0
  private static let queueCapacity = 128

  /// Persons in state; ids that were united count as one.
  public internal(set) var count = 0
  /// Of these, those that are kept for their anchors alone.
  var idleCount = 0
  /// Ids that were united with another.
  public internal(set) var unitedCount = 0
  /// Touches in state.
  public internal(set) var touchCount = 0
  /// Touches that were not kept because of the limits.
  public internal(set) var untracked: Int64 = 0
  /// Exposures that are not remembered because of the limits.
  public internal(set) var forgottenExposures: Int64 = 0
  /// Unions that were not kept because of the limits.
  public internal(set) var refusedUnions: Int64 = 0
  /// Records that changed since the last snapshot, about how many touches they have, and ids that were
  /// removed.
  var changed: [UInt32] = []
  var changedTouchCount = 0
  var removed: [Key128] = []
  /// There were too many removed ones to remember: the next increment holds everything.
  var isChangeLost = false
  /// Roots that were united before time was known.
  var timeless: [UInt32] = []

  struct Queued: BitwiseCopyable {
    var person: Key128
    var touch: KeptTouch
  }

  /// The step of closing and expiring, microseconds.
  static let step: Int64 = 10_000_000
  /// The most touches of all persons together, on average.
  static let touchesPerPerson = 64
  /// The most ids that are united into one person.
  static let unitedMax = 1_000

  public init(policy: PersonPolicy) {
    self.policy = policy
    contents = .allocate(capacity: contentCapacity)
    facets = policy.experiments == nil ? nil : .allocate(capacity: contentCapacity)
    queue = .allocate(capacity: Self.queueCapacity)
    precondition(
      TouchArena.capacity(UInt8(TouchArena.classCount - 1)) >= PersonPolicy.touchCountMax
        && PersonPolicy.touchCountMax <= Int(UInt16.max), "a person's touches fit a block")
  }

  deinit {
    contents.deallocate()
    facets?.deallocate()
    queue.deallocate()
  }

  private var touchCountMax: Int { policy.personCountMax * Self.touchesPerPerson }
  private var tupleCountMax: Int { max(200_000, policy.personCountMax) }

  /// Whether memory for more persons and touches is taken without a stop: so that no frame of a live pipeline waits
  /// for it. It costs more than memory that is taken at once, until the kernel has made large pages of it.
  public var growsGently: Bool {
    get { table.isGentle }
    set {
      table.isGentle = newValue
      arena.isGentle = newValue
    }
  }

  /// Memory, about: records, touches, timers, what waits to be drained.
  public var byteCount: Int {
    table.byteCount + arena.byteCount + anchorArena.byteCount + timers.byteCount
      + pending.count * 80 + pendingExposures.byteCount + tuples.count * 160
  }

  // MARK: Time

  @inline(__always)
  static func step(of time: Int64) -> Int64 {
    time >= 0 ? time / step : (time - step + 1) / step
  }

  @inline(__always)
  func isClosed(_ end: Int64) -> Bool { end < closedBefore }

  /// Closes sessions whose end plus gap has passed, and drops those that nothing can change any more.
  public mutating func advance(watermark: Int64) {
    if queued > 0 { flush() }
    let step = watermark == .min ? .min : Self.step(of: watermark)
    guard step > now else { return }
    let closedBefore = closedBefore
    let wasTimeless = now == .min
    setNow(step)
    if wasTimeless { linkTimeless() }
    review(closedFrom: closedBefore)
  }

  mutating func setNow(_ step: Int64) {
    now = step
    if step == .min { return }
    closedBefore = step * Self.step - policy.sessionGap
    expiredBefore = step * Self.step - policy.keep
  }

  /// Looks at the persons whose time has come.
  ///
  /// - Parameters:
  ///   - closedFrom: sessions that end before it have been closed already.
  ///   - silent: groups of whose persons the lengths of sessions have been handed out already.
  mutating func review(closedFrom: Int64, silent: Range<Int> = 0..<0) {
    timers.advance(to: now, due: &due)
    for index in 0..<due.count + 3 * TableMemory.ahead {
      askForDue(index)
      let now = index - 3 * TableMemory.ahead
      guard now >= 0 else { continue }
      let entry = due[now]
      let record = table.record(Int(entry.index))
      guard record.pointee.timer == entry.step else { continue }
      let isSilent = silent.contains(KeyGroup.of(person: record.pointee.key))
      review(Int(entry.index), closedFrom: isSilent ? closedBefore : closedFrom)
    }
    due.removeAll(keepingCapacity: true)
    if timers.count > 2 * (count + unitedCount) + 1024 {
      timers.compact(table)
    }
  }

  /// Asks for the record of a due person, the touches of one before it, and the place of one before that.
  @inline(__always)
  private func askForDue(_ index: Int) {
    if index < due.count { TableMemory.prefetch(table.record(Int(due[index].index))) }
    let near = index - TableMemory.ahead
    if near >= 0 && near < due.count {
      let record = table.record(Int(due[near].index))
      if let touches = record.pointee.touches {
        // Whole sessions are gone through; a long one is read in order anyway.
        let byteCount = min(Int(record.pointee.count), 8) * MemoryLayout<KeptTouch>.stride
        for offset in stride(from: 0, to: byteCount, by: 64) {
          TableMemory.prefetch(UnsafeRawPointer(touches) + offset)
        }
        TableMemory.prefetch(touches + Int(record.pointee.count))
      }
    }
    let nearer = near - TableMemory.ahead
    if nearer >= 0 && nearer < due.count {
      let record = table.record(Int(due[nearer].index))
      let timeline = record.pointee.timeline
      if timeline.count == 0 || timeline[timeline.count - 1].time < expiredBefore {
        table.prefetchPlace(record.pointee.key)
      }
    }
  }

  /// The next watermark at which a session closes or expires; nil if there is none.
  public var earliestTimer: Int64? {
    timers.earliest == .max ? nil : (timers.earliest + 1) * Self.step
  }

  /// Sees to it that the person is looked at once the step has passed.
  mutating func arm(_ index: Int, _ step: Int64) {
    let record = table.record(index)
    guard step < record.pointee.timer else { return }
    let step = max(step, now)
    record.pointee.timer = step
    timers.add(UInt32(truncatingIfNeeded: index), at: step)
  }

  /// Closes and expires a person's sessions as far as time has come, and sees to the next time.
  mutating func review(_ index: Int, closedFrom: Int64) {
    let record = table.record(index)
    record.pointee.timer = .max
    let timeline = record.pointee.timeline
    if closedBefore > closedFrom { close(timeline, closedFrom) }
    let dropped = expiredCount(timeline)
    if dropped > 0 {
      settle(timeline, dropped: dropped)
      anchorExposures(of: index, dropped: dropped)
      dropFirst(dropped, of: index)
      limitAnchors(of: index)
    }
    armNext(index)
  }

  /// Hands out the lengths of sessions that have been closed since.
  private mutating func close(_ timeline: PersonTimeline, _ closedFrom: Int64) {
    var last = timeline.count - 1
    while last >= 0 && timeline[last].time >= closedFrom {
      let start = timeline.sessionStart(last, gap: policy.sessionGap)
      let length = timeline[last].time - timeline[start].time
      if isClosed(timeline[last].time) && length > 0 {
        emit(timeline[start], Outcomes(sessionMicros: length))
      }
      last = start - 1
    }
  }

  /// The number of touches of sessions that leave state.
  func expiredCount(_ timeline: PersonTimeline) -> Int {
    var count = 0
    while count < timeline.count && timeline[count].time < expiredBefore {
      let end = timeline.sessionEnd(count, gap: policy.sessionGap)
      if timeline[end].time >= expiredBefore { break }
      count = end + 1
    }
    return count
  }

  /// Arms the timer for what comes next, or drops a person of whom nothing is left.
  mutating func armNext(_ index: Int) {
    let record = table.record(index)
    let timeline = record.pointee.timeline
    if timeline.count == 0 {
      if record.pointee.nextUnited != 0 && record.pointee.linkedUntil >= now {
        setIdle(index, false)
        arm(index, record.pointee.linkedUntil)
      } else if !keepAnchored(index) {
        // Of one that has changed since, what was saved before does not leave state by itself.
        if record.pointee.isChanged { noteRemoval(of: index) }
        remove(index)
      }
      return
    }
    let firstEnd = timeline[timeline.sessionEnd(0, gap: policy.sessionGap)].time
    var next = Self.step(of: firstEnd + policy.keep)
    var last = timeline.count - 1
    while last >= 0 && !isClosed(timeline[last].time) {
      next = min(next, Self.step(of: timeline[last].time + policy.sessionGap))
      last = timeline.sessionStart(last, gap: policy.sessionGap) - 1
    }
    arm(index, next)
  }

  // MARK: Touches

  /// Starts the touches of a frame that has so many tuples.
  public mutating func begin(tupleCount: Int, bytes: (Int) -> UnsafeRawBufferPointer) {
    end()
    for tuple in 0..<tupleCount {
      let before = tuples.count
      let slot = tuples.intern(tuple, of: tupleCount, bytes)
      if tuples.count != before { addContent(slot) }
      // Somebody's last touch of the tuple may go while the frame still uses it.
      tuples.retainPending(slot)
      frameSlots.append(UInt32(slot))
    }
  }

  /// Ends the begun frame.
  public mutating func end() {
    if queued > 0 { flush() }
    for slot in frameSlots { tuples.releasePending(Int(slot)) }
    frameSlots.removeAll(keepingCapacity: true)
    tuples.releaseUnused()
  }

  /// Puts a touch in. One of the same time and key as another of the person changes nothing.
  ///
  /// - Parameter touch: its tuple is an index of the begun frame; its kind is impression, view, click,
  ///   engagement, conversion
  ///   or exposure.
  @inline(__always)
  public mutating func insert(_ touch: Touch, of person: Key128) {
    queue[queued] = Queued(
      person: person,
      touch: KeptTouch(
        time: TimeRange.clamp(touch.time), key: touch.key,
        // Amounts are taken back by their negative.
        revenueMicros: max(touch.revenueMicros, -.max), tuple: frameSlots[Int(touch.tuple)],
        kind: touch.kind))
    queued &+= 1
    if queued == Self.queueCapacity { flush() }
  }

  /// Puts the touches in that wait. What later ones need is asked for before, so that misses overlap.
  @inline(never)
  mutating func flush() {
    let count = queued
    queued = 0
    withUnsafeTemporaryAllocation(of: Int32.self, capacity: Self.queueCapacity) { found in
      for step in 0..<count + 3 * TableMemory.ahead {
        if step < count { table.prefetchPlace(queue[step].person) }
        let far = step - TableMemory.ahead
        if far >= 0 && far < count {
          found[far] = Int32(truncatingIfNeeded: table.guess(queue[far].person))
          if found[far] >= 0 { TableMemory.prefetch(table.record(Int(found[far]))) }
        }
        let near = far - TableMemory.ahead
        if near >= 0 && near < count && found[near] >= 0 { askForTouches(Int(found[near])) }
        let now = near - TableMemory.ahead
        if now >= 0 { put(queue[now].touch, of: queue[now].person) }
      }
    }
  }

  /// Asks for the touches that the next one is compared with, and for where it goes.
  @inline(__always)
  private func askForTouches(_ index: Int) {
    let record = table.record(index)
    guard let touches = record.pointee.touches else { return }
    let place = Int(record.pointee.count)
    TableMemory.prefetch(touches + Int(record.pointee.lastStart))
    TableMemory.prefetch(touches + max(0, place - 1))
    if place < TouchArena.capacity(record.pointee.size) {
      TableMemory.prefetch(whole: touches + place)
    } else {
      arena.prefetchBlock(record.pointee.size + 1)
    }
  }

  @inline(__always)
  private mutating func put(_ touch: KeptTouch, of person: Key128) {
    var index = table.find(person)
    if index < 0 {
      guard hasRoomForPerson, hasRoom(for: touch) else {
        untracked += 1
        return
      }
      index = addPerson(person)
    } else {
      let record = table.record(index)
      if record.pointee.root != 0 { index = Int(record.pointee.root) &- 1 }
      guard table.record(index).pointee.count < PersonPolicy.touchCountMax, hasRoom(for: touch),
        !table.record(index).pointee.isIdle || hasRoomForPerson
      else {
        untracked += 1
        return
      }
    }
    put(touch, in: index)
  }

  @inline(__always)
  var hasRoomForPerson: Bool { count - idleCount < policy.personCountMax }

  @inline(__always)
  private func hasRoom(for touch: KeptTouch) -> Bool {
    touchCount < touchCountMax
      && (tuples.slots[Int(touch.tuple)].liveRefs > 0 || tuples.liveCount < tupleCountMax)
  }

  /// Puts a touch in its place and hands out what it changes.
  @inline(__always)
  mutating func put(_ touch: KeptTouch, in index: Int) {
    let record = table.record(index)
    let timeline = record.pointee.timeline
    let place = timeline.place(of: touch)
    if place > 0 && timeline[place - 1].time == touch.time && timeline[place - 1].key == touch.key {
      return
    }
    attribute(touch, in: timeline, place: place)
    let isExposure = facets != nil && concernsExposures(touch, of: index, place: place)
    if isExposure { emitExposures(around: touch, of: index, sign: -1) }
    tuples.retainLive(Int(touch.tuple))
    if place == timeline.count {
      append(touch, to: index)
    } else {
      insert(touch, at: place, of: index)
    }
    if isExposure { emitExposures(around: touch, of: index, sign: 1) }
    markChanged(index)
  }

  @inline(__always)
  mutating func markChanged(_ index: Int) {
    let record = table.record(index)
    changedTouchCount &+= 1
    if record.pointee.isChanged { return }
    record.pointee.isChanged = true
    changed.append(UInt32(truncatingIfNeeded: index))
    // Two anchors take about as much as a touch.
    changedTouchCount &+= Int(record.pointee.count) &+ Int(record.pointee.anchorCount) / 2
  }

  // MARK: Tuples

  mutating func intern(_ bytes: UnsafeRawBufferPointer) -> Int {
    let before = tuples.count
    let slot = tuples.intern(bytes)
    if tuples.count != before { addContent(slot) }
    return slot
  }

  private mutating func addContent(_ slot: Int) {
    if slot >= contentCapacity {
      let old = contents
      let capacity = max(contentCapacity * 2, slot + 1)
      contents = .allocate(capacity: capacity)
      contents.update(from: old, count: contentCapacity)
      old.deallocate()
      if let old = facets {
        let grown = UnsafeMutablePointer<Facet>.allocate(capacity: capacity)
        grown.update(from: old, count: contentCapacity)
        old.deallocate()
        facets = grown
      }
      contentCapacity = capacity
    }
    contents[slot] = EncodedTuple.contentHash(of: tuples.bytes(slot))
    if let facets { facets[slot] = Facet(of: tuples.bytes(slot)) }
  }
}
