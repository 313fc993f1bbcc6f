import Analyses
import Dataflow
import Events
import FileSnapshots
import Foundation
import Learning
@testable import LogFollowing
import Logging
import MemoryPorts
import Metrics
import Operators
import Ports
import States
import Synchronization
import Testing

/// Starts from snapshots: what is read again, what is learned, and what happens to snapshots that are of no use.
@Suite struct FollowerSnapshotTests {
  private static let start: Int64 = 1_793_491_200_000_000
  private static let minute: Int64 = 60_000_000
  private static let two = LogGeneration(number: 1, streams: ["events-00", "events-01"])

  /// A log and a folder of snapshots, and followers that come and go.
  private final class Desk: Sendable {
    let log = MemoryEventLog()
    let generations = Mutex([two])
    let folder = FileManager.default.temporaryDirectory
      .appending(path: "learners-\(UUID().uuidString)")

    deinit {
      do { try FileManager.default.removeItem(at: folder) } catch { Issue.record(error) }
    }

    func append(_ id: String, at minutes: Int64, to stream: String = "events-00") {
      let time = start + minutes * minute
      log.append(
        IncomingEvent(
          kind: .impression,
          key: EventIdentity.dedupeKey(site: "default", source: "test", eventID: id),
          person: EventIdentity.personKey(site: "default", id: "ann"), eventTime: time,
          receivedAt: time, dimensions: DimensionTuple(site: "default").encoded, id: id,
          name: "Seen", source: "test", payload: Array("{}".utf8)), to: stream)
    }

    /// Files that are snapshots, the newest last.
    func files() throws -> [URL] {
      try FileManager.default.contentsOfDirectory(
        at: folder.appending(path: "part-0"), includingPropertiesForKeys: nil
      ).sorted { $0.path < $1.path }
    }

    /// Runs a process with learners until it has caught up, and stops it, so that it leaves a snapshot.
    @discardableResult
    func run(
      _ records: [LearnerRecord], keeping: Set<Int> = [0], version: Int = 1, format: UInt32 = 1,
      until isDone: @escaping @Sendable (MetricRegistry) -> Bool = { _ in true }
    ) async throws -> MetricRegistry {
      let registry = MetricRegistry()
      var rhythm = LogFollower.Rhythm()
      rhythm.generationsMs = 20
      let follower = LogFollower(
        FollowedLog(
          spec: PipelineSpec(name: "default", version: version),
          generations: { self.generations.withLock { $0 } }, log: log),
        rhythm: rhythm,
        snapshots: FollowerSnapshots(intervalMs: 600_000) { [folder] () throws(SnapshotError) in
          try FileSnapshotStore.part(of: folder.path)
        }, registry: registry, clock: { start },
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
        learners: {
          records.enumerated().map { place, record -> any Learner in
            keeping.contains(place)
              ? KeptLearner(record, name: "kept-\(place)", format: format)
              : RecordingLearner(record)
          }
        })
      follower.start()
      defer { follower.stop() }
      try await eventually { records.allSatisfy(\.isCaughtUp) && isDone(registry) }
      #expect(follower.state.problem == nil)
      return registry
    }
  }

  private static func count(_ registry: MetricRegistry, _ outcome: String) -> Int? {
    metric("smartcontent_learning_snapshots_total{outcome=\"\(outcome)\"}", of: registry)
  }

  private static func metric(_ name: String, of registry: MetricRegistry) -> Int? {
    String(decoding: registry.exposition(.prometheusText), as: UTF8.self)
      .split(separator: "\n").first { $0.hasPrefix(name + " ") }
      .flatMap { Double($0.dropFirst(name.count + 1)) }.map { Int($0) }
  }

  @Test("A start goes on where the process before ended; copies of what came before are known")
  func goesOn() async throws {
    let desk = Desk()
    desk.append("a", at: 1)
    desk.append("b", at: 2, to: "events-01")
    let first = LearnerRecord()
    let before = try await desk.run([first])
    #expect(first.ids == ["a", "b"] && Self.count(before, "restored") == 0)
    #expect(try desk.files().count == 1)
    desk.append("a", at: 3)
    desk.append("c", at: 4)
    let second = LearnerRecord()
    let registry = try await desk.run([second])
    #expect(second.seen.map(\.id) == ["c"] && second.restored == ["a", "b"])
    #expect(Self.count(registry, "restored") == 1 && Self.count(registry, "refused") == 0)
    let third = LearnerRecord()
    try await desk.run([third])
    #expect(third.seen.isEmpty && third.restored == ["a", "b", "c"])
    #expect(third.published.last?.position == Position(generation: 1, sequences: [0: 3, 1: 1]))
  }

