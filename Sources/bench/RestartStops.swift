import Dataflow
import Events
import Logging
import Metrics
import Operators
import Ports
import Runtime
import Synchronization
import Views

/// How long the processor stops between two frames, whatever becomes of its snapshots.
///
/// The whole processor on a log in memory that gives one frame of 1,000 events at a time, with read
/// models that take everything at once and snapshots on the disk. Every event has another id and most
/// are of another person: state grows to the number of keys and beyond, and nearly all of it changes
/// between any two snapshots. A stop is what passes between giving a frame and being asked for the next
/// one: processing it, and whatever the loop does besides, snapshots among it.
struct RestartStops {
  enum Fault: String, CaseIterable {
    case none
    /// The disk takes nothing for the middle third of the frames.
    case fullDisk = "full_disk"
    /// In the middle every file is cut to half.
    case damagedFiles = "damaged_files"
    /// The second half is a generation of its own, which takes over what the first one knew.
    case inheritance
  }

  let keys: Int
  let events: Int
  let folder: String
  let fault: Fault

  private static let first = "events-00"
  private static let second = "events-g2-00"

  private var spec: PipelineSpec {
    PipelineSpec(
      name: "bench", allowedDisorder: 1_000_000, dedupeCountMax: events * 2,
      persons: PersonPolicy(personCountMax: keys * 2))
  }

  func run() async throws -> Report {
    let frames = KeyedFrames(
      key: .person, keyCount: keys, eventCount: events, eventsPerSecond: 500_000
    ).make()
    let isDivided = fault == .inheritance
    let half = frames.count / 2
    let log = BenchLog(
      isDivided
        ? [Self.first: Array(frames[..<half]), Self.second: Array(frames[half...])]
        : [Self.first: frames])
    let last = isDivided ? Self.second : Self.first
    let count = UInt64(isDivided ? frames.count - half : frames.count)
    let disks = try [Self.first, Self.second].map { try BenchDisk(folder: "\(folder)/\($0)") }
    let registry = MetricRegistry()
    let processor = processor(log, disks, registry, half: isDivided ? UInt64(half) : nil)
    let started = ContinuousClock.now
    processor.start()
    defer { processor.stop() }
    try await watch(processor, last, count, disks[0])
    let processed = ContinuousClock.now
    try await waitForSnapshots(processor, last, count, disks[isDivided ? 1 : 0])

    var table = Report(
      "Longest stop at full speed, \(keys) persons, \(events) ids: \(fault.rawValue)")
    table.add(
      "events_per_second", Double(events) / ((processed - started) / .seconds(1)), "events/s")
    let stops = log.stops(of: last)
    table.add("longest_stop", (stops.map(\.busy).max() ?? 0) * 1000, "ms", goal: "20")
    table.add("longest_stop_wall", (stops.map(\.wall).max() ?? 0) * 1000, "ms")
    let sorted = stops.map(\.busy).sorted()
    table.add("p999_stop", (sorted.isEmpty ? 0 : sorted[sorted.count * 999 / 1000]) * 1000, "ms")
    table.add("snapshot_pauses_over_25_ms", Self.pauses(registry, last, overMs: 25), "")
    let labels = ["bench", last]
    table.add(
      "left_out",
      Double(registry.counter(RuntimeMetrics.snapshotsLeftOut).with(labels: labels).value), "")
    table.add("until_saved_wall", (ContinuousClock.now - processed) / .seconds(1), "s")
    return table
  }

  /// How many of the pauses that the loop's own metric has were longer.
  private static func pauses(_ registry: MetricRegistry, _ stream: String, overMs: Int) -> Double {
    let text = String(decoding: registry.exposition(.prometheusText), as: UTF8.self)
    func sample(_ suffix: String, _ part: String) -> Double {
      let line = text.split(separator: "\n").first {
        $0.hasPrefix(RuntimeMetrics.snapshot.name + suffix) && $0.contains("\"\(stream)\"")
          && $0.contains(part)
      }
      return line?.split(separator: " ").last.flatMap { Double($0) } ?? 0
    }
    return sample("_count", "") - sample("_bucket", "le=\"\(Double(overMs) / 1000)\"")
  }

  /// Makes the fault when its time has come, and waits until every frame is processed.
  private func watch(
    _ processor: Processor, _ stream: String, _ count: UInt64, _ disk: BenchDisk
  ) async throws {
    var isDamaged = false
    while true {
      let statuses = processor.statuses
      if let halted = statuses.first(where: { $0.phase == .halted }) {
        throw BenchError("\(halted.stream.stream) halted: \(halted.detail)")
      }
      let position = statuses.first { $0.stream.stream == stream }?.sequence ?? 0
      switch fault {
      case .none, .inheritance: break
      case .fullDisk: disk.setFull(position > count / 3 && position < count * 2 / 3)
      case .damagedFiles where position > count / 2 && !isDamaged:
        isDamaged = true
        try disk.damage()
      case .damagedFiles: break
      }
      if position >= count { return }
      try await Task.sleep(for: .milliseconds(1))
    }
  }

  /// Until a start would find all of the state.
  private func waitForSnapshots(
    _ processor: Processor, _ stream: String, _ count: UInt64, _ disk: BenchDisk
  ) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline {
      if let status = processor.statuses.first(where: { $0.stream.stream == stream }),
        status.snapshotSequence >= count
      {
        return
      }
      try await Task.sleep(for: .milliseconds(5))
    }
    throw BenchError("state was not saved within a minute: \(fault.rawValue)")
  }

  private func processor(
    _ log: BenchLog, _ disks: [BenchDisk], _ registry: MetricRegistry, half: UInt64?
  ) -> Processor {
    let spec = spec
    let views = BenchViews(spec)
    var logger = Logger(label: "bench") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = .error
    let streams = [StreamPartition(stream: Self.first, generation: 1, partition: 0)]
    var generations: GenerationSource?
    if let half {
      let all = [
        LogGeneration(number: 1, streams: [Self.first], ends: [half]),
        LogGeneration(number: 2, streams: [Self.second]),
      ]
      generations = { all }
    }
    return Processor(
      pipelines: [spec], streams: streams, partitions: 1,
      generations: generations, log: log,
      stores: ProcessorStores(
        membership: { _, _ in views }, views: { _, _ in views }, hot: { _ in BenchHot() },
        snapshots: { _, stream in disks[stream.generation == 2 ? 1 : 0] },
        partials: { _ in BenchPublisher() }),
      heartbeats: HeartbeatWriter(logger: logger) { BenchPublisher() },
      place: ProcessPlace(host: "bench", pid: 1, startTicks: 0) { _ in false },
      metrics: RuntimeMetrics(registry), logger: logger)
  }
}
