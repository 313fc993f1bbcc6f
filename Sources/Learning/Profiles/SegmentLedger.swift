import Events

/// Which of the persons' changes of segments the log has, and which it is to get.
///
///     a person changes ─▶ wanted ─▶ event ─▶ … log … ─▶ heard: no longer wanted
///                            ▲  not heard for a while ─▶ the same event again
///
/// What a process wants to have written are changes that it sees, and when it has caught up with the log those that
/// nobody has written while it was away. That it is written is known once it is read: an event's number follows from
/// those before it, so whatever is written twice is one event.
struct SegmentLedger: Sendable {
  /// What the log said last of a person and a segment.
  private struct Note: Sendable {
    let segment: Int
    var number: UInt64
    var isIn: Bool
    /// Microseconds since the epoch.
    var at: Int64
  }

  private struct Person: Sendable {
    var site: String
    var notes: [Note] = []
    /// Numbers begin above it.
    var floor: UInt64 = 0
  }

  private struct Place: Hashable, Comparable, Sendable {
    let person: Key128
    let segment: Int

    static func < (a: Self, b: Self) -> Bool {
      (a.person, a.segment) < (b.person, b.segment)
    }
  }

  private struct Wanted: Sendable {
    var site: String
    /// The log's time when it was handed out; `.min` before, and once something else is heard.
    var sentAt = Int64.min
  }

  private let segments: [String: Int]
  private let ids: [String]
  private let memory: Int64
  private let personsMax: Int
  private var persons: [Key128: Person] = [:]
  private var wanted: [Place: Wanted] = [:]
  /// Of `wanted`: those to be looked at, and those that were handed out, in order of that. A place whose change has
  /// been heard, or is not wanted any more, may stand here still and is passed over.
  private var ready = Line<Place>()
  private var sent = Line<(place: Place, at: Int64)>()
  private var nextSweep = Int64.min
  private(set) var turnedAway: UInt64 = 0

  /// Microseconds of the log's time.
  static let retryAfter: Int64 = 5_000_000
  static let eventsAtOnce = 1_000
  private static let sweepEvery: Int64 = 3_600_000_000

  init(_ policy: ProfilePolicy) {
    ids = policy.segments.map(\.id)
    var segments: [String: Int] = [:]
    for (number, rule) in policy.segments.enumerated() where rule.isAnnounced {
      segments[rule.id] = number
    }
    self.segments = segments
    memory = policy.memory
    personsMax = 2 * policy.personsMax
  }

  /// Whether there is anything to be written at all.
  var isEmpty: Bool { segments.isEmpty }

  func isAnnounced(_ segment: Int) -> Bool { segments[ids[segment]] != nil }

  // MARK: What the log says

  mutating func hear(_ event: SegmentEvent) {
    guard let segment = segments[event.segment], hasRoom(event.person),
      event.number > persons[event.person]?.floor ?? 0
    else { return }
    let note = Note(
      segment: segment, number: event.number, isIn: event.change != .left, at: event.at)
    var person = persons[event.person] ?? Person(site: event.site)
    person.site = event.site
    if let place = person.notes.firstIndex(where: { $0.segment == segment }) {
      if person.notes[place].number < event.number { person.notes[place] = note }
    } else {
      person.notes.append(note)
    }
    persons[event.person] = person
    let place = Place(person: event.person, segment: segment)
    guard wanted[place] != nil else { return }
    wanted[place]?.sentAt = .min
    ready.append(place)
  }

  /// Nothing is told of the person any more, and what the log says of the time before is passed over, whether it was
  /// heard already or comes later. What it does afterwards has other ids than what it did before.
  mutating func forget(_ person: Key128, erasedAt: Int64) {
    for segment in ids.indices { wanted[Place(person: person, segment: segment)] = nil }
    guard !isEmpty, hasRoom(person) else { return }
    let floor = max(persons[person]?.floor ?? 0, UInt64(clamping: erasedAt))
    persons[person] = Person(site: persons[person]?.site ?? "", floor: floor)
  }

