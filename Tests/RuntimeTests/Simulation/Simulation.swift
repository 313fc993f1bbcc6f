import Dataflow
import Events
import Logging
import Metrics
import Oracles
import Ports
import Verification
import Views

@testable import Runtime

/// A whole processor in one thread: partitions, second stage, owners that die and owners that do not
/// know that they were replaced, on a log and stores that fail in every way, all from one seed.
///
/// What comes out at the end must be what a recount of the log gives.
struct Simulation {
  /// What one seed came to.
  struct Report {
    /// Nil where all is as it must be.
    var problem: String?
    var trace: [String] = []
    var commits = 0
    var deaths = 0
    var hasHalted = false
    /// Outcomes were not compared; see ``OutcomeTruth``.
    var isSettledInPart = false
  }

  private final class Owner {
    let loop: PartitionLoop
    let process: SimulatedHost
    let stream: StreamPartition
    let archive: SnapshotArchive
    let worker: SerialWorker
    let machine: Int

    init(
      loop: PartitionLoop, process: SimulatedHost, stream: StreamPartition,
      archive: SnapshotArchive, worker: SerialWorker, machine: Int
    ) {
      self.loop = loop
      self.process = process
      self.stream = stream
      self.archive = archive
      self.worker = worker
      self.machine = machine
    }
  }

  private struct Place: Hashable {
    var machine: Int
    var stream: StreamPartition
  }

  private var random: SeededGenerator
  private let clock = SimulatedClock()
  private let log: SimulatedLog
  private let views: SimulatedViews
  private let redis = SimulatedRedis()
  private var disks: [Place: SimulatedDisk] = [:]
  private let spec: PipelineSpec
  private let partitions: Int
  private let streams: [StreamPartition]
  private let parameters: RuntimeParameters
  private let siblings: LogTimes
  private let metrics = RuntimeMetrics(MetricRegistry())
  private var owners: [Owner] = []
  private var report = Report()
  private var sent: [TestEvent] = []
  private var nextID: UInt64 = 0

  private static let policy = PersonPolicy(
    sessionGap: 60 * second, clickLookBack: 5 * minute, impressionLookBack: 2 * minute,
    lateness: 10 * minute, personCountMax: 1000)

  private init(seed: UInt64, defect: Defect?) {
    var random = SeededGenerator(seed: seed)
    log = SimulatedLog(clock: clock, random: SeededGenerator(seed: seed &+ 1))
    views = SimulatedViews(defect: defect, random: SeededGenerator(seed: seed &+ 2))
    spec = PipelineSpec(
      name: "test", allowedDisorder: random.pick([0, 2 * second]),
      allowedLateness: random.pick([nil, nil, 30 * second]),
      windowGrace: random.pick([0, 7 * second, minute]),
      persons: random.once(in: 4) ? nil : Self.policy)
    partitions = 1 + random.below(2)
    var streams = (0..<partitions).map {
      StreamPartition(stream: "events-0\($0)", generation: 1, partition: $0)
    }
    if spec.hasSecondStage { streams.append(.partials(of: spec)) }
    self.streams = streams
    var parameters = RuntimeParameters()
    parameters.snapshotIntervalMs = random.pick([0, 200, 1000])
    parameters.snapshotCompactionBytesMin = random.pick([0, 2_000, 8 << 20])
    parameters.coarseIntervalMs = random.pick([0, 500])
    parameters.commitIntervalMs = random.pick([1, 50, 250])
    parameters.pendingCountMax = random.pick([3, 100_000])
    self.parameters = parameters
    siblings = LogTimes(partitions: partitions)
    self.random = random
  }

  /// - Parameter steps: of the part in which things fail.
  static func run(seed: UInt64, defect: Defect? = nil, steps: Int = 250) -> Report {
    var simulation = Simulation(seed: seed, defect: defect)
    simulation.fail(steps: steps)
    if !simulation.report.hasHalted && simulation.report.problem == nil { simulation.settle() }
    for owner in simulation.owners { owner.worker.close() }
    simulation.report.commits = simulation.views.commitCount
    if let violation = simulation.views.violations.first {
      simulation.report.problem = violation
    }
    return simulation.report
  }

