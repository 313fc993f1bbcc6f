import Events
import Synchronization

/// How much each person has done lately, by the times of the events: whose old events are brought in all at
/// once was not fast.
///
/// Counts in steps of five seconds and of one minute, not sliding, so that a person costs 32 bytes. At most
/// ``countMax`` persons, in parts so that event loops do not wait for each other; where a part has more than its
/// share, all in it begin anew, which finds a bot at most one step later.
final class RateTable: Sendable {
  static let countMax = 65_536
  private static let partCount = 16
  private static let eventStep: Int64 = 5_000_000
  private static let clickStep: Int64 = 60_000_000

  private let rate: BotRules.Rate
  private let parts: [Part]

  private final class Part: Sendable {
    let persons = Mutex(PersonRates(countMax: RateTable.countMax / RateTable.partCount))
  }

  init(_ rate: BotRules.Rate) {
    self.rate = rate
    parts = (0..<Self.partCount).map { _ in Part() }
  }

  /// Counts the event. Some 100 ns, most of it cache misses.
  func isTooFast(_ event: borrowing IncomingEvent) -> Bool {
    let person = event.person
    let isClick = event.kind == .click
    let eventStep = Int32(clamping: event.eventTime / Self.eventStep)
    let clickStep = Int32(clamping: event.eventTime / Self.clickStep)
    // The low bits say which partition a person is in; these are others.
    return parts[Int(person.high % UInt64(Self.partCount))].persons.withLock { persons in
      persons.update(person) { count(&$0, isClick, eventStep, clickStep) }
    }
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
private struct PersonRates {
  struct Counts {
    var eventStep = Int32.min
    var events: UInt32 = 0
    var clickStep = Int32.min
    var clicks: UInt32 = 0
  }

  private struct Slot {
    /// Zero where there is nobody.
    var person = Key128.zero
    var counts = Counts()
  }

  private static let slotsMin = 64

  private let countMax: Int
  private var slots = [Slot](repeating: Slot(), count: slotsMin)
  private var count = 0

  init(countMax: Int) { self.countMax = countMax }

  @inline(__always)
  mutating func update(_ person: Key128, _ body: (inout Counts) -> Bool) -> Bool {
    var index = place(of: person)
    if slots[index].person != person {
      if count >= countMax {
        // They will be as many again.
        for index in slots.indices { slots[index] = Slot() }
        count = 0
      } else if (count + 1) * 2 > slots.count {
        grow()
      }
      count += 1
      index = place(of: person)
      slots[index].person = person
    }
    return body(&slots[index].counts)
  }

  /// Where a person is, or is to be.
  @inline(__always)
  private func place(of person: Key128) -> Int {
    let mask = slots.count &- 1
    // The lowest bits are used up: they tell the partition.
    var index = Int(truncatingIfNeeded: person.low &>> 8) & mask
    while slots[index].person != person, slots[index].person != .zero {
      index = (index &+ 1) & mask
    }
    return index
  }

  private mutating func grow() {
    let before = slots
    slots = [Slot](repeating: Slot(), count: before.count * 2)
    for slot in before where slot.person != .zero { slots[place(of: slot.person)] = slot }
  }
}
