import Dataflow
import Events
import Metrics
import Oracles
import Ports
import Threads
import Views

@testable import Runtime

/// A whole processor in one thread: partitions, second stage, owners that die and owners that do not
/// know that they were replaced, on a log and stores that fail in every way, all from one seed.
///
/// What comes out at the end must be what a recount of the log gives.
struct Simulation {
  /// How a simulation can end.
  enum End: String, CaseIterable {
    /// Everything is committed and compared.
    case compared
    /// What is gone from a log was committed: whoever reads it halts and says so.
    case logWentBack
    /// The second stage has counted what is gone from a log of events: it halts and says so.
    case sourceWentBack
    /// No machine has a snapshot of what was trimmed: whoever starts halts and says so.
    case trimmed
    /// What was handed on is gone from its log and nobody makes it again: the second stage waits for it
    /// until it has as much to wait as it may, and then says so.
    case waiting
  }

  /// What one seed came to.
  struct Report {
    /// Nil where all is as it must be.
    var problem: String?
    var end: End?
    var trace: [String] = []
    var commits = 0
    var deaths = 0
    var faults: [Fault: Int] = [:]
  }

  final class Owner {
    let loop: PartitionLoop
    let process: SimulatedHost
    let stop: StopFlag
    let stream: StreamPartition
    let worker: SerialWorker
    let machine: Int

    init(
      loop: PartitionLoop, process: SimulatedHost, stop: StopFlag, stream: StreamPartition,
      worker: SerialWorker, machine: Int
    ) {
      self.loop = loop
      self.process = process
      self.stop = stop
      self.stream = stream
      self.worker = worker
      self.machine = machine
    }
  }

  struct Place: Hashable {
    var machine: Int
    var stream: StreamPartition
  }

  var random: SeededGenerator
  let faults: Faults
  let clock = SimulatedClock()
  let log: SimulatedLog
  let views: SimulatedViews
  let redis = SimulatedRedis()
  var disks: [Place: SimulatedDisk] = [:]
  let spec: PipelineSpec
  let partitions: Int
  let streams: [StreamPartition]
  let parameters: RuntimeParameters
  let siblings: LogTimes
  let metrics = RuntimeMetrics(MetricRegistry())
  var owners: [Owner] = []
  var report = Report()
  var sent: [TestEvent] = []
  var nextID: UInt64 = 0
  /// Starts from snapshots that end before what is trimmed from the log.
  var trimmedHalts: [StreamPartition: Int] = [:]

  private static let persons = PersonPolicy(
    sessionGap: 60 * second, clickLookBack: 5 * minute, impressionLookBack: 2 * minute,
    lateness: 10 * minute, personCountMax: 1000,
    experiments: ExperimentPolicy(
      outcomeWindow: minute, lookBack: 3 * minute, memory: 20 * minute))

  private init(seed: UInt64, defect: Defect?) {
    var random = SeededGenerator(seed: seed)
    faults = Faults(seed: seed &+ 1)
    log = SimulatedLog(clock: clock, faults: faults, defect: defect)
    views = SimulatedViews(defect: defect, faults: faults)
    spec = PipelineSpec(
      name: "test", allowedDisorder: random.pick([0, 2 * second]),
      allowedLateness: random.pick([nil, nil, 30 * second]),
      windowGrace: random.pick([0, 7 * second, minute]),
      persons: random.once(in: 4) ? nil : Self.persons, trends: Self.trends(&random))
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

  private static func trends(_ random: inout SeededGenerator) -> TrendPolicy? {
    if random.once(in: 3) { return nil }
    let slide = random.pick([second, 10 * second, minute])
    return TrendPolicy(size: slide * Int64(random.pick([1, 3, 6])), slide: slide)
  }

  /// - Parameter steps: of the part in which things fail.
  static func run(seed: UInt64, defect: Defect? = nil, steps: Int = 250) -> Report {
    var simulation = Simulation(seed: seed, defect: defect)
    simulation.faults.isOn = true
    for _ in 0..<steps where !simulation.hasEnded { simulation.act() }
    simulation.faults.isOn = false
    if !simulation.hasEnded { simulation.settle() }
    for owner in simulation.owners { owner.worker.close() }
    simulation.report.commits = simulation.views.commitCount
    simulation.report.faults = simulation.faults.counts
    if let violation = simulation.views.violations.first {
      simulation.report.problem = violation
    }
    return simulation.report
  }

  var hasEnded: Bool { report.end != nil || report.problem != nil }

  /// The first problem is the one that is told.
  mutating func fail(_ problem: String) { report.problem = report.problem ?? problem }

  mutating func note(_ text: String) {
    if report.trace.count > 200 { report.trace.removeFirst(100) }
    report.trace.append(text)
  }

  // MARK: Processes

  mutating func disk(_ place: Place) -> SimulatedDisk {
    if let disk = disks[place] { return disk }
    let disk = SimulatedDisk(faults)
    disks[place] = disk
    return disk
  }

  /// A new owner takes the stream over; one that has it may go on without knowing.
  mutating func start(_ stream: StreamPartition) {
    let free = (0..<2).filter { machine in
      !owners.contains { $0.stream == stream && $0.machine == machine }
    }
    guard let machine = free.randomElement(using: &random) else { return }
    note("start \(stream.stream)@\(machine)")
    let process = SimulatedHost()
    let stop = StopFlag()
    let disk = disk(Place(machine: machine, stream: stream))
    disk.process = process
    let loopMetrics = metrics.loop(pipeline: spec.name, stream: stream.stream)
    let worker = SerialWorker.immediate()
    let archive = SnapshotArchive(
      store: disk,
      maker: BaseMaker(
        spec: spec, stream: stream, partitions: siblings.partitions, log: log),
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
        hot: SimulatedHotStore(redis, process, faults), snapshots: archive,
        partials: spec.hasSecondStage ? SimulatedPublisher(log, process) : nil,
        heartbeats: SimulatedHeartbeats(log, process), siblings: siblings, parameters: parameters,
        clock: clock.loopClock,
        metrics: loopMetrics, logger: World.quiet),
      stop: stop, status: status)
    owners.append(
      Owner(
        loop: loop, process: process, stop: stop, stream: stream, worker: worker,
        machine: machine))
  }

  mutating func step(_ owner: Owner) {
    let step = owner.loop.step()
    if owner.process.isDead {
      note("\(owner.stream.stream)@\(owner.machine) died")
      return drop(owner)
    }
    switch step {
    case .again: break
    case .rest(let milliseconds), .wait(let milliseconds):
      clock.advance(micros: Int64(milliseconds) * 1000)
    case .ended(.halted(let reason)):
      drop(owner)
      halted(owner.stream, reason)
    case .ended(let end):
      note("\(owner.stream.stream)@\(owner.machine) ended: \(end)")
      drop(owner)
    }
  }

  mutating func drop(_ owner: Owner) {
    report.deaths += 1
    owner.worker.close()
    owners.removeAll { $0 === owner }
  }
}
