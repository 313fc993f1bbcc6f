import CMemory
import Events
import Glibc
import Synchronization

/// How much each person has done lately, by the times of the events: whose old events are brought in all at
/// once was not fast.
///
/// To ask counts nothing (``isTooFast(_:_:)``): an event counts when it is on its way to the log (``count(_:)``),
/// and once by its key, so that what is sent again, refused or only looked at makes nobody fast. The last million
/// of keys is remembered, of which a later one takes an earlier one's place: beyond that a copy counts once more.
///
/// Counts in steps of five seconds and of one minute, not sliding, so that a person costs 32 bytes. At most
/// ``countMax`` persons, in parts so that event loops do not wait for each other; where a part has more than its
/// share, all in it begin anew, which finds a bot at most one step later.
final class RateTable: Sendable {
  static let countMax = 65_536
  /// Keys of events that are remembered, 4 bytes each.
  static let keyCount = 1 << 20
  fileprivate static let partCount = 64
  private static let eventStep: Int64 = 5_000_000
  private static let clickStep: Int64 = 60_000_000

  private let rate: BotRules.Rate
  /// Owned by the table. Counting who uses one would be a write to memory that all event loops share, for every
  /// event.
  private let parts: [Unmanaged<PersonRates>]

  init(_ rate: BotRules.Rate) {
    self.rate = rate
    parts = (0..<Self.partCount).map { _ in Unmanaged.passRetained(PersonRates()) }
  }

  deinit { for part in parts { part.release() } }

  // The low bits say which partition a person is in; these are others.
  @inline(__always)
  private func withPart<R>(of person: Key128, _ body: (PersonRates) -> R) -> R {
    parts[Int(person.high % UInt64(Self.partCount))]._withUnsafeGuaranteedRef(body)
  }

  /// Asks for the memory that ``isTooFast(_:_:)`` and ``count(_:)`` are going to look at.
  func expect(_ act: PersonAct) { withPart(of: act.person) { $0.expect(act) } }

  /// Whether it is more than a person can do, together with what has been counted and with what came before it in
  /// its request. Some 100 ns, most of it cache misses where nobody has asked for the memory before.
  ///
  /// - Parameter before: the request's earlier events, to which this one is added.
  func isTooFast(_ act: PersonAct, _ before: inout RequestRates) -> Bool {
    let step = Step(act)
    let (stored, isKnown) = withPart(of: act.person) { $0.counts(of: act.person, act.key) }
    let counts = before.counts(of: act.person, otherwise: stored) {
      if !isKnown { $0.add(step) }
    }
    return step.event == counts.eventStep && Int(counts.events) > rate.eventsMax
      || step.isClick && step.click == counts.clickStep && Int(counts.clicks) > rate.clicksMax
  }

  /// Counts an event that is on its way to the log, unless it was counted before.
  func count(_ act: PersonAct) {
    let step = Step(act)
    withPart(of: act.person) { $0.update(act.person, act.key) { $0.add(step) } }
  }

  fileprivate struct Step {
    let event: Int32
    let click: Int32
    let isClick: Bool

    init(_ act: PersonAct) {
      isClick = act.isClick
      self.event = Int32(clamping: act.time / RateTable.eventStep)
      click = Int32(clamping: act.time / RateTable.clickStep)
    }
  }
}

/// What of an event says how fast its person is.
struct PersonAct {
  let person: Key128
  /// Of the event.
  let key: Key128
  /// By the client's clock, microseconds since the epoch.
  let time: Int64
  let isClick: Bool

  init(_ event: borrowing IncomingEvent) {
    person = event.person
    key = event.key
    time = event.eventTime
    isClick = event.kind == .click
  }

  init(_ row: EventRow) {
    person = row.person
    key = row.key
    time = row.eventTime
    isClick = row.kind == .click
  }
}

/// What a person has done in the latest steps.
struct PersonCounts {
  fileprivate var eventStep = Int32.min
  fileprivate var events: UInt32 = 0
  fileprivate var clickStep = Int32.min
  fileprivate var clicks: UInt32 = 0

  @inline(__always)
  fileprivate mutating func add(_ step: RateTable.Step) {
    if step.event > eventStep { (eventStep, events) = (step.event, 0) }
    if step.event == eventStep { events &+= 1 }
    if step.click > clickStep { (clickStep, clicks) = (step.click, 0) }
    if step.isClick && step.click == clickStep { clicks &+= 1 }
  }
}

/// What persons will have done once the events of a request count. Most requests are of one person; for others there is
/// a table by open addressing, at most half full.
struct RequestRates {
  fileprivate struct Slot: BitwiseCopyable {
    /// Zero where there is nobody.
    var person = Key128.zero
    var counts = PersonCounts()
  }

  private static let slotsMin = 64

  private var last = Slot()
  private var slots: [Slot] = []
  private var count = 0

