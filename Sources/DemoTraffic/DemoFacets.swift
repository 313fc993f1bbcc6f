/// How much of each sort of traffic a run has made.
public struct DemoFacets: Hashable, Sendable {
  // Events, each counted once.
  public var live = 0
  public var outOfOrder = 0
  public var late = 0
  public var veryLate = 0
  public var ofBots = 0
  public var ofAnonymous = 0
  public var ofKnown = 0
  // Requests, retries not counted.
  public var pixels = 0
  public var batches = 0
  public var singles = 0
  // What must change no count.
  public var resentEvents = 0
  public var malformedEvents = 0
  public var malformedBodies = 0
  // Visits.
  public var sessions = 0
  public var returning = 0

  public init() {}

  /// Each with the words for it, in the order of a report.
  public var listed: [(name: String, count: Int)] {
    [
      ("events on time", live), ("events out of order", outOfOrder), ("events minutes late", late),
      ("events over an hour late", veryLate), ("events of bots", ofBots),
      ("events of anonymous people", ofAnonymous), ("events of known people", ofKnown),
      ("pixel requests", pixels), ("Segment batches", batches), ("Segment single events", singles),
      ("events sent again", resentEvents), ("malformed events", malformedEvents),
      ("malformed bodies", malformedBodies), ("sessions", sessions),
      ("sessions of returning people", returning),
    ]
  }

  mutating func add(_ event: DemoEvent) {
    switch event.timing {
    case .live: live += 1
    case .outOfOrder: outOfOrder += 1
    case .late: late += 1
    case .veryLate: veryLate += 1
    }
    if event.person.isBot {
      ofBots += 1
    } else if event.person.userID == nil {
      ofAnonymous += 1
    } else {
      ofKnown += 1
    }
  }
}
