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

  private struct Counts {
    var eventStep: Int64 = .min
    var events = 0
    var clickStep: Int64 = .min
    var clicks = 0
  }

  private let rate: BotRules.Rate
  private let parts: [Part]

  private final class Part: Sendable {
    let persons = Mutex<[Key128: Counts]>([:])
  }

  init(_ rate: BotRules.Rate) {
    self.rate = rate
    parts = (0..<Self.partCount).map { _ in Part() }
  }

  /// Counts the event. About 100 ns.
  func isTooFast(_ event: borrowing IncomingEvent) -> Bool {
    let person = event.person
    let isClick = event.kind == .click
    let eventStep = event.eventTime / Self.eventStep
    let clickStep = event.eventTime / Self.clickStep
    // The low bits say which partition a person is in; these are others.
    return parts[Int(person.high % UInt64(Self.partCount))].persons.withLock { persons in
      if persons.count >= Self.countMax / Self.partCount && persons[person] == nil {
        persons.removeAll(keepingCapacity: true)
      }
      return count(&persons[person, default: Counts()], isClick, eventStep, clickStep)
    }
  }

  private func count(
    _ counts: inout Counts, _ isClick: Bool, _ eventStep: Int64, _ clickStep: Int64
  ) -> Bool {
    if eventStep > counts.eventStep { (counts.eventStep, counts.events) = (eventStep, 0) }
    if eventStep == counts.eventStep { counts.events += 1 }
    if clickStep > counts.clickStep { (counts.clickStep, counts.clicks) = (clickStep, 0) }
    if isClick && clickStep == counts.clickStep { counts.clicks += 1 }
    return eventStep == counts.eventStep && counts.events > rate.eventsMax
      || isClick && clickStep == counts.clickStep && counts.clicks > rate.clicksMax
  }
}
