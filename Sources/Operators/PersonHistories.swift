public import Events
public import Views

/// Sessions and attributions of persons.
///
/// The result is a function of the set of touches that were put in, whatever their order: what a touch
/// changes is handed out as differences, negative where something is taken back. Sessions count when
/// they begin; their length counts once the watermark has passed their end by the gap, in steps of ten
/// seconds. A session leaves state, with its touches, once no touch that may still come could change it
/// or be attributed to it (``PersonPolicy/keep``); callers let no touch in that is older than
/// ``PersonPolicy/lateness`` behind the watermark.
///
/// Cost: some 200 ns for a touch at the end of a person's history, mostly the misses of the look-up;
/// a touch in its middle costs a pass over what lies within the look-backs. Memory: 48 bytes a person
/// and 40 bytes a touch, rounded up to powers of two. Limits: persons, touches of a person; what is
/// beyond is not kept and counted.
public struct PersonHistories: ~Copyable {
  struct Person {
    var key: Key128
    var touches: UnsafeMutablePointer<KeptTouch>?
    var count: Int32
    var capacity: Int32
    /// The bucket in which it is looked at; `.max` for none.
    var timer: Int64
    var isChanged: Bool

    var timeline: PersonTimeline { PersonTimeline(touches: touches, count: Int(count)) }
  }

  public let policy: PersonPolicy
  var tuples = TupleTable()
  /// By slot: the hash of site, campaign and content.
  var contents: [UInt64] = []
  var persons: UnsafeMutablePointer<Person>
  private var personCapacity = 64
  private var personCount = 0
  private var freePersons: [UInt32] = []
  /// Index of a person plus one; 0 where free.
  private var places: UnsafeMutablePointer<UInt32>
  private var mask = 127
  /// Persons by the bucket in which a session of theirs closes or expires, at the earliest.
  private var timers: [Int64: [UInt32]] = [:]
  private var nextTimer = Int64.max
  /// Buckets before this one have passed.
  private(set) var now = Int64.min
  /// Differences that were not drained yet, by slot and 10 s window.
  var pending = FlatTable<Outcomes>()
  private var frameSlots: [UInt32] = []
  /// User ids that are one person with another: id to the id that stands for both.
  var roots: [Key128: Key128] = [:]

  /// Persons in state.
  public private(set) var count = 0
  /// Touches in state.
  public private(set) var touchCount = 0
  /// Touches that were not kept because of the limits.
  public internal(set) var untracked: Int64 = 0
  /// Persons that changed since the last snapshot, and ids that were removed.
  var changed: [UInt32] = []
  var removed: [Key128] = []

  /// The step of closing and expiring, microseconds.
  static let step: Int64 = 10_000_000

  public init(policy: PersonPolicy) {
    self.policy = policy
    persons = .allocate(capacity: personCapacity)
    places = .allocate(capacity: mask + 1)
    places.initialize(repeating: 0, count: mask + 1)
  }

  deinit {
    for index in 0..<personCount { persons[index].touches?.deallocate() }
    persons.deallocate()
    places.deallocate()
  }

  // MARK: Time

  static func bucket(_ time: Int64) -> Int64 {
    time >= 0 ? time / step : (time - step + 1) / step
  }

  func closes(_ end: Int64) -> Int64 { Self.bucket(end + policy.sessionGap) }
  func expires(_ end: Int64) -> Int64 { Self.bucket(end + policy.keep) }

  /// Closes sessions whose end plus gap has passed, and drops those that nothing can change any more.
  public mutating func advance(watermark: Int64) {
    let bucket = watermark == .min ? .min : Self.bucket(watermark)
    guard bucket > now else { return }
    now = bucket
    while nextTimer < now {
      let due = timers.keys.filter { $0 < now }.sorted()
      for bucket in due {
        for index in timers.removeValue(forKey: bucket) ?? []
        where persons[Int(index)].timer == bucket {
          persons[Int(index)].timer = .max
          review(Int(index))
        }
      }
      nextTimer = timers.keys.min() ?? .max
    }
  }

  /// The next watermark at which a session closes or expires; nil if there is none.
  public var earliestTimer: Int64? {
    nextTimer == .max ? nil : (nextTimer + 1) * Self.step
  }

  private mutating func arm(_ index: Int, _ bucket: Int64) {
    guard bucket < persons[index].timer else { return }
    persons[index].timer = bucket
    timers[bucket, default: []].append(UInt32(index))
    nextTimer = min(nextTimer, bucket)
  }

