public import Statistics

/// How many sessions there are, how long they last, and how many of them are a single event.
///
///     v ─ i ─ c ······ > gap ······ v        two sessions: one of three events, one that bounces
///
/// A session goes on while its person's next event comes at most the gap later; which events count, and who is who, is
/// as in the pipeline's sessions, whose numbers these are. It counts at the time and for the values of its first event.
/// One that may still go on is `open`: it counts, with no length yet. Users that became one while it was known
/// have sessions together from then on (``PersonHistory/groups``).
///
/// Cost: one pass over a person's touches.
public struct Sessions: GroupedFold {
  public struct Question: Hashable, Sendable {
    /// Between two events of a session at most, microseconds.
    public var gap: Int64
    /// Of first events, microseconds since the epoch.
    public var times: Range<Int64>
    /// The log's time: sessions that ended less than the gap before it are open.
    public var watermark: Int64
    /// Bits of what goes on with a session, and of what it must begin with to count.
    public var member: UInt32
    public var beginning: UInt32

    public init(
      gap: Int64, times: Range<Int64>, watermark: Int64 = .max, member: UInt32 = 1,
      beginning: UInt32 = 2
    ) {
      self.gap = gap
      self.times = times
      self.watermark = watermark
      self.member = member
      self.beginning = beginning
    }
  }

  public struct Counts: Sendable {
    public internal(set) var sessions: Int64 = 0
    /// Sessions of a single event.
    public internal(set) var bounces: Int64 = 0
    public internal(set) var open: Int64 = 0
    public internal(set) var events: Int64 = 0
    /// Of those that are over, first to last event, microseconds.
    public internal(set) var micros: Int64 = 0
    /// The same in seconds, by quantiles.
    public internal(set) var seconds = Funnel.noSeconds

    public init() {}

    /// Seconds per session; nil without one.
    public var meanSeconds: Double? {
      sessions == 0 ? nil : Double(micros) / Double(sessions) / 1_000_000
    }
  }

  private struct Session {
    var first: PersonTouch
    var end: Int64
    var events: Int64 = 1
    /// Whose it has been, and whether some event is of those that never became one.
    var groups: [UInt32]
    var hasUngrouped: Bool

    /// Whether it has ever been looked at together with an event of these.
    func meets(_ others: [UInt32]) -> Bool {
      others.isEmpty || hasUngrouped || others.contains(where: groups.contains)
    }
  }

  public let question: Question
  /// By value of the first event.
  public private(set) var counts: [UInt32: Counts] = [:]

  /// Each has a sketch of its lengths.
  public static let groupCountMax = 20_000
  public var groupCount: Int { counts.count }

  public init(_ question: Question) { self.question = question }

  public mutating func add(_ history: PersonHistory) {
    var sessions: [Session] = []
    // Those that may go on: one, but for users that became one after some of it had left state.
    var current: [Int] = []
    for touch in history.touches where touch.marks & question.member != 0 {
      current.removeAll { touch.time - sessions[$0].end > question.gap }
      let groups = history.groups[Int(touch.group)]
      if let place = current.last(where: { sessions[$0].meets(groups) }) {
        sessions[place].end = touch.time
        sessions[place].events += 1
        for group in groups where !sessions[place].groups.contains(group) {
          sessions[place].groups.append(group)
        }
        if groups.isEmpty { sessions[place].hasUngrouped = true }
      } else {
        current.append(sessions.count)
        sessions.append(
          Session(
            first: touch, end: touch.time, groups: groups, hasUngrouped: groups.isEmpty))
      }
    }
    for session in sessions
    where question.times.contains(session.first.time)
      && session.first.marks & question.beginning != 0
    {
      for value in history.values(of: session.first) { count(session, as: value) }
    }
  }

  private mutating func count(_ session: Session, as value: UInt32) {
    var counts = counts[value] ?? Counts()
    counts.sessions += 1
    counts.events += session.events
    if session.events == 1 { counts.bounces += 1 }
    if isOver(session) {
      counts.micros += session.end - session.first.time
      do throws(SketchError) {
        try counts.seconds.insert(Double(session.end - session.first.time) / 1_000_000)
      } catch {
        preconditionFailure("events are in order of time: \(error)")
      }
    } else {
      counts.open += 1
    }
    self.counts[value] = counts
  }

  /// By the ten seconds in which the pipeline looks at what is over.
  private func isOver(_ session: Session) -> Bool {
    func step(_ time: Int64) -> Int64 {
      time / 10_000_000 - (time % 10_000_000 < 0 ? 1 : 0)
    }
    let (end, isBeyond) = session.end.addingReportingOverflow(question.gap)
    return !isBeyond && step(end) < step(question.watermark)
  }
}