  private mutating func note(_ text: String) {
    if report.trace.count > 200 { report.trace.removeFirst(100) }
    report.trace.append(text)
  }

  // MARK: The part in which things fail

  private mutating func fail(steps: Int) {
    log.isUnreliable = true
    views.isUnreliable = true
    for _ in 0..<steps {
      act()
      if report.hasHalted || report.problem != nil { return }
    }
  }

  private mutating func act() {
    switch random.below(60) {
    case 0..<14: publish()
    case 14: log.isAway.toggle()
    case 15: views.isAway.toggle()
    case 16: redis.isAway.toggle()
    case 17: redis.copies = random.once(in: 2) ? [:] : redis.saved
    case 18: redis.saved = redis.copies
    case 19: kill()
    case 20, 21: start(random.pick(streams))
    case 22:
      let machine = random.below(2)
      disk(Place(machine: machine, stream: random.pick(streams))).lose(&random)
    case 23:
      disk(Place(machine: random.below(2), stream: random.pick(streams))).tearsAt = random.below(
        4000)
    case 24:
      clock.wallSkew = random.pick([0, -hour, hour, random.time(upTo: minute)])
      note("wall clock off by \(clock.wallSkew)")
    case 25: clock.logSkew = random.pick([0, 0, -random.time(upTo: minute)])
    case 26...28: clock.advance(micros: random.time(upTo: 20 * second))
    case 29 where random.once(in: 8): clock.advance(micros: random.time(upTo: hour))
    case 30 where random.once(in: 40): truncate()
    default: stepSomeone()
    }
  }

  private mutating func publish() {
    if log.isAway { return }
    clock.advance(micros: random.time(upTo: 3 * second))
    let now = clock.logTime
    var events: [[TestEvent]] = Array(repeating: [], count: partitions)
    for _ in 0..<random.below(4) {
      var event: TestEvent
      if !sent.isEmpty && random.once(in: 5) {
        event = random.pick(sent)
      } else {
        nextID += 1
        let lateness = random.pick([0, second, 20 * second, 3 * minute, 20 * minute])
        event = TestEvent(
          id: nextID, time: now - random.time(upTo: lateness),
          kind: random.pick([.impression, .impression, .click, .view, .conversion, .identify]),
          campaign: "c\(random.below(2))")
        if event.kind == .conversion { event.revenue = random.pick([0, 1_250_000]) }
        switch random.below(5) {
        case 0: event.user = random.below(2)
        case 1:
          event.device = random.below(3)
          event.user = random.below(2)
        default: event.device = random.below(3)
        }
        sent.append(event)
      }
      events[KeyGroup.partition(of: event.person, partitions: partitions)].append(event)
    }
    for (partition, events) in events.enumerated() where !events.isEmpty {
      let entry = LogEntry.events(events, at: now)
      log.append(entry.bytes, to: streams[partition].stream, content: entry.content)
      // A frame that is sent again because its answer was lost.
      if random.once(in: 12) {
        log.append(entry.bytes, to: streams[partition].stream, content: entry.content)
      }
    }
    if random.once(in: 10) {
      log.append([1, 2, 3], to: streams[random.below(partitions)].stream, content: .poison)
    }
  }

  private mutating func kill() {
    guard let owner = owners.randomElement(using: &random) else { return }
    note("kill \(owner.stream.stream)@\(owner.machine)")
    owner.process.isDead = true
    drop(owner)
  }

  private mutating func drop(_ owner: Owner) {
    report.deaths += 1
    owner.worker.close()
    owners.removeAll { $0 === owner }
  }