  /// Closes and expires a person's sessions as far as time has come, and sees to the next time.
  private mutating func review(_ index: Int) {
    let timeline = persons[index].timeline
    var start = 0
    var dropped = 0
    var next = Int64.max
    while start < timeline.count {
      let last = timeline.sessionEnd(start)
      let end = timeline[last].time
      if expires(end) < now && start == dropped {
        if !timeline[start].isClosed { close(timeline, start, end) }
        dropped = last + 1
      } else if !timeline[start].isClosed {
        if closes(end) < now {
          close(timeline, start, end)
          markChanged(index)
        } else {
          next = min(next, closes(end))
        }
      }
      if dropped <= start { next = min(next, expires(end)) }
      start = last + 1
    }
    if dropped > 0 { dropFirst(dropped, of: index) }
    if persons[index].count == 0 {
      remove(index)
    } else {
      arm(index, next)
    }
  }

  private mutating func close(_ timeline: PersonTimeline, _ start: Int, _ end: Int64) {
    timeline.touches.unsafelyUnwrapped[start].isClosed = true
    let length = end - timeline[start].time
    if length > 0 { emit(timeline[start], Outcomes(sessionMicros: length)) }
  }

  // MARK: Touches

  /// Starts the touches of a frame that has so many tuples.
  @inline(__always)
  public mutating func begin(
    tupleCount: Int, bytes: (Int) -> UnsafeRawBufferPointer
  ) {
    tuples.releaseUnused()
    frameSlots.removeAll(keepingCapacity: true)
    for tuple in 0..<tupleCount { frameSlots.append(UInt32(intern(bytes(tuple)))) }
  }

  /// Puts a touch in.
  ///
  /// - Parameter touch: its tuple is an index of the begun frame; its kind is impression, view, click,
  ///   engagement or conversion.
  public mutating func insert(_ touch: Touch, of person: Key128) {
    insert(
      KeptTouch(
        time: touch.time, key: touch.key, revenueMicros: touch.revenueMicros,
        tuple: frameSlots[Int(touch.tuple)], kind: touch.kind), of: root(of: person))
  }

  /// Puts a touch in whose tuple is of no frame.
  mutating func insert(_ touch: Touch, tuple: UnsafeRawBufferPointer, of person: Key128) {
    insert(
      KeptTouch(
        time: touch.time, key: touch.key, revenueMicros: touch.revenueMicros,
        tuple: UInt32(intern(tuple)), kind: touch.kind), of: root(of: person))
  }

  private mutating func insert(_ touch: KeptTouch, of person: Key128) {
    guard let index = find(person) ?? add(person),
      persons[index].count < PersonPolicy.touchCountMax
    else {
      untracked += 1
      return
    }
    tuples.retainLive(Int(touch.tuple))
    attribute(touch, in: persons[index].timeline)
    let place = persons[index].timeline.place(of: touch)
    put(touch, at: place, of: index)
    markChanged(index)
  }

  /// Hands out what a touch means to itself and to later touches, before it is put in.
  @inline(__always)
  private mutating func attribute(_ touch: KeptTouch, in timeline: PersonTimeline) {
    switch touch.kind {
    case EventKind.impression.rawValue: attributeLaterClicks(touch, in: timeline)
    case EventKind.click.rawValue: attribute(click: touch, in: timeline)
    case EventKind.conversion.rawValue:
      let end = timeline.end(
        at: touch.time, from: timeline.first(at: touch.time, before: timeline.count))
      if let click = timeline.click(
        before: touch.time, lookBack: policy.clickLookBack, end: end)
      {
        emit(conversion: touch, of: timeline[click], sign: 1)
      }
    default: break
    }
  }

  private mutating func attributeLaterClicks(
    _ impression: KeptTouch, in timeline: PersonTimeline
  ) {
    guard timeline.count > 0, timeline[timeline.count - 1].time >= impression.time else { return }
    let content = contents[Int(impression.tuple)]
    var index = timeline.first(at: impression.time, before: timeline.count)
    while index < timeline.count,
      timeline[index].time - policy.impressionLookBack <= impression.time
    {
      let click = timeline[index]
      if click.kind == EventKind.click.rawValue && contents[Int(click.tuple)] == content
        && !isAttributed(click, in: timeline, from: index)
      {
        emit(click, Outcomes(attributedClicks: 1))
      }
      index += 1
    }
  }

