import Dataflow
import Events
import FileSnapshots
import Glibc
import Metrics
import Operators
import Testing

@testable import Runtime

/// Snapshots on a disk that is really full.
@Suite struct SnapshotDiskTests {
  /// A small file system in memory, and a file that takes what is left of it.
  private struct TinyDisk {
    let path = "/tmp/smartcontent-test-\(getpid())-snapshot-disk"
    private var ballast: String { path + "/ballast" }

    /// Fails where `mount` is a right that this process does not have.
    init?() {
      guard mkdir(path, 0o700) == 0 || errno == EEXIST else { return nil }
      guard mount("tmpfs", path, "tmpfs", 0, "size=1m") == 0 else {
        rmdir(path)
        return nil
      }
    }

    func fill() {
      let file = open(ballast, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
      let page = [UInt8](repeating: 1, count: 4096)
      while write(file, page, page.count) == page.count {}
      close(file)
    }

    func empty() { unlink(ballast) }

    func unmount() {
      umount2(path, Int32(MNT_DETACH))
      rmdir(path)
    }
  }

  private static let canMount: Bool = {
    guard let disk = TinyDisk() else { return false }
    disk.unmount()
    return true
  }()

  /// An archive and the pipeline whose changes it keeps.
  private struct Archived: ~Copyable {
    let store: FileSnapshotStore
    let archive: SnapshotArchive
    private let workers = [SerialWorker(name: "snapshots"), SerialWorker(name: "compaction")]
    private var pipeline: Pipeline
    private let frames = (1...20).map { index in
      LogEntry.events(
        (0..<20).map { TestEvent(id: UInt64(index * 20 + $0), time: ten, campaign: "c\($0)") },
        at: ten + Int64(index) * second)
    }

    init(_ disk: TinyDisk) throws {
      store = try FileSnapshotStore(folder: disk.path + "/snapshots")
      let world = World()
      var parameters = RuntimeParameters()
      parameters.snapshotCompactionBytesMin = 0
      archive = SnapshotArchive(
        store: store,
        maker: BaseMaker(spec: world.spec, stream: world.stream, partitions: 64, log: world.log),
        writing: workers[0], compacting: workers[1], parameters: parameters,
        metrics: RuntimeMetrics(MetricRegistry()).loop(pipeline: "test", stream: "events-00"),
        logger: World.quiet)
      pipeline = Pipeline(
        spec: world.spec, stream: world.stream,
        groups: PartitionLoop.groups(world.stream, partitions: 64), partitions: 64)
    }

    deinit { for worker in workers { worker.close() } }

    /// Processes the next frame and has what it changes written.
    mutating func save() throws {
      let sequence = pipeline.position + 1
      let frame = frames[Int(sequence) - 1]
      try frame.bytes.withUnsafeBytes {
        try pipeline.process(
          frame: try FrameView($0), sequence: sequence, storedAt: frame.storedAt)
      }
      archive.add(
        .increment(from: sequence - 1, to: sequence), pipeline.snapshot(.changes),
        mark: pipeline.mark, takenAt: ten)
      release()
    }

    func release() {
      archive.release(upTo: pipeline.position)
      while !archive.isIdle { sched_yield() }
    }

    var position: UInt64 { pipeline.position }

    /// The frames up to which there are bases.
    var bases: [UInt64] {
      get throws { try store.names().compactMap(SnapshotName.init).filter(\.isBase).map(\.to) }
    }
  }

  @Test(
    "Where the disk is full the chain that is kept in reserve gives way, and then snapshots wait for room",
    .enabled(if: canMount))
  func room() throws {
    let disk = try #require(TinyDisk())
    defer { disk.unmount() }
    var archived = try Archived(disk)
    while try archived.bases.count < 2, archived.position < 10 { try archived.save() }
    let before = try archived.bases
    #expect(before.count == 2)

    disk.fill()
    try archived.save()
    #expect(archived.archive.progress.problem == nil)
    #expect(archived.archive.progress.sequence == archived.position)
    #expect(try !archived.bases.contains(before[0]))

    // What is left is one chain, which is not given up.
    var count = 0
    while archived.archive.progress.problem == nil, count < 8 {
      disk.fill()
      try archived.save()
      count += 1
    }
    let progress = archived.archive.progress
    #expect(progress.isStoreFull && progress.problem?.contains("No space left on device") == true)
    #expect(progress.sequence > 0 && progress.sequence < archived.position)
    let names = try archived.store.names().compactMap(SnapshotName.init)
    #expect(SnapshotChain.best(of: names).end == progress.sequence)

    disk.empty()
    archived.release()
    #expect(archived.archive.progress.problem == nil && !archived.archive.progress.isStoreFull)
    #expect(archived.archive.progress.sequence == archived.position)
    // A start finds all of it.
    let restored = archived.archive.restore(notAfter: archived.position)
    #expect(restored.base != nil || !restored.increments.isEmpty)
  }
}
