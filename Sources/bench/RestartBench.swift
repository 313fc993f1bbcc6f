import ArgumentParser
import Dataflow
import Events
import FileSnapshots
import Foundation
import Operators
import Ports
import Runtime
import Views

/// What snapshots cost a partition at full speed, and how soon it is ready again from them.
///
/// Frames are in memory and spread evenly over the keys, the worst case: nearly every event changes
/// another key. Hot rows are drained every 64 frames, as the product does every 40 ms. An increment is
/// taken whenever the changes reach the bound, which is when processing pauses; writing the files (with fsync) and compacting them happen on other threads in the product
/// and are measured apart. A restart reads the newest base and the increments after it from the disk,
/// restores them, and replays the frames after them. Times are the thread's processor time, except
/// where a name says `wall`.
///
/// Then the whole processor with stores in memory and snapshots on the disk, at full speed, and what
/// could stop it: nothing, a full disk, files that are damaged, and a generation that takes persons over.
struct RestartBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restart", abstract: "Pauses for snapshots, and time until ready from them.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Keys of each kind.") var keys = 1_000_000
  @Option(help: "Events.") var events = 3_000_000
  @Option(help: "Changed bytes after which a snapshot is taken.")
  var bytesMax = RuntimeParameters().snapshotBytesMax
  @Flag(help: "Only the whole processor's stops.") var stopsOnly = false

  private enum Kind: String, CaseIterable {
    /// Remembered ids.
    case ids
    /// Tuples with rows in the windows of four levels.
    case tuples
    /// Anonymous persons with their touches, whose ids are remembered too.
    case persons
  }

  func run() async throws {
    if !stopsOnly {
      for kind in Kind.allCases { try run(kind) }
    }
    for fault in RestartStops.Fault.allCases {
      let folder = "\(report.home)-stops"
      defer { remove(folder) }
      let table = try await RestartStops(
        keys: keys, events: events, folder: folder, fault: fault
      ).run()
      table.print(json: report.json)
    }
  }

  private func remove(_ folder: String) {
    do {
      try FileManager.default.removeItem(atPath: folder)
    } catch {
      print("\(folder) stays: \(error)")
    }
  }

  private func run(_ kind: Kind) throws {
    let folder = "\(report.home)-snapshots"
    defer { remove(folder) }
    let store = try FileSnapshotStore(folder: folder)
    var spec = PipelineSpec(
      name: "bench", allowedDisorder: 1_000_000, tupleCountMax: keys * 2,
      dedupeCountMax: keys * 10)
    var key = KeyedFrames.Key.id
    switch kind {
    case .ids: break
    case .tuples: key = .tuple
    case .persons:
      key = .person
      spec.persons = PersonPolicy(personCountMax: keys * 2)
    }
    let frames = KeyedFrames(
      key: key, keyCount: keys, eventCount: events, eventsPerSecond: 500_000
    ).make()
    var table = Report("Snapshots of \(keys) \(kind.rawValue), \(events) events at full speed")

    let bare = try process(frames, Self.pipeline(spec), bytesMax: .max)
    let saved = try process(frames, Self.pipeline(spec), bytesMax: bytesMax)
    table.add("events_per_second_bare", Double(events) / bare.seconds, "events/s")
    table.add("snapshots", Double(saved.increments.count), "")
    table.add("largest_pause", (saved.pauses.max() ?? 0) * 1000, "ms", goal: "20")
    let sorted = saved.pauses.sorted()
    table.add("p99_pause", (sorted.isEmpty ? 0 : sorted[sorted.count * 99 / 100]) * 1000, "ms")
    table.add("mean_pause", saved.pauses.reduce(0, +) * 1000 / Double(saved.pauses.count), "ms")
    table.add("share_of_time", saved.pauses.reduce(0, +) / saved.seconds, "")
    let byteCount = saved.increments.reduce(0) { $0 + $1.count }
    table.add("bytes_per_event", Double(byteCount) / Double(events), "bytes")
    let largest = saved.increments.map(\.count).max() ?? 0
    table.add("largest_snapshot", Double(largest), "bytes")

    // All but what is changed last is in a base.
    let kept = max(1, saved.increments.count - 3)
    var started = Self.now()
    let base = try Pipeline.compact(
      spec: spec, stream: Self.stream, groups: Self.groups, base: nil,
      increments: Array(saved.increments.prefix(kept)))
    guard let base else { throw BenchError("the increments are no chain") }
    table.add("compaction_seconds", Self.now() - started, "s")
    table.add("base_bytes_per_key", Double(base.count) / Double(keys), "bytes")
    started = Self.now()
    try store.write("base", base)
    table.add("base_write_seconds", Self.now() - started, "s")
    for (index, increment) in saved.increments.dropFirst(kept).enumerated() {
      try store.write("increment-\(index)", increment)
    }
    try restart(spec, store, frames, saved, &table)
    table.print(json: report.json)
  }

  private func restart(
    _ spec: PipelineSpec, _ store: FileSnapshotStore, _ frames: [KeyedFrames.Frame],
    _ saved: Run, _ table: inout Report
  ) throws {
    let started = Self.now()
    let wall = ContinuousClock.now
    var increments: [[UInt8]] = []
    for name in try store.names() where name != "base" {
      if let bytes = try store.read(name) { increments.append(bytes) }
    }
    let base = try store.read("base")
    table.add("read_seconds", Self.now() - started, "s")
    var pipeline = Self.pipeline(spec)
    let report = try pipeline.restore(
      base: base, increments: increments, committed: saved.checkpoint,
      accounting: saved.accounting)
    guard report.findings.isEmpty else { throw BenchError("\(report.findings)") }
    let restored = Self.now() - started
    table.add("restored_seconds", restored, "s")
    for index in Int(report.replayAfter)..<frames.count {
      try Self.feed(&pipeline, frames[index], index)
    }
    table.add("silent_replay_seconds", Self.now() - started - restored, "s", goal: "1")
    table.add("ready_seconds", Self.now() - started, "s")
    table.add("ready_wall_seconds", (ContinuousClock.now - wall) / .seconds(1), "s", goal: "2")
    table.add("replayed_frames", Double(frames.count) - Double(report.replayAfter), "frames")
  }

  // MARK: A partition at full speed

  private struct Run {
    var seconds = 0.0
    var pauses: [Double] = []
    var increments: [[UInt8]] = []
    var checkpoint = Checkpoint()
    var accounting = Accounting()
  }

  private static let stream = StreamPartition(stream: "events-00", generation: 1, partition: 0)
  private static let groups = 0..<KeyGroup.count

  private static func pipeline(_ spec: PipelineSpec) -> Pipeline {
    Pipeline(spec: spec, stream: stream, groups: groups)
  }

  private func process(
    _ frames: [KeyedFrames.Frame], _ fresh: consuming Pipeline, bytesMax: Int
  ) throws -> Run {
    var pipeline = fresh
    var run = Run()
    let started = Self.now()
    for (index, frame) in frames.enumerated() {
      try Self.feed(&pipeline, frame, index)
      _ = pipeline.takeEmitted()
      if index % 64 == 63 { _ = pipeline.drainHot() }
      if pipeline.changeByteCount >= bytesMax {
        let paused = Self.now()
        run.increments.append(pipeline.snapshot(.changes))
        run.pauses.append(Self.now() - paused)
      }
    }
    run.seconds = Self.now() - started
    let batch = pipeline.drainCommit(includeCoarse: false)
    run.checkpoint = batch.checkpoint
    run.accounting = batch.accounting
    return run
  }

  @inline(never)
  private static func feed(
    _ pipeline: inout Pipeline, _ frame: KeyedFrames.Frame, _ index: Int
  ) throws {
    try frame.bytes.withUnsafeBytes { bytes in
      try pipeline.process(
        frame: try FrameView(bytes), sequence: UInt64(index + 1), storedAt: frame.logTime)
    }
  }

  private static func now() -> Double { CPUTime.thread() }
}