  private mutating func truncate() {
    let stream = streams[random.below(partitions)]
    note("log of \(stream.stream) goes back")
    log.truncate(stream.stream, by: 1 + random.below(5))
    // What only the lost frames had was never acknowledged.
    for _ in 0..<random.below(4) { publish() }
  }

  private mutating func disk(_ place: Place) -> SimulatedDisk {
    if let disk = disks[place] { return disk }
    let disk = SimulatedDisk(SimulatedHost())
    disks[place] = disk
    return disk
  }

  /// A new owner takes the stream over; one that has it may go on without knowing.
  private mutating func start(_ stream: StreamPartition) {
    let free = (0..<2).filter { machine in
      !owners.contains { $0.stream == stream && $0.machine == machine }
    }
    guard let machine = free.randomElement(using: &random) else { return }
    note("start \(stream.stream)@\(machine)")
    let process = SimulatedHost()
    let disk = disk(Place(machine: machine, stream: stream))
    disk.process = process
    let loopMetrics = metrics.loop(pipeline: spec.name, stream: stream.stream)
    let worker = SerialWorker.immediate()
    let archive = SnapshotArchive(
      store: disk,
      compactor: PartitionLoop.compactor(spec, stream, partitions: siblings.partitions),
      writing: worker, compacting: worker, parameters: parameters, metrics: loopMetrics,
      logger: World.quiet)
    let status = Shared(
      PartitionStatus(
        pipeline: spec.name, stream: stream, phase: .starting, detail: "", sequence: 0,
        committed: 0, lastKnown: 0, logTime: .min, watermark: .min,
        idCountMax: spec.dedupeCountMax))
    let loop = PartitionLoop(
      spec: spec, stream: stream,
      environment: PartitionLoop.Environment(
        owner: "machine \(machine)",
        log: log, views: SimulatedViewStore(views, process),
        hot: SimulatedHotStore(redis, process), snapshots: archive,
        partials: spec.hasSecondStage ? SimulatedPublisher(log) : nil,
        heartbeats: SimulatedHeartbeats(log), siblings: siblings, parameters: parameters,
        clock: clock.loopClock,
        metrics: loopMetrics, logger: World.quiet),
      stop: StopFlag(), status: status)
    owners.append(
      Owner(
        loop: loop, process: process, stream: stream, archive: archive, worker: worker,
        machine: machine))
  }

  private mutating func stepSomeone() {
    guard let owner = owners.randomElement(using: &random) else {
      return start(random.pick(streams))
    }
    step(owner)
  }

  private mutating func step(_ owner: Owner) {
    let step = owner.loop.step()
    if owner.process.isDead { return drop(owner) }
    switch step {
    case .again: break
    case .wait(let milliseconds): clock.advance(micros: Int64(milliseconds) * 1000)
    case .ended(.halted(let reason)):
      drop(owner)
      halted(owner.stream, reason)
    case .ended: drop(owner)
    }
  }

  private mutating func halted(_ stream: StreamPartition, _ reason: String) {
    note("\(stream.stream) halted: \(reason)")
    guard reason.contains("went back") || reason.contains("replay up to") else {
      report.problem = "\(stream.stream) halted: \(reason)"
      return
    }
    if stream.role == .partials && streams.contains(where: { log.lives[$0.stream] != nil }) {
      // What was handed on of lost frames cannot be taken back.
      report.hasHalted = true
      return
    }
    guard let kept = log.lives[stream.stream]?.min() else {
      report.problem = "\(stream.stream) halted, but its log never went back: \(reason)"
      return
    }
    // If what is gone was committed, halting is all that can be done.
    if UInt64(kept) < (views.tables[stream]?.checkpoint.sequence ?? 0) { report.hasHalted = true }
  }

  // MARK: The end

