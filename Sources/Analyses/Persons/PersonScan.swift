public import Events
public import Operators
import Views

/// Collects the touches of persons that a question is about, and what the log says of who is who.
///
/// Each stream keeps its own in the order of its frames; ``PersonResolver`` goes through all of them once
/// the log is read. Signing in is looked at in the whole log and not in the question's times alone, since an
/// anonymous id belongs to its user until it is used by another. Of what only repeats who is who one event
/// an hour is kept, because links are forgotten by the hour (``IdentityLinks``).
///
/// Kept are touches that are not later than a person's history allows (``PersonPolicy/lateness``), as in the
/// pipeline's. A device's sessions, which decide what a user takes over who signs in on it, are those of the
/// touches that the question asks for.
///
/// Cost: a look-up for an event that is not asked for, two and a record of 64 bytes for one that is; some 70
/// bytes for each person. Limits: see ``PersonQuestion``; where one is reached the question fails and says what
/// to narrow.
public final class PersonScan: Analysis {
  public let question: PersonQuestion
  /// Of the streams that were merged, in order of generation and partition.
  private(set) var parts: [PersonScanPart]

  public init(_ question: PersonQuestion) {
    self.question = question
    parts = [PersonScanPart(question)]
  }

  public var times: Range<Int64> { .min ..< .max }

  public func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment
  ) throws(AnalysisError) {
    try parts[0].add(frame, counted, at: moment)
  }

  public func merge(_ other: PersonScan) throws(AnalysisError) {
    parts += other.parts.filter { !$0.records.isEmpty }
    // A device is in one stream of each generation.
    try Self.check(parts.reduce(0) { $0 + $1.devices.count }, question.personCountMax, "persons")
    try Self.check(
      parts.reduce(0) { $0 + $1.records.count }, question.touchCountMax, "touches and sign-ins")
  }

  /// Who was looked at.
  public struct People: Hashable, Sendable {
    public var persons: Int
    /// Persons with more touches than ``PersonQuestion/personTouchesMax``, of whom nothing counts.
    public var leftOut: Int
    /// By the numbers that touches have: values of the dimension, and currencies.
    public var values: [[UInt8]]
  }

  /// Tells who is who and hands out each person's history, in no fixed order.
  public func people(_ body: (PersonHistory) -> Void) -> People {
    var numbers: [[UInt8]: UInt32] = [:]
    var people = People(persons: 0, leftOut: 0, values: [])
    let names = parts.map { part in
      (0..<part.values.count).map { number in
        let text = part.values.text(number)
        if let known = numbers[text] { return known }
        let next = UInt32(people.values.count)
        numbers[text] = next
        people.values.append(text)
        return next
      }
    }
    let resolver = PersonResolver(parts, question.policy)
    resolver.forEach(values: names, touchesMax: PersonQuestion.personTouchesMax) { history in
      guard let history else {
        people.leftOut += 1
        return
      }
      people.persons += 1
      body(history)
    }
    return people
  }

  static func check(_ count: Int, _ max: Int, _ what: String) throws(AnalysisError) {
    guard count <= max else {
      throw .full(what: what, max: max, advice: PersonQuestion.advice)
    }
  }
}
