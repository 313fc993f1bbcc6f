import Dataflow
import Events
import Oracles
import Ports
import Views

@testable import Runtime

/// A log whose streams were divided anew some times, made from a seed: persons on devices and known
/// ones, copies of events of any generation, events that come late and too late, quiet partitions.
struct RepartitionedLog {
  let log: SimulatedLog
  let spec: PipelineSpec
  private(set) var generations: [LogGeneration] = []
  /// Stored times at which something happened, rising.
  private(set) var times: [Int64] = []
  static let deadLetters = World.deadLetters

  private let clock = SimulatedClock()
  private var random: SeededGenerator
  private var sent: [TestEvent] = []

  /// Much shorter than a log: devices are handed over when some of their touches, and of their users', have
  /// left state.
  static let policy = PersonPolicy(
    sessionGap: 60 * second, clickLookBack: 5 * minute, impressionLookBack: 2 * minute,
    lateness: 4 * minute, personCountMax: 1000,
    experiments: ExperimentPolicy(
      outcomeWindow: minute, lookBack: 3 * minute, memory: 20 * minute))

  init(seed: UInt64, partitions: [Int], spec: PipelineSpec? = nil) {
    var random = SeededGenerator(seed: seed)
    log = SimulatedLog(clock: clock, faults: Faults(seed: seed &+ 1))
    self.spec =
      spec
      ?? PipelineSpec(
        name: "test", allowedDisorder: random.pick([0, 2 * second]),
        allowedLateness: random.pick([nil, 30 * second]),
        windowGrace: random.pick([0, 7 * second, minute]), persons: Self.policy,
        trends: TrendPolicy(size: 60 * second, slide: 10 * second))
    self.random = random
    for (index, count) in partitions.enumerated() {
      begin(UInt32(index + 1), partitions: count)
      for _ in 0..<(20 + self.random.below(40)) { publish() }
      if index + 1 < partitions.count { cut(to: partitions[index + 1]) }
    }
  }

  /// Streams are closed one by one: what comes meanwhile goes into both generations.
  private mutating func cut(to partitions: Int) {
    let ended = generations.count - 1
    let old = generations[ended]
    begin(old.number + 1, partitions: partitions)
    for partition in 0..<old.partitions {
      generations[ended].ends[partition] = log.count(old.streams[partition])
      guard partition + 1 < old.partitions else { continue }
      for _ in 0..<3 {
        let event = makeEvent()
        let place = KeyGroup.partition(of: event.person, partitions: old.partitions)
        let next = KeyGroup.partition(of: event.person, partitions: partitions)
        append(
          .events([event], at: clock.logTime),
          to: place > partition
            ? old.streams[place] : generations[generations.count - 1].streams[next])
      }
      append(.heartbeat(at: 0), to: old.streams[old.partitions - 1])
    }
  }

  /// The first frame of each stream is a heartbeat, as a loop writes it once it has taken over.
  private mutating func begin(_ number: UInt32, partitions: Int) {
    let name = number == 1 ? "events-" : "events-g\(number)-"
    generations.append(
      LogGeneration(number: number, streams: (0..<partitions).map { "\(name)0\($0)" }))
    for stream in generations[generations.count - 1].streams {
      append(.heartbeat(at: 0), to: stream)
    }
  }

  private mutating func append(_ entry: LogEntry, to stream: String) {
    clock.advance(micros: random.time(upTo: second))
    log.append(entry.bytes, to: stream, content: entry.content)
    times.append(clock.logTime)
  }

  private mutating func publish() {
    clock.advance(micros: random.time(upTo: random.once(in: 15) ? 10 * minute : 6 * second))
    let streams = generations[generations.count - 1].streams
    var events: [[TestEvent]] = Array(repeating: [], count: streams.count)
    for _ in 0..<random.below(5) {
      let event = makeEvent()
      events[KeyGroup.partition(of: event.person, partitions: streams.count)].append(event)
    }
    for (partition, events) in events.enumerated() where !events.isEmpty {
      append(.events(events, at: clock.logTime), to: streams[partition])
    }
    switch random.below(12) {
    case 0: append(.poison(at: 0), to: random.pick(streams))
    case 1: append(.deadLetters(1 + random.below(3), at: clock.logTime), to: "dead-letters")
    case 2: for stream in streams { append(.heartbeat(at: 0), to: stream) }
    default: break
    }
  }

  private mutating func makeEvent() -> TestEvent {
    if !sent.isEmpty && random.once(in: 5) { return random.pick(sent) }
    let lateness = random.pick([0, second, 20 * second, 3 * minute, 20 * minute, 5 * hour])
    var event = TestEvent(
      id: UInt64(sent.count + 1), time: clock.logTime - random.time(upTo: lateness),
      kind: random.pick([
        .impression, .impression, .click, .view, .conversion, .identify, .exposure,
      ]),
      campaign: "c\(random.below(2))", variant: random.pick(["", "a", "b"]))
    if event.kind == .conversion { event.revenue = random.pick([0, 1_250_000]) }
    switch random.below(5) {
    case 0: event.user = random.below(3)
    case 1:
      event.device = random.below(6)
      event.user = random.below(3)
    default: event.device = random.below(6)
    }
    sent.append(event)
    return event
  }

  func replay(until: Int64) throws(ReplayError) -> ReplayedViews {
    try LogReplay(
      spec, generations: generations, deadLetters: Self.deadLetters, log: log, until: until
    ).run()
  }
}