  @Test("One that has no snapshots hears of everything, the others of what came since alone")
  func mixed() async throws {
    let desk = Desk()
    desk.append("a", at: 1)
    try await desk.run([LearnerRecord(), LearnerRecord()])
    desk.append("b", at: 2, to: "events-01")
    desk.append("c", at: 3)
    let (kept, other) = (LearnerRecord(), LearnerRecord())
    try await desk.run([kept, other])
    #expect(kept.restored == ["a"] && kept.ids == ["b", "c"])
    #expect(other.ids == ["a", "b", "c"])
    // What is kept then is of both positions together.
    let again = LearnerRecord()
    try await desk.run([again, LearnerRecord()])
    #expect(again.restored == ["a", "b", "c"] && again.ids.isEmpty)
  }

  @Test("A torn snapshot is refused and reported, and the one before is taken")
  func torn() async throws {
    let desk = Desk()
    for (number, id) in ["a", "b", "c"].enumerated() {
      desk.append(id, at: Int64(number))
      try await desk.run([LearnerRecord()])
    }
    let files = try desk.files()
    try #require(files.count == 3)
    let (newest, older) = (try Data(contentsOf: files[2]), try Data(contentsOf: files[1]))
    for damaged in [newest.dropLast(3), newest.dropFirst(), Data()] {
      for file in try desk.files() { try FileManager.default.removeItem(at: file) }
      try older.write(to: files[1])
      try damaged.write(to: files[2])
      let record = LearnerRecord()
      let registry = try await desk.run([record])
      #expect(record.restored == ["a", "b"] && record.ids == ["c"])
      #expect(Self.count(registry, "refused") == 1 && Self.count(registry, "written") == 1)
    }
  }

  @Test("Snapshots of a log that went back, of other rules and of other formats are refused")
  func refused() async throws {
    let desk = Desk()
    for (minutes, id) in ["a", "b", "c"].enumerated() { desk.append(id, at: Int64(minutes)) }
    try await desk.run([LearnerRecord()])
    // Another pipeline counts otherwise.
    var record = LearnerRecord()
    var registry = try await desk.run([record], version: 2)
    #expect(record.restored == nil && record.ids == ["a", "b", "c"])
    #expect(Self.count(registry, "refused") == 1)
    // Another format of the learner.
    record = LearnerRecord()
    registry = try await desk.run([record], version: 2, format: 2)
    #expect(record.restored == nil && record.ids == ["a", "b", "c"])
    #expect(Self.count(registry, "refused") == 1 && Self.count(registry, "restored") == 1)
    // The log ends before what was learned.
    desk.log.goBack("events-00", to: 1)
    record = LearnerRecord()
    registry = try await desk.run([record], version: 2, format: 2)
    #expect(record.restored == nil && record.ids == ["a"])
    #expect(Self.count(registry, "refused") == 3)
    // It has as many frames again, and they are others.
    for (minutes, id) in ["d", "e"].enumerated() { desk.append(id, at: 30 + Int64(minutes)) }
    record = LearnerRecord()
    try await desk.run([record], version: 2, format: 2)
    #expect(record.restored == ["a"] && record.ids == ["d", "e"])
    desk.log.goBack("events-00", to: 2)
    desk.append("f", at: 40)
    record = LearnerRecord()
    registry = try await desk.run([record], version: 2, format: 2)
    #expect(record.restored == ["a"] && record.ids == ["d", "f"])
    #expect(Self.count(registry, "refused") == 1)
  }

  @Test("What is taken back late is learned again from a snapshot before it")
  func relearned() async throws {
    let desk = Desk()
    desk.append("a", at: 1)
    try await desk.run([LearnerRecord()])
    for (minutes, id) in ["b", "c"].enumerated() { desk.append(id, at: 2 + Int64(minutes)) }
    try await desk.run([LearnerRecord()])
    desk.append("back-b", at: 5)
    let record = LearnerRecord()
    try await desk.run([record]) { registry in
      Self.metric("smartcontent_learning_relearnings_total{outcome=\"done\"}", of: registry) == 1
    }
    // First the newest one, and then the one that did not know it.
    #expect(record.ids == ["back-b", "b", "c", "back-b"] && record.restored == ["a"])
    let after = LearnerRecord()
    try await desk.run([after])
    #expect(after.restored == ["a", "c"])
  }