  private func isAttributed(
    _ click: KeptTouch, in timeline: PersonTimeline, from index: Int
  ) -> Bool {
    timeline.hasImpression(
      of: contents[Int(click.tuple)], before: click.time, lookBack: policy.impressionLookBack,
      end: timeline.end(at: click.time, from: index), contents: contents)
  }

  private mutating func attribute(click: KeptTouch, in timeline: PersonTimeline) {
    let first = timeline.first(at: click.time, before: timeline.count)
    if isAttributed(click, in: timeline, from: first) {
      emit(click, Outcomes(attributedClicks: 1))
    }
    var index = first
    while index < timeline.count, timeline[index].time - policy.clickLookBack <= click.time {
      let later = timeline[index]
      if later.kind == EventKind.conversion.rawValue {
        let before = timeline.click(
          before: later.time, lookBack: policy.clickLookBack,
          end: timeline.end(at: later.time, from: index))
        if let before {
          if !KeptTouch.precedes(timeline[before], click) { return }
          emit(conversion: later, of: timeline[before], sign: -1)
        }
        emit(conversion: later, of: click, sign: 1)
      }
      index += 1
    }
  }

  /// Puts a touch in its place and hands out what that does to sessions.
  private mutating func put(_ touch: KeptTouch, at place: Int, of index: Int) {
    let timeline = persons[index].timeline
    let joinsLeft =
      place > 0 && touch.time - timeline[place - 1].time <= policy.sessionGap
    let joinsRight =
      place < timeline.count && timeline[place].time - touch.time <= policy.sessionGap
    var touch = touch
    if !(joinsLeft && joinsRight && !timeline[place].startsSession) {
      // Everything that the sessions beside it have counted is taken back, and counted anew below.
      if joinsLeft {
        let last = place - 1
        let isSingle = timeline[last].startsSession
        if joinsRight || closes(timeline[last].time) < now {
          emit(session: timeline.sessionStart(last), in: timeline, sign: -1)
        } else if isSingle {
          emit(timeline[last], Outcomes(bounces: -1))
        }
      }
      if joinsRight { emit(session: place, in: timeline, sign: -1) }
    }
    touch.startsSession = !joinsLeft
    let isInside = joinsLeft && joinsRight && !timeline[place].startsSession
    let wasPassed = joinsLeft && (joinsRight || closes(timeline[place - 1].time) < now)
    if joinsRight { timeline.touches.unsafelyUnwrapped[place].startsSession = false }
    makeRoom(at: place, of: index)
    persons[index].touches.unsafelyUnwrapped[place] = touch
    let grown = persons[index].timeline
    let start = isInside || (joinsLeft && !wasPassed) ? -1 : grown.sessionStart(place)
    if start >= 0 {
      let end = grown[grown.sessionEnd(place)].time
      if joinsRight && place + 1 < grown.count {
        grown.touches.unsafelyUnwrapped[place + 1].isClosed = false
      }
      grown.touches.unsafelyUnwrapped[start].isClosed = closes(end) < now
      emit(session: start, in: grown, sign: 1)
    }
    let end = grown[grown.count - 1].time
    arm(index, closes(end) < now ? expires(end) : closes(end))
    if start >= 0 && place < grown.count - 1 {
      let sessionEnd = grown[grown.sessionEnd(place)].time
      arm(index, closes(sessionEnd) < now ? expires(sessionEnd) : closes(sessionEnd))
    }
  }

  private mutating func emit(session start: Int, in timeline: PersonTimeline, sign: Int64) {
    let last = timeline.sessionEnd(start)
    let first = timeline[start]
    emit(
      first,
      Outcomes(
        sessions: sign, bounces: last == start ? sign : 0,
        sessionMicros: first.isClosed ? sign * (timeline[last].time - first.time) : 0))
  }

  private mutating func emit(conversion: KeptTouch, of click: KeptTouch, sign: Int64) {
    let bytes = EncodedTuple.replacingCurrency(
      of: tuples.bytes(Int(click.tuple)), by: tuples.bytes(Int(conversion.tuple)))
    let slot = bytes.map { $0.withUnsafeBytes { intern($0) } } ?? Int(click.tuple)
    emit(
      slot, conversion.time,
      Outcomes(
        attributedConversions: sign, attributedRevenueMicros: sign * conversion.revenueMicros))
  }

  private mutating func emit(_ touch: KeptTouch, _ outcomes: Outcomes) {
    emit(Int(touch.tuple), touch.time, outcomes)
  }

