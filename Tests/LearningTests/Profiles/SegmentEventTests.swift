import Events
import Testing

@testable import Learning

@Suite("Changes of segments as events")
struct SegmentEventTests {
  private static let day = ProfileStory.day
  private static let second = ProfileStory.second
  private static let start = ProfileStory.start
  private static let policy = ProfilePolicy(
    decay: Decay(halfLife: 7 * day), memory: 60 * day, personsMax: 100, currency: "USD",
    segments: [
      SegmentRule(
        id: "quiet", description: "", condition: .compare(.clicks, .more, 0)),
      SegmentRule(
        id: "here", description: "", condition: .compare(.recency, .atMost, 1), isAnnounced: true),
    ],
    clusterCount: 0, clustersEvery: day)

  /// A process that learns: what it wants to have written since it was asked last.
  private final class Process {
    private(set) var story: ProfileStory!
    private(set) var learner: ProfileLearner!
    private var waiting: [SegmentEvent] = []

    init() {
      learner = ProfileLearner(SegmentEventTests.policy, announces: true) { [unowned self] in
        waiting += $0.announcements
      }
      story = ProfileStory(learner)
    }

    func wants(at time: Int64) -> [SegmentEvent] {
      story.publish(at: time)
      defer { waiting = [] }
      return waiting
    }

    func texts(at time: Int64) -> [String] {
      wants(at: time).map { "\($0.segment) \($0.change) \($0.number)" }
    }

    func store(_ events: [SegmentEvent], at time: Int64) throws {
      try story.store(events: events.map { $0.event(receivedAt: time) }, at: time)
    }
  }

  @Test("who enters and leaves is written once, of segments that say so")
  func once() throws {
    let process = Process()
    #expect(process.texts(at: Self.start).isEmpty)
    try process.story.store([.init()], at: Self.start)
    let entered = process.wants(at: Self.start)
    #expect(entered.map(\.change) == [.entered] && entered[0].segment == "here")
    #expect(entered[0].site == "shop" && entered[0].person == ProfileStory.key(1))
    try process.store(entered, at: Self.start)
    #expect(process.texts(at: Self.start + Self.day / 2).isEmpty)
    let left = process.wants(at: Self.start + Self.day + Self.second)
    #expect(left.map(\.change) == [.left] && left[0].number == 2)
    try process.store(left, at: Self.start + Self.day + Self.second)
    #expect(process.texts(at: Self.start + 3 * Self.day).isEmpty)
  }

  @Test("of two processes that see the same both write the same event, and neither one more")
  func twoProcesses() throws {
    let processes = [Process(), Process()]
    for process in processes { #expect(process.texts(at: Self.start).isEmpty) }
    for process in processes { try process.story.store([.init()], at: Self.start) }
    let first = processes[0].wants(at: Self.start + 1)
    let second = processes[1].wants(at: Self.start + 40_000)
    let keys = (first + second).map { $0.event(receivedAt: Self.start).key }
    #expect(keys.count == 2 && Set(keys).count == 1)
    for process in processes {
      try process.store(first + second, at: Self.start + 50_000)
      #expect(process.texts(at: Self.start + Self.day / 2).isEmpty)
    }
    // The one that is behind hears of a change that it has not seen.
    let late = Self.start + Self.day / 2
    try processes[0].story.store([.init(person: 2, time: late)], at: late)
    try processes[1].store(processes[0].wants(at: late), at: late)
    #expect(processes[1].texts(at: late).isEmpty)
    try processes[1].story.store([.init(person: 2, time: late)], at: late)
    #expect(processes[1].texts(at: late + 1).isEmpty)
  }

  @Test("what is not heard from the log is written again, under the same id")
  func lost() throws {
    let process = Process()
    #expect(process.texts(at: Self.start).isEmpty)
    try process.story.store([.init()], at: Self.start)
    let first = process.wants(at: Self.start)
    #expect(process.wants(at: Self.start + SegmentLedger.retryAfter - 1).isEmpty)
    let again = process.wants(at: Self.start + SegmentLedger.retryAfter)
    #expect(again.count == 1)
    #expect(again[0].event(receivedAt: 0).key == first[0].event(receivedAt: 0).key)
  }

  @Test("who has left before the log says that it entered leaves once that is heard")
  func crossing() throws {
    let process = Process()
    #expect(process.texts(at: Self.start).isEmpty)
    let time = Self.start - Self.day + Self.second
    try process.story.store([.init(time: time)], at: Self.start)
    let entered = process.wants(at: Self.start)
    #expect(entered.map(\.change) == [.entered])
    #expect(process.wants(at: Self.start + 2 * Self.second).isEmpty)
    try process.store(entered, at: Self.start + 2 * Self.second)
    #expect(process.texts(at: Self.start + 3 * Self.second) == ["here left 2"])
  }

  @Test("a process that starts writes what nobody wrote before it, and nothing else")
  func restart() throws {
    let clicks = [ProfileStory.Act(person: 1), .init(person: 2), .init(person: 3)]
    let first = Process()
    #expect(first.texts(at: Self.start).isEmpty)
    try first.story.store(clicks, at: Self.start)
    let written = first.wants(at: Self.start)
    #expect(written.count == 3)

    // It is killed after two of three; one of those has left since.
    let next = Process()
    try next.story.store(clicks, at: Self.start)
    try next.store(Array(written.prefix(2)), at: Self.start)
    let later = Self.start + Self.day / 2
    let others = [written[1].person, written[2].person]
    for person in 1...3 as ClosedRange<UInt64> where others.contains(ProfileStory.key(person)) {
      try next.story.store([.init(person: person, time: later)], at: later)
    }
    next.story.publish(at: later, isCaughtUp: false)
    let wanted = next.wants(at: Self.start + Self.day + Self.second)
    #expect(
      Set(wanted.map { "\($0.person) \($0.change) \($0.number)" })
        == ["\(written[0].person) left 2", "\(written[2].person) entered 1"])
  }

