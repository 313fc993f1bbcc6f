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
/// Cost: a look-up for an event that is not asked for, two and a record of 72 bytes for one that is; some 160
/// bytes for each person. Where there is no room for that, ``overflow`` says how much it was, and into which shares
/// the persons can be divided: of each an own scan reads the log again.
public final class PersonScan: Analysis {
  public let question: PersonQuestion
  private let segments: SegmentHistory
  /// Of the streams that were merged, in order of generation and partition.
  private(set) var parts: [PersonScanPart]
  /// Nil while all that was asked for has found room.
  public private(set) var overflow: PersonOverflow?

  /// - Parameters:
  ///   - segments: needed where ``PersonQuestion/needsSegments``.
  ///   - share: the persons to look at; nil for all.
  ///   - room: what may be kept, by all that belong to the same question.
  public init(
    _ question: PersonQuestion, segments: SegmentHistory = .none, share: PersonShare? = nil,
    room: PersonRoom = .unbounded
  ) {
    self.question = question
    self.segments = segments
    parts = [PersonScanPart(question, segments, share, room)]
  }

  public var times: Range<Int64> { .min ..< .max }

  public func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment
  ) throws(AnalysisError) {
    try parts[0].add(frame, counted, at: moment)
    if overflow == nil, parts[0].overflow != nil { overflow = PersonOverflow() }
  }

  public func merge(_ other: PersonScan) throws(AnalysisError) {
    parts += other.parts.filter { !$0.records.isEmpty || $0.overflow != nil }
    guard overflow != nil || parts.contains(where: { $0.overflow != nil }) else { return }
    var sum = overflow ?? PersonOverflow()
    for part in parts {
      part.overflowNow()
      guard let own = part.overflow else { continue }
      sum.bytes += own.bytes
      sum.graph.merge(own.graph)
    }
    parts = []
    overflow = sum
    try Self.check(
      sum.graph.count, PersonQuestion.connectedCountMax, "ids that are connected with others")
  }

  /// Tells who is who and hands out each person's history, in no fixed order.
  ///
  /// - Parameter people: of the shares before, if any; what it has is added to.
  /// - Precondition: there is no ``overflow``.
  public func people(_ people: inout PersonPeople, _ body: (PersonHistory) -> Void) {
    precondition(overflow == nil, "what found no room is not there")
    let names = parts.map { part in
      (
        values: (0..<part.values.count).map { people.number(ofValue: part.values.text($0)) },
        currencies: (0..<part.currencies.count).map {
          people.number(ofCurrency: part.currencies.text($0))
        }
      )
    }
    let resolver = PersonResolver(parts, question.policy)
    resolver.forEach(
      names, lists: people.lists, touchesMax: PersonQuestion.personTouchesMax
    ) { history in
      guard let history else {
        people.leftOut += 1
        return
      }
      people.persons += 1
      body(history)
    }
  }

  static func check(_ count: Int, _ max: Int, _ what: String) throws(AnalysisError) {
    guard count <= max else {
      throw .full(what: what, max: max, advice: PersonQuestion.advice)
    }
  }
}
