import Dataflow
import FileSnapshots
import Ports
import Synchronization
import Views

/// Checkpoints in memory; rows are taken and forgotten.
final class BenchViews: ViewStore, Membership, Sendable {
  private struct Table {
    var owner: String?
    var epoch: Int64 = 0
    var checkpoint = Checkpoint()
    var accounting = Accounting()
  }

  private let spec: PipelineSpec
  private let tables = Mutex<[StreamPartition: Table]>([:])

  init(_ spec: PipelineSpec) { self.spec = spec }

  func claim(
    _ stream: StreamPartition, owner: String
  ) throws(ViewStoreError) -> (epoch: Int64, checkpoint: Checkpoint, accounting: Accounting) {
    tables.withLock { tables in
      tables[stream, default: Table()].owner = owner
      tables[stream, default: Table()].epoch += 1
      let table = tables[stream] ?? Table()
      return (table.epoch, table.checkpoint, table.accounting)
    }
  }

  func committed(
    _ stream: StreamPartition
  ) throws(ViewStoreError) -> (checkpoint: Checkpoint, accounting: Accounting) {
    tables.withLock {
      ($0[stream]?.checkpoint ?? Checkpoint(), $0[stream]?.accounting ?? Accounting())
    }
  }

  func commit(
    _ batch: CommitBatch, stream: StreamPartition, epoch: Int64, previous: UInt64
  ) throws(ViewStoreError) {
    tables.withLock {
      $0[stream]?.checkpoint = batch.checkpoint
      $0[stream]?.accounting = batch.accounting
    }
  }

  // MARK: One member

  func beat(_ me: Member, leaseMs: Int) throws(ViewStoreError) -> GroupView {
    let owners = tables.withLock { tables in
      Dictionary(
        uniqueKeysWithValues: tables.map { stream, table in
          (
            PipelineStream(spec, stream),
            Ownership(
              owner: table.owner, epoch: table.epoch, logTime: table.checkpoint.logTime,
              isFinished: table.checkpoint.isFinished)
          )
        })
    }
    return GroupView(live: [me], lapsed: [], owners: owners, uptimeMs: 3_600_000)
  }

  func release(_ item: PipelineStream, owner: String) throws(ViewStoreError) {
    tables.withLock { $0[item.stream]?.owner = nil }
  }

  func remove(_ member: String) throws(ViewStoreError) {}
}

/// Takes everything.
final class BenchHot: HotStore {
  private var stored: HotHeader?

  func update(
    _ rows: [HotRow], stream: StreamPartition, previous: HotHeader, header: HotHeader,
    keepFrom: Seams
  ) throws(HotStoreError) { stored = header }

  func rebuild(
    _ rows: [HotRow], stream: StreamPartition, header: HotHeader
  ) throws(HotStoreError) { stored = header }

  func header(of stream: StreamPartition) throws(HotStoreError) -> HotHeader? { stored }
}

/// Takes and forgets every frame.
final class BenchPublisher: FramePublisher {
  private var done: [(token: UInt64, outcome: PublishOutcome)] = []

  var inFlight: Int { done.count }
  var windowMax: Int { 64 }

  func publish(stream: String, messageID: String, frame: [UInt8], token: UInt64) {
    done.append((token, .stored(sequence: token, duplicate: false)))
  }

  func poll(timeoutMs: Int) -> [(token: UInt64, outcome: PublishOutcome)] {
    defer { done.removeAll() }
    return done
  }

  func wake() {}
}

/// Snapshots on the disk, which can be full, and whose files can be damaged.
final class BenchDisk: SnapshotStore {
  private let files: FileSnapshotStore
  private let isFull = Mutex(false)

  init(folder: String) throws(SnapshotError) { files = try FileSnapshotStore(folder: folder) }

  func setFull(_ full: Bool) { isFull.withLock { $0 = full } }

  /// Every file keeps half of its bytes.
  func damage() throws(SnapshotError) {
    for name in try files.names() {
      guard let bytes = try files.read(name) else { continue }
      try files.write(name, Array(bytes.prefix(bytes.count / 2)))
    }
  }

  func write(_ name: String, _ bytes: [UInt8]) throws(SnapshotError) {
    if isFull.withLock({ $0 }) { throw .io("the disk is full") }
    try files.write(name, bytes)
  }

  func read(_ name: String) throws(SnapshotError) -> [UInt8]? { try files.read(name) }
  func remove(_ name: String) throws(SnapshotError) { try files.remove(name) }
  func names() throws(SnapshotError) -> [String] { try files.names() }
}