  @Test(
    "Of older snapshots there are at most ten, and one that is at most eight times as old as any hour"
  )
  func ladder() {
    var names: [String] = []
    var most = 0
    for minute in 0..<(60 * 24 * 10) as Range<Int64> {
      let digits = String(minute)
      names.append(
        "snapshot-" + String(repeating: "0", count: 20 - digits.count) + digits + "-\(minute * 60)")
      let spare = Set(SnapshotKeeper.spare(names, at: minute * 60))
      names.removeAll { spare.contains($0) }
      most = max(most, names.count)
      guard minute % 31 == 0 else { continue }
      let ages = names.compactMap { $0.split(separator: "-").last.flatMap { Int64($0) } }
        .map { minute - $0 / 60 }
      for age in [60, 300, 1_000] as [Int64] where minute >= 8 * age {
        #expect(ages.contains { $0 >= age && $0 <= 8 * age }, "\(age) in \(ages)")
      }
    }
    #expect(most <= 10 && names.count > 5)
  }

  @Test("A snapshot of a later generation goes on there, and the next one is read")
  func generations() async throws {
    let desk = Desk()
    desk.append("a", at: 1)
    desk.generations.withLock {
      $0 = [
        LogGeneration(number: 1, streams: Self.two.streams, ends: [1, 0]),
        LogGeneration(number: 2, streams: ["events-g2-00"]),
      ]
    }
    desk.append("b", at: 2, to: "events-g2-00")
    try await desk.run([LearnerRecord()])
    desk.append("b", at: 3, to: "events-g2-00")
    desk.append("c", at: 4, to: "events-g2-00")
    desk.append("d", at: 5, to: "events-g3-00")
    desk.generations.withLock {
      $0 = [
        LogGeneration(number: 1, streams: Self.two.streams, ends: [1, 0]),
        LogGeneration(number: 2, streams: ["events-g2-00"], ends: [3]),
        LogGeneration(number: 3, streams: ["events-g3-00"]),
      ]
    }
    let record = LearnerRecord()
    try await desk.run([record])
    #expect(record.restored == ["a", "b"] && record.ids == ["c", "d"])
  }
}

/// Learns which events count, and keeps them; what `back-…` names it can take back only from a state that does not have it.
final class KeptLearner: SnapshotLearner {
  let memory: Int64 = 3_600_000_000
  private(set) var snapshotKey: LearnerSnapshotKey
  private let record: LearnerRecord
  private var learned: LearnedIDs

  init(_ record: LearnerRecord, name: String, format: UInt32, told: Set<String> = []) {
    self.record = record
    learned = LearnedIDs(told: told)
    snapshotKey = LearnerSnapshotKey(name: name, format: format, declared: [])
  }

  func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment,
    from stream: StreamPlace
  ) {
    for number in 0..<counted.count {
      let id = frame.id(counted.index(number))
      learned.add(id)
      record.state.withLock {
        $0.seen.append(
          LearnerRecord.Seen(id: id, generation: stream.generation, partition: stream.partition))
      }
    }
  }

  func forget(_ person: Key128, erasedAt: Int64) {}

  func publish(_ progress: LearningProgress) {
    record.state.withLock { $0.published.append(progress) }
  }

  func successor() -> (any Learner)? {
    guard !learned.owed.isEmpty else { return nil }
    let next = KeptLearner(
      record, name: "", format: 0, told: learned.told.union(learned.owed))
    next.snapshotKey = snapshotKey
    return next
  }

  func restoreSuccessor(_ bytes: [UInt8]) throws(StateError) {
    let before = learned.ids
    try restore(bytes)
    guard learned.told.isDisjoint(with: learned.ids) else {
      learned.ids = before
      throw .other("what is to be taken back is learned there")
    }
  }

  func freeze() -> @Sendable () -> [UInt8] {
    { [ids = learned.ids] in
      var codec = StateCodec()
      var ids = ids
      do { try codec.code(&ids) } catch { preconditionFailure("writing never fails: \(error)") }
      return codec.finish()
    }
  }

  func restore(_ bytes: [UInt8]) throws(StateError) {
    var codec = StateCodec(bytes)
    var ids: [String] = []
    try codec.code(&ids)
    try codec.end()
    learned.ids = ids
    record.state.withLock { [ids] in $0.restored = ids }
  }
}