  /// Nothing fails any more: everything must be committed, and be what a recount gives.
  private mutating func settle() {
    log.isAway = false
    log.isUnreliable = false
    views.isAway = false
    views.isUnreliable = false
    redis.isAway = false
    clock.wallSkew = 0
    clock.logSkew = 0
    for disk in disks.values { disk.tearsAt = nil }
    clock.advance(micros: 2 * hour)
    for stream in streams.prefix(partitions) {
      for _ in 0..<3 {
        clock.advance(micros: 2 * second)
        SimulatedHeartbeats(log).write(stream)
      }
    }
    for round in 0..<4000 {
      for stream in streams where !owners.contains(where: { $0.stream == stream }) { start(stream) }
      for owner in owners { step(owner) }
      if report.hasHalted || report.problem != nil { return }
      if round % 20 == 19 && isDone { return compare() }
    }
    report.problem =
      "not everything was committed in time: "
      + streams.map {
        "\($0.stream) \(views.tables[$0]?.checkpoint.sequence ?? 0)/\(log.count($0.stream))"
      }
      .joined(separator: " ")
  }

  private var isDone: Bool {
    streams.allSatisfy { stream in
      let checkpoint = views.tables[stream]?.checkpoint ?? Checkpoint()
      let hot = redis.copies[stream]
      return checkpoint.sequence == log.count(stream.stream)
        && checkpoint.coarseSequence == checkpoint.sequence
        && hot?.header.sequence == checkpoint.sequence
    }
  }

  private mutating func compare() {
    for stream in streams.prefix(partitions) {
      let table = views.tables[stream] ?? SimulatedViews.Table()
      let entries = log.entries(stream.stream)
      let recount = Recount(entries, spec: spec)
      if table.accounting != recount.accounting {
        report.problem = "\(stream.stream): \(table.accounting) is not \(recount.accounting)"
      }
      if table.lateCount != recount.lateCount { report.problem = "\(stream.stream): late events" }
      let difference = World.difference(table.rows, recount.durable)
      if difference != "" { report.problem = "\(stream.stream): \(difference)" }
      guard let hot = redis.copies[stream] else { continue }
      let found = hot.rows.filter { $0.key.start >= hot.header.seams[$0.key.level] }
      let hotDifference = World.difference(found, recount.live(hot.header.seams))
      if hotDifference != "" { report.problem = "hot \(stream.stream): \(hotDifference)" }
    }
    if let policy = spec.persons { compareOutcomes(policy) }
  }

  private mutating func compareOutcomes(_ policy: PersonPolicy) {
    var truth = OutcomeTruth(policy)
    for stream in streams.prefix(partitions) {
      truth.add(
        log.entries(stream.stream), disorder: spec.allowedDisorder,
        lateness: spec.allowedLateness)
    }
    if truth.isSettledInPart {
      report.isSettledInPart = true
      return
    }
    var expected: [RowKey: Outcomes] = [:]
    for (place, outcomes) in NaiveOutcomes(truth.facts, policy, watermark: .max / 2).sums {
      let key = RowKey(
        level: .day, start: WindowLevel.day.start(of: place.window), tuple: place.tuple.encoded)
      expected[key, default: Outcomes()] += outcomes
    }
    let table = views.tables[.partials(of: spec)] ?? SimulatedViews.Table()
    if !table.accounting.isConserved { report.problem = "partials: \(table.accounting)" }
    var found: [RowKey: Outcomes] = [:]
    for (key, row) in table.rows where key.level == .day { found[key] = Outcomes(row.counts) }
    for key in Set(found.keys).union(expected.keys) {
      let (a, b) = (found[key] ?? Outcomes(), expected[key] ?? Outcomes())
      if a != b { report.problem = "outcomes at \(key.start): \(a) is not \(b)" }
    }
  }
}

/// Heartbeats that are stored at once.
struct SimulatedHeartbeats: HeartbeatSink {
  private let log: SimulatedLog

  init(_ log: SimulatedLog) { self.log = log }

  func write(_ stream: StreamPartition) {
    if log.isAway { return }
    let entry = LogEntry.heartbeat(at: log.clock.logTime)
    log.append(entry.bytes, to: stream.stream, content: entry.content)
  }
}
