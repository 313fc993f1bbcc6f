import CMemory
import Events
import Glibc
import Synchronization

/// How much each person has done lately, by the times of the events: whose old events are brought in all at
/// once was not fast.
///
/// Counts in steps of five seconds and of one minute, not sliding, so that a person costs 32 bytes. At most
/// ``countMax`` persons, in parts so that event loops do not wait for each other; where a part has more than its
/// share, all in it begin anew, which finds a bot at most one step later.
final class RateTable: Sendable {
  static let countMax = 65_536
  fileprivate static let partCount = 64
  private static let eventStep: Int64 = 5_000_000
  private static let clickStep: Int64 = 60_000_000

  private let rate: BotRules.Rate
  private let parts: [PersonRates]

  init(_ rate: BotRules.Rate) {
    self.rate = rate
    parts = (0..<Self.partCount).map { _ in PersonRates() }
  }

  // The low bits say which partition a person is in; these are others.
  private func part(of person: Key128) -> PersonRates {
    parts[Int(person.high % UInt64(Self.partCount))]
  }

  /// Asks for the memory that ``isTooFast(_:)`` is going to look at.
  func expect(_ person: Key128) { part(of: person).expect(person) }

  /// Counts the event. Some 100 ns, most of it cache misses where nobody has asked for the memory before.
  func isTooFast(_ event: borrowing IncomingEvent) -> Bool {
    let person = event.person
    let isClick = event.kind == .click
    let eventStep = Int32(clamping: event.eventTime / Self.eventStep)
    let clickStep = Int32(clamping: event.eventTime / Self.clickStep)
    return part(of: person).update(person) { count(&$0, isClick, eventStep, clickStep) }
  }

  @inline(__always)
  private func count(
    _ counts: inout PersonRates.Counts, _ isClick: Bool, _ eventStep: Int32, _ clickStep: Int32
  ) -> Bool {
    if eventStep > counts.eventStep { (counts.eventStep, counts.events) = (eventStep, 0) }
    if eventStep == counts.eventStep { counts.events &+= 1 }
    if clickStep > counts.clickStep { (counts.clickStep, counts.clicks) = (clickStep, 0) }
    if isClick && clickStep == counts.clickStep { counts.clicks &+= 1 }
    return eventStep == counts.eventStep && Int(counts.events) > rate.eventsMax
      || isClick && clickStep == counts.clickStep && Int(counts.clicks) > rate.clicksMax
  }
}

/// A table of persons by open addressing, at most half full: what is looked for lies in one cache line mostly.
///
/// It never moves, so that its lines can be asked for without its lock; what nobody has touched takes no memory.
private final class PersonRates: @unchecked Sendable {
  // What `slots` points to is touched only under the lock of `count`.

  struct Counts {
    var eventStep = Int32.min
    var events: UInt32 = 0
    var clickStep = Int32.min
    var clicks: UInt32 = 0
  }

  private struct Slot: BitwiseCopyable {
    /// Zero where there is nobody; then the counts are not valid.
    var person: Key128
    var counts: Counts
  }

  private static let countMax = RateTable.countMax / RateTable.partCount
  private static let slotCount = 2 * countMax

  private let slots: UnsafeMutablePointer<Slot>
  private let count = Mutex(0)

  init() {
    guard let memory = calloc(Self.slotCount, MemoryLayout<Slot>.stride) else {
      preconditionFailure("no memory for rates of persons")
    }
    slots = memory.bindMemory(to: Slot.self, capacity: Self.slotCount)
  }

  deinit { free(slots) }

  func expect(_ person: Key128) { smartcontent_prefetch(slots + Self.first(person)) }

  @inline(__always)
  func update(_ person: Key128, _ body: (inout Counts) -> Bool) -> Bool {
    count.withLock { count in
      var slot = place(of: person)
      if slot.pointee.person != person {
        if count >= Self.countMax {
          // They will be as many again.
          memset(slots, 0, Self.slotCount * MemoryLayout<Slot>.stride)
          count = 0
          slot = place(of: person)
        }
        count += 1
        slot.pointee = Slot(person: person, counts: Counts())
      }
      return body(&slot.pointee.counts)
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