  private func note(_ person: Key128, _ segment: Int) -> Note? {
    persons[person]?.notes.first { $0.segment == segment }
  }

  private func hasRoom(_ person: Key128) -> Bool {
    persons[person] != nil || persons.count < personsMax
  }

  // MARK: What it is to get

  /// A person changed in a segment.
  mutating func want(_ person: Key128, of site: String, _ segment: Int) {
    guard isAnnounced(segment) else { return }
    guard hasRoom(person) else {
      turnedAway += 1
      return
    }
    let place = Place(person: person, segment: segment)
    if wanted[place] == nil {
      wanted[place] = Wanted(site: site)
      ready.append(place)
    }
  }

  /// What the log has of persons is compared with what they are.
  mutating func compare(_ isIn: (Key128, Int) -> Bool) {
    for (key, person) in persons {
      for note in person.notes where note.isIn != isIn(key, note.segment) {
        want(key, of: person.site, note.segment)
      }
    }
  }

  /// What is to be written now. Cost: that of what has come since, and of what is handed out.
  mutating func events(at now: Int64, _ isIn: (Key128, Int) -> Bool) -> [SegmentEvent] {
    sweep(at: now)
    while let first = sent.first, now >= first.at + Self.retryAfter {
      sent.removeFirst()
      if wanted[first.place]?.sentAt == first.at { ready.append(first.place) }
    }
    var events: [SegmentEvent] = []
    while events.count < Self.eventsAtOnce, let place = ready.first {
      ready.removeFirst()
      guard let want = wanted[place] else { continue }
      let (person, segment) = (place.person, place.segment)
      let note = note(person, segment)
      let (was, isNow) = (note?.isIn ?? false, isIn(person, segment))
      let isOnItsWay = want.sentAt > .min && now < want.sentAt + Self.retryAfter
      if was == isNow, !isOld(note, at: now) {
        // What is on its way may say otherwise when it comes.
        if !isOnItsWay { wanted[place] = nil }
        continue
      }
      guard !isOnItsWay else { continue }
      wanted[place]?.sentAt = now
      sent.append((place, now))
      events.append(
        SegmentEvent(
          person: person, site: want.site, segment: ids[segment],
          change: was == isNow ? .stayed : isNow ? .entered : .left,
          number: max(note?.number ?? 0, persons[person]?.floor ?? 0) + 1, at: now))
    }
    return events.sorted { ($0.person, $0.segment) < ($1.person, $1.segment) }
  }

  private func isOld(_ note: Note?, at now: Int64) -> Bool {
    note.map { $0.isIn && $0.at < now - memory / 2 } ?? false
  }

  /// Lets go of those who left long ago, and looks for those who have been in for long.
  private mutating func sweep(at now: Int64) {
    guard now >= nextSweep else { return }
    nextSweep = now + min(Self.sweepEvery, memory / 8)
    for (key, person) in persons {
      let kept = person.notes.filter { $0.isIn || $0.at >= now - memory }
      for note in kept where isOld(note, at: now) {
        want(key, of: person.site, note.segment)
      }
      // What was told before an erasure is as long ago then as what is forgotten by itself.
      if kept.isEmpty && person.floor <= UInt64(clamping: now - memory) {
        persons[key] = nil
      } else if kept.count != person.notes.count {
        persons[key]?.notes = kept
      }
    }
  }

  /// First in, first out, in an array whose front is let go of now and then.
  private struct Line<Element>: Sendable where Element: Sendable {
    private var elements: [Element] = []
    private var begin = 0

    var first: Element? { begin < elements.count ? elements[begin] : nil }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func removeFirst() {
      begin += 1
      guard begin * 2 > elements.count else { return }
      elements.removeFirst(begin)
      begin = 0
    }
  }
}