  /// What a person will have done.
  ///
  /// - Parameters:
  ///   - stored: what it had before the request.
  ///   - change: adds to it.
  fileprivate mutating func counts(
    of person: Key128, otherwise stored: PersonCounts, _ change: (inout PersonCounts) -> Void
  ) -> PersonCounts {
    if last.person != person {
      if last.person != .zero { keep(last) }
      last = Slot(person: person, counts: kept(person) ?? stored)
    }
    change(&last.counts)
    return last.counts
  }

  private func place(of person: Key128) -> Int {
    // The lowest bits tell the partition.
    var index = Int(truncatingIfNeeded: person.low &>> 8) & (slots.count &- 1)
    while slots[index].person != person, slots[index].person != .zero {
      index = (index &+ 1) & (slots.count &- 1)
    }
    return index
  }

  private func kept(_ person: Key128) -> PersonCounts? {
    guard !slots.isEmpty else { return nil }
    let slot = slots[place(of: person)]
    return slot.person == person ? slot.counts : nil
  }

  private mutating func keep(_ slot: Slot) {
    if count * 2 >= slots.count { grow() }
    let place = place(of: slot.person)
    if slots[place].person == .zero { count += 1 }
    slots[place] = slot
  }

  private mutating func grow() {
    let before = slots
    slots = [Slot](repeating: Slot(), count: max(Self.slotsMin, 2 * before.count))
    for slot in before where slot.person != .zero { slots[place(of: slot.person)] = slot }
  }
}

/// A table of persons by open addressing, at most half full: what is looked for lies in one cache line mostly.
///
/// It never moves, so that its lines can be asked for without its lock, under which all else is done (hence
/// `@unchecked Sendable`); what nobody has touched takes no memory.
private final class PersonRates: @unchecked Sendable {
  // What `slots` points to is touched only under the lock of `count`.

  private struct Slot: BitwiseCopyable {
    /// Zero where there is nobody; then the counts are not valid.
    var person: Key128
    var counts: PersonCounts
  }

  private static let countMax = RateTable.countMax / RateTable.partCount
  private static let slotCount = 2 * countMax

  private static let keyCount = RateTable.keyCount / RateTable.partCount

  private let slots: UnsafeMutablePointer<Slot>
  /// Parts of the keys of events that were counted lately, each where its other bits say; 0: none.
  private let keys: UnsafeMutablePointer<UInt32>
  private let count = Mutex(0)

  init() {
    guard let memory = calloc(Self.slotCount, MemoryLayout<Slot>.stride),
      let keyMemory = calloc(Self.keyCount, MemoryLayout<UInt32>.stride)
    else {
      preconditionFailure("no memory for rates of persons")
    }
    slots = memory.bindMemory(to: Slot.self, capacity: Self.slotCount)
    keys = keyMemory.bindMemory(to: UInt32.self, capacity: Self.keyCount)
  }

  deinit {
    free(slots)
    free(keys)
  }

  func expect(_ act: PersonAct) {
    smartcontent_prefetch(slots + Self.first(act.person))
    smartcontent_prefetch(keys + Self.place(of: act.key))
  }

  func counts(of person: Key128, _ key: Key128) -> (PersonCounts, isKnown: Bool) {
    count.withLock { _ in
      let slot = place(of: person)
      return (slot.pointee.person == person ? slot.pointee.counts : PersonCounts(), isKnown(key))
    }
  }

  private func isKnown(_ key: Key128) -> Bool {
    keys[Self.place(of: key)] == UInt32(truncatingIfNeeded: key.high)
  }

  private static func place(of key: Key128) -> Int {
    Int(truncatingIfNeeded: key.low) & (keyCount &- 1)
  }

  @inline(__always)
  func update(_ person: Key128, _ key: Key128, _ body: (inout PersonCounts) -> Void) {
    count.withLock { count in
      if isKnown(key) { return }
      keys[Self.place(of: key)] = UInt32(truncatingIfNeeded: key.high)
      var slot = place(of: person)
      if slot.pointee.person != person {
        if count >= Self.countMax {
          // They will be as many again.
          memset(slots, 0, Self.slotCount * MemoryLayout<Slot>.stride)
          count = 0
          slot = place(of: person)
        }
        count += 1
        slot.pointee = Slot(person: person, counts: PersonCounts())
      }
      body(&slot.pointee.counts)
    }
  }

  /// The lowest bits are used up: they tell the partition.
  private static func first(_ person: Key128) -> Int {
    Int(truncatingIfNeeded: person.low &>> 8) & (slotCount &- 1)
  }

  /// Where a person is, or is to be.
  private func place(of person: Key128) -> UnsafeMutablePointer<Slot> {
    var index = Self.first(person)
    while slots[index].person != person, slots[index].person != .zero {
      index = (index &+ 1) & (Self.slotCount &- 1)
    }
    return slots + index
  }
}