  private mutating func emit(_ slot: Int, _ time: Int64, _ outcomes: Outcomes) {
    let key = WindowKey.key(
      slot, window: WindowKey.window(.tenSeconds, WindowLevel.tenSeconds.start(of: time)))
    var index = pending.find(key)
    if index < 0 {
      index = pending.insert(key, Outcomes())
      tuples.retainPending(slot)
    }
    pending.entries[index].value += outcomes
  }

  /// Moves what was not handed out yet, by tuple bytes and window, to `contributions`.
  public mutating func drain(into contributions: inout Contributions) {
    guard pending.count > 0 else { return }
    var order: [Int] = []
    for index in 0..<pending.count where !pending.entries[index].value.isZero {
      order.append(index)
    }
    order.sort { a, b in
      let (x, y) = (pending.entries[a].key, pending.entries[b].key)
      let (p, q) = (tuples.slots[WindowKey.slot(x)].id, tuples.slots[WindowKey.slot(y)].id)
      return p != q ? p < q : WindowKey.start(x) < WindowKey.start(y)
    }
    for index in order {
      let entry = pending.entries[index]
      contributions.append(
        tuple: tuples.bytes(WindowKey.slot(entry.key)), start: WindowKey.start(entry.key),
        outcomes: entry.value)
    }
    clearPending()
  }

  mutating func clearPending() {
    for index in 0..<pending.count {
      tuples.releasePending(WindowKey.slot(pending.entries[index].key))
    }
    pending.removeAll()
  }

  // MARK: One person becomes another

  /// Takes a person out: what its touches have counted is taken back, and they are given to `body` in
  /// order, with their encoded tuples.
  public mutating func handOver(
    _ person: Key128, _ body: (Touch, UnsafeRawBufferPointer) -> Void
  ) {
    guard let index = find(person) else { return }
    // What has expired stays as it was counted.
    review(index)
    guard find(person) == index else { return }
    let timeline = persons[index].timeline
    retract(timeline)
    for touch in 0..<timeline.count {
      let touch = timeline[touch]
      body(
        Touch(
          time: touch.time, key: touch.key, revenueMicros: touch.revenueMicros,
          tuple: touch.tuple, kind: touch.kind), tuples.bytes(Int(touch.tuple)))
    }
    dropFirst(timeline.count, of: index)
    remove(index)
    removed.append(person)
  }

  private mutating func retract(_ timeline: PersonTimeline) {
    for index in 0..<timeline.count {
      let touch = timeline[index]
      if touch.startsSession { emit(session: index, in: timeline, sign: -1) }
      switch touch.kind {
      case EventKind.click.rawValue where isAttributed(touch, in: timeline, from: index):
        emit(touch, Outcomes(attributedClicks: -1))
      case EventKind.conversion.rawValue:
        let click = timeline.click(
          before: touch.time, lookBack: policy.clickLookBack,
          end: timeline.end(at: touch.time, from: index))
        if let click { emit(conversion: touch, of: timeline[click], sign: -1) }
      default: break
      }
    }
  }

  /// Makes two ids one person: touches of either, past and future, are of both.
  public mutating func unite(_ a: Key128, _ b: Key128) {
    let (x, y) = (root(of: a), root(of: b))
    if x == y { return }
    let (kept, gone) = x < y ? (x, y) : (y, x)
    roots[gone] = kept
    for (id, root) in roots where root == gone { roots[id] = kept }
    var moved: [(touch: Touch, tuple: [UInt8])] = []
    handOver(gone) { moved.append(($0, Array($1))) }
    for (touch, tuple) in moved {
      tuple.withUnsafeBytes { insert(touch, tuple: $0, of: kept) }
    }
  }

  private func root(of person: Key128) -> Key128 {
    roots.isEmpty ? person : roots[person] ?? person
  }

  // MARK: Storage

  mutating func intern(_ bytes: UnsafeRawBufferPointer) -> Int {
    let slot = tuples.intern(bytes)
    while contents.count <= slot { contents.append(0) }
    contents[slot] = EncodedTuple.contentHash(of: tuples.bytes(slot))
    return slot
  }

  func find(_ person: Key128) -> Int? {
    var place = Int(truncatingIfNeeded: person.low >> 8) & mask
    while true {
      let index = Int(places[place]) - 1
      if index < 0 { return nil }
      if persons[index].key == person { return index }
      place = (place &+ 1) & mask
    }
  }

