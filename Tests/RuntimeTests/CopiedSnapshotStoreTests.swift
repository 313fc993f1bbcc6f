import Dataflow
import Metrics
import Operators
import Ports
import Synchronization
import Testing

@testable import Runtime

/// The near store and its copies, and what a machine without either part comes to.
@Suite struct CopiedSnapshotStoreTests {
  /// A store that may be away, and in which something else may happen before a write.
  private final class FarStore: SnapshotStore, Sendable {
    let blobs = Mutex<[String: [UInt8]]>([:])
    let isAway = Mutex(false)
    let beforeWrite = Mutex<(@Sendable () -> Void)?>(nil)

    private func check() throws(SnapshotError) {
      if isAway.withLock({ $0 }) { throw .io("it is away") }
    }

    func write(_ name: String, _ bytes: [UInt8]) throws(SnapshotError) {
      try check()
      beforeWrite.withLock { $0 }?()
      blobs.withLock { $0[name] = bytes }
    }

    func read(_ name: String) throws(SnapshotError) -> [UInt8]? {
      try check()
      return blobs.withLock { $0[name] }
    }

    func remove(_ name: String) throws(SnapshotError) {
      try check()
      blobs.withLock { $0[name] = nil }
    }

    func names() throws(SnapshotError) -> [String] {
      try check()
      return blobs.withLock { $0.keys.sorted() }
    }
  }

  private let registry = MetricRegistry()

  private func store(_ near: any SnapshotStore, _ far: FarStore) -> CopiedSnapshotStore {
    CopiedSnapshotStore(
      near: near, far: far, worker: .immediate(),
      metrics: RuntimeMetrics(registry).loop(pipeline: "test", stream: "events-00"),
      logger: World.quiet)
  }

  private func snapshot(_ count: Int) throws -> [UInt8] {
    var pipeline = Pipeline(spec: World.shortGrace, stream: World.events, groups: 0..<4)
    for sequence in 1...count {
      try pipeline.skip(sequence: UInt64(sequence), storedAt: ten)
    }
    return pipeline.snapshot(.changes)
  }

  @Test("What is written near is copied, what is removed near is removed far")
  func copied() throws {
    let near = FarStore()
    let far = FarStore()
    let store = store(near, far)
    try store.write("a", [1])
    try store.write("b", [2])
    try store.remove("a")
    #expect(far.blobs.withLock { $0 } == ["b": [2]])
    #expect(try store.names() == ["b"])
  }

  @Test("While the copies are away writing goes on, and the next change makes up for it")
  func away() throws {
    let near = FarStore()
    let far = FarStore()
    let store = store(near, far)
    try store.write("a", [1])
    far.isAway.withLock { $0 = true }
    try store.write("b", [2])
    try store.remove("a")
    #expect(try store.names() == ["b"])
    #expect(far.blobs.withLock { $0 } == ["a": [1]])
    far.isAway.withLock { $0 = false }
    try store.write("c", [3])
    #expect(far.blobs.withLock { $0 } == ["b": [2], "c": [3]])
    let failures = registry.counter(RuntimeMetrics.snapshotCopyFailures)
      .with(labels: ["test", "events-00"]).value
    #expect(failures == 3)
  }

  @Test("A missing or corrupt blob is read from the copies, and is near then")
  func far() throws {
    let near = FarStore()
    let far = FarStore()
    let (one, two) = (try snapshot(1), try snapshot(2))
    far.blobs.withLock { $0 = ["a": one, "b": two] }
    var corrupt = two
    corrupt[40] ^= 1
    near.blobs.withLock { $0 = ["b": corrupt] }
    let store = store(near, far)
    #expect(try store.names() == ["a", "b"])
    #expect(try store.read("a") == one)
    #expect(try store.read("b") == two)
    #expect(near.blobs.withLock { $0 } == ["a": one, "b": two])
    // Where both are corrupt the near one is given, to be refused and removed by name.
    far.blobs.withLock { $0["b"] = corrupt }
    near.blobs.withLock { $0["b"] = corrupt }
    #expect(try store.read("b") == corrupt)
  }

  @Test("What is removed while its copy is being written here is not here afterwards, nor far")
  func removedMeanwhile() throws {
    let near = FarStore()
    let far = FarStore()
    let one = try snapshot(1)
    far.blobs.withLock { $0 = ["a": one] }
    let store = store(near, far)
    let problems = Mutex<[SnapshotError]>([])
    near.beforeWrite.withLock {
      $0 = { [near] in
        near.beforeWrite.withLock { $0 = nil }
        do throws(SnapshotError) {
          try store.remove("a")
        } catch {
          problems.withLock { $0.append(error) }
        }
      }
    }
    #expect(try store.read("a") == one)
    #expect(problems.withLock { $0 } == [])
    #expect(near.blobs.withLock { $0 } == [:])
    #expect(far.blobs.withLock { $0 } == [:])
    // The next one of that name is kept.
    try store.write("a", one)
    #expect(near.blobs.withLock { $0 } == ["a": one])
  }

  @Test("A disk without room does not keep a start from the copies, which stay")
  func noRoomHere() throws {
    let near = MemorySnapshotStore(power: PowerSwitch())
    let far = FarStore()
    let (one, two) = (try snapshot(1), try snapshot(2))
    far.blobs.withLock { $0 = ["a": one] }
    near.change { $0.isFull = true }
    let store = store(near, far)
    #expect(try store.read("a") == one)
    near.change { $0.isFull = false }
    try store.write("b", two)
    #expect(far.blobs.withLock { $0 } == ["a": one, "b": two])
    try store.remove("a")
    #expect(far.blobs.withLock { $0 } == ["b": two])
  }
}
