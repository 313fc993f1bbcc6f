import Dataflow
import Metrics
import Operators
import Ports
import Synchronization
import Testing

@testable import Runtime

/// Snapshots that are read while it is not known yet what is committed.
@Suite struct SnapshotAheadTests {
  /// Counts what is read.
  private final class CountedStore: SnapshotStore {
    private let store = MemorySnapshotStore(power: PowerSwitch())
    private let counted = Mutex<[String]>([])

    var reads: [String] { counted.withLock { $0 } }

    func write(_ name: String, _ bytes: [UInt8]) throws(SnapshotError) {
      try store.write(name, bytes)
    }

    func read(_ name: String) throws(SnapshotError) -> [UInt8]? {
      counted.withLock { $0.append(name) }
      return try store.read(name)
    }

    func remove(_ name: String) throws(SnapshotError) { try store.remove(name) }
    func names() throws(SnapshotError) -> [String] { try store.names() }
  }

  /// An owner that saves increments of one frame each.
  private final class Owner {
    let store = CountedStore()
    private var pipeline = Pipeline(spec: World.shortGrace, stream: World.events, groups: 0..<4)

    func save() throws -> [UInt8] {
      let before = pipeline.position
      try pipeline.skip(sequence: before + 1, storedAt: ten)
      let bytes = pipeline.snapshot(.changes)
      try store.write("\(SnapshotName.increment(from: before, to: before + 1))", bytes)
      return bytes
    }
  }

  private func archive(_ store: CountedStore) -> SnapshotArchive {
    let world = World()
    return SnapshotArchive(
      store: store,
      maker: BaseMaker(spec: world.spec, stream: world.stream, partitions: 64, log: world.log),
      writing: .immediate(), compacting: .immediate(), parameters: RuntimeParameters(),
      metrics: RuntimeMetrics(MetricRegistry()).loop(pipeline: "test", stream: "events-00"),
      logger: World.quiet)
  }

  @Test("What was read ahead is not read again")
  func once() throws {
    let owner = Owner()
    let saved = [try owner.save(), try owner.save()]
    let archive = archive(owner.store)
    archive.startReadingAhead()
    #expect(archive.restore(notAfter: 2).increments == saved)
    #expect(owner.store.reads.count == 2)
  }

  @Test("What another owner saves meanwhile is read as well")
  func meanwhile() throws {
    let owner = Owner()
    let first = try owner.save()
    let archive = archive(owner.store)
    archive.startReadingAhead()
    let second = try owner.save()
    #expect(archive.restore(notAfter: 2).increments == [first, second])
  }

  @Test("What is ahead of the checkpoint is removed though it was read")
  func tooNew() throws {
    let owner = Owner()
    let first = try owner.save()
    _ = try owner.save()
    let archive = archive(owner.store)
    archive.startReadingAhead()
    #expect(archive.restore(notAfter: 1).increments == [first])
    #expect(try owner.store.names().count == 1)
  }
}