  /// - Returns: nil where there are too many persons.
  mutating func add(_ person: Key128) -> Int? {
    guard count < policy.personCountMax else { return nil }
    if (count + 1) * 2 > mask + 1 { growPlaces() }
    let index: Int
    if let free = freePersons.popLast() {
      index = Int(free)
    } else {
      if personCount == personCapacity { growPersons() }
      index = personCount
      personCount += 1
    }
    (persons + index).initialize(
      to: Person(
        key: person, touches: nil, count: 0, capacity: 0, timer: .max, isChanged: false))
    link(index)
    count += 1
    return index
  }

  private func link(_ index: Int) {
    var place = Int(truncatingIfNeeded: persons[index].key.low >> 8) & mask
    while places[place] != 0 { place = (place &+ 1) & mask }
    places[place] = UInt32(index + 1)
  }

  private mutating func remove(_ index: Int) {
    var hole = Int(truncatingIfNeeded: persons[index].key.low >> 8) & mask
    while places[hole] != UInt32(index + 1) { hole = (hole &+ 1) & mask }
    var next = (hole &+ 1) & mask
    while places[next] != 0 {
      let home = Int(truncatingIfNeeded: persons[Int(places[next]) - 1].key.low >> 8) & mask
      if (next &- home) & mask >= (next &- hole) & mask {
        places[hole] = places[next]
        hole = next
      }
      next = (next &+ 1) & mask
    }
    places[hole] = 0
    persons[index].touches?.deallocate()
    persons[index] = Person(
      key: .zero, touches: nil, count: 0, capacity: 0, timer: .max, isChanged: false)
    freePersons.append(UInt32(index))
    count -= 1
  }

  private mutating func makeRoom(at place: Int, of index: Int) {
    let person = persons[index]
    let count = Int(person.count)
    if person.count == person.capacity {
      let capacity = max(2, Int(person.capacity) * 2)
      let grown = UnsafeMutablePointer<KeptTouch>.allocate(capacity: capacity)
      if let old = person.touches {
        grown.update(from: old, count: place)
        (grown + place + 1).update(from: old + place, count: count - place)
        old.deallocate()
      }
      persons[index].touches = grown
      persons[index].capacity = Int32(capacity)
    } else if let touches = person.touches, place < count {
      (touches + place + 1).update(from: touches + place, count: count - place)
    }
    persons[index].count += 1
    touchCount += 1
  }

  private mutating func dropFirst(_ dropped: Int, of index: Int) {
    guard dropped > 0, let touches = persons[index].touches else { return }
    let left = Int(persons[index].count) - dropped
    for touch in 0..<dropped { tuples.releaseLive(Int(touches[touch].tuple)) }
    touches.update(from: touches + dropped, count: left)
    persons[index].count = Int32(left)
    touchCount -= dropped
    if left > 0 { markChanged(index) }
  }

  @inline(__always)
  private mutating func markChanged(_ index: Int) {
    if persons[index].isChanged { return }
    persons[index].isChanged = true
    changed.append(UInt32(index))
  }

  func forEachPerson(_ body: (Int) -> Void) {
    for index in 0..<personCount where persons[index].key != .zero { body(index) }
  }

  mutating func setNow(_ bucket: Int64) { now = max(now, bucket) }

  /// Drops a person without taking anything back.
  mutating func forget(_ person: Key128) {
    guard let index = find(person) else { return }
    dropFirst(Int(persons[index].count), of: index)
    remove(index)
  }

  /// Sets a person's touches, which are in order.
  mutating func replace(_ person: Key128, _ touches: [KeptTouch]) {
    for touch in touches { tuples.retainLive(Int(touch.tuple)) }
    forget(person)
    // A snapshot holds no more persons than its maker was allowed.
    guard let index = add(person) else { return }
    let storage = UnsafeMutablePointer<KeptTouch>.allocate(capacity: touches.count)
    for (place, touch) in touches.enumerated() { storage[place] = touch }
    persons[index].touches = storage
    persons[index].count = Int32(touches.count)
    persons[index].capacity = Int32(touches.count)
    touchCount += touches.count
    // Looked at at the next step, which arms the timer that is right.
    arm(index, now)
  }

  private mutating func growPersons() {
    let old = persons
    personCapacity *= 2
    persons = .allocate(capacity: personCapacity)
    persons.moveInitialize(from: old, count: personCount)
    old.deallocate()
  }

  private mutating func growPlaces() {
    places.deallocate()
    mask = mask * 2 + 1
    places = .allocate(capacity: mask + 1)
    places.initialize(repeating: 0, count: mask + 1)
    for index in 0..<personCount where persons[index].key != .zero { link(index) }
  }
}