  @Test("who stays in for long is said again before it is forgotten")
  func stays() throws {
    let process = Process()
    #expect(process.texts(at: Self.start).isEmpty)
    var changes: [SegmentEvent.Change] = []
    for hour in 0..<(24 * 100) {
      let time = Self.start + Int64(hour) * ProfileStory.hour
      try process.story.store([.init(time: time)], at: time)
      let wanted = process.wants(at: time)
      changes += wanted.map(\.change)
      try process.store(wanted, at: time)
    }
    #expect(changes == [.entered, .stayed, .stayed, .stayed])
  }

  @Test("of who is erased nothing is left or told, and later it is somebody new")
  func erased() throws {
    let process = Process()
    #expect(process.texts(at: Self.start).isEmpty)
    try process.story.store([.init(), .init(person: 2)], at: Self.start)
    let entered = process.wants(at: Self.start)
    try process.store(entered, at: Self.start)
    let time = Self.start + ProfileStory.hour
    process.learner.forget(ProfileStory.key(1), erasedAt: time)
    #expect(process.texts(at: time).isEmpty)
    try process.story.store([.init(time: time)], at: time)
    let again = process.wants(at: time)
    #expect(again.map(\.change) == [.entered])
    #expect(
      !entered.map { $0.event(receivedAt: 0).key }.contains(again[0].event(receivedAt: 0).key))
  }

  @Test(
    "a process that hears of an erasure before it has read of the person tells the same as one that knew it"
  )
  func erasedBeforeHeard() throws {
    let (knows, learns) = (Process(), Process())
    for process in [knows, learns] { #expect(process.texts(at: Self.start).isEmpty) }
    try knows.story.store([.init()], at: Self.start)
    let entered = knows.wants(at: Self.start)
    try knows.store(entered, at: Self.start)
    let time = Self.start + ProfileStory.hour
    for process in [knows, learns] { process.learner.forget(ProfileStory.key(1), erasedAt: time) }
    // What was said before is read afterwards, and says nothing any more.
    try learns.store(entered, at: time)
    #expect(learns.texts(at: time).isEmpty)
    var keys: Set<Key128> = []
    for process in [knows, learns] {
      try process.story.store([.init(time: time)], at: time)
      keys.formUnion(process.wants(at: time).map { $0.event(receivedAt: 0).key })
    }
    #expect(keys.count == 1)
  }

  @Test("of who was erased nothing is kept once everybody would be forgotten")
  func erasureIsForgotten() {
    var ledger = SegmentLedger(Self.policy)
    for person in 1...200 as ClosedRange<UInt64> {
      ledger.forget(ProfileStory.key(person), erasedAt: Self.start)
    }
    ledger.want(ProfileStory.key(201), of: "shop", 1)
    #expect(ledger.turnedAway == 1)
    _ = ledger.events(at: Self.start + Self.policy.memory) { _, _ in false }
    ledger.want(ProfileStory.key(201), of: "shop", 1)
    #expect(ledger.turnedAway == 1)
  }

  @Test("many changes are handed out in turns, each once, and again where none is heard")
  func turns() {
    let policy = ProfilePolicy(
      decay: Self.policy.decay, memory: Self.policy.memory, personsMax: 10_000, currency: "USD",
      segments: Self.policy.segments, clusterCount: 0, clustersEvery: Self.day)
    var ledger = SegmentLedger(policy)
    let count = 2 * SegmentLedger.eventsAtOnce + 1
    for person in 1...UInt64(count) { ledger.want(ProfileStory.key(person), of: "shop", 1) }
    func turn(_ time: Int64) -> [SegmentEvent] { ledger.events(at: time) { _, _ in true } }
    let first = (0..<3).map { turn(Self.start + $0) }
    #expect(first.map(\.count) == [SegmentLedger.eventsAtOnce, SegmentLedger.eventsAtOnce, 1])
    #expect(Set(first.joined().map(\.person)).count == count)
    #expect(turn(Self.start + 3).isEmpty)
    for event in first[0] { ledger.hear(event) }
    #expect(turn(Self.start + 4).isEmpty)
    let again = (0..<2).map { turn(Self.start + SegmentLedger.retryAfter + 2 + $0) }
    #expect(again.map(\.count) == [SegmentLedger.eventsAtOnce, 1])
    #expect(Set(again.joined().map(\.person)).isDisjoint(with: first[0].map(\.person)))
  }
}
