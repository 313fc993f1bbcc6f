import Dataflow
import Oracles
import Ports
import Views

@testable import Runtime

/// What a program under test does wrong on purpose, so that the simulation proves that it would see it.
enum Defect: Sendable {
  /// The checkpoint is committed in a transaction of its own, before the rows.
  case offsetBeforeRows
  /// The epoch is not looked at.
  case fenceIgnored
}

/// The durable rows of all streams. A crash can come before or after a transaction, or, with a defect,
/// in it.
///
/// `@unchecked Sendable`: a simulation runs on one thread.
final class SimulatedViews: @unchecked Sendable {
  struct Table {
    var epoch: Int64 = 0
    var checkpoint = Checkpoint()
    var accounting = Accounting()
    var rows: [RowKey: RowValue] = [:]
    var tuples: [Int64: [UInt8]] = [:]
    var lateCount = 0
  }

  var tables: [StreamPartition: Table] = [:]
  var isAway = false
  /// A commit is lost, or was made though nobody heard of it, and the process ends.
  var isUnreliable = false
  let defect: Defect?
  var random: SeededGenerator
  /// What must never happen and did.
  private(set) var violations: [String] = []
  private(set) var commitCount = 0

  init(defect: Defect?, random: SeededGenerator) {
    self.defect = defect
    self.random = random
  }

  func violate(_ text: String) { violations.append(text) }

  fileprivate func commit(
    _ batch: CommitBatch, _ stream: StreamPartition, _ epoch: Int64, _ previous: UInt64,
    _ process: SimulatedHost
  ) throws(ViewStoreError) {
    if isAway || process.isDead { throw .unavailable("Postgres is away") }
    let crash = isUnreliable ? random.below(12) : 11
    if crash == 0 {
      process.isDead = true
      throw .unavailable("the process was killed before COMMIT")
    }
    var table = tables[stream] ?? Table()
    guard
      defect == .fenceIgnored || (epoch == table.epoch && previous == table.checkpoint.sequence)
    else { throw .fenced(stream: stream.stream) }
    if defect == .offsetBeforeRows {
      table.checkpoint = batch.checkpoint
      table.accounting = batch.accounting
      tables[stream] = table
      if crash == 1 {
        process.isDead = true
        throw .unavailable("the process was killed between two transactions")
      }
    }
    check(batch, table, stream)
    write(batch, &table)
    tables[stream] = table
    commitCount += 1
    if crash == 2 {
      process.isDead = true
      throw .unavailable("the process was killed after COMMIT")
    }
  }

  private func check(_ batch: CommitBatch, _ table: Table, _ stream: StreamPartition) {
    if !batch.accounting.isConserved { violate("\(stream.stream): \(batch.accounting)") }
    if batch.checkpoint.sequence < table.checkpoint.sequence {
      violate("\(stream.stream) went back to \(batch.checkpoint.sequence)")
    }
    for row in batch.rows where row.start < table.checkpoint.seams[row.level] {
      if defect == nil { violate("a row of an expired window: \(row)") }
    }
  }

  private func write(_ batch: CommitBatch, _ table: inout Table) {
    for entry in batch.dimensions { table.tuples[entry.id] = entry.encoded }
    func key(_ row: WindowRow) -> RowKey {
      if table.tuples[row.dimensionID] == nil { violate("a row whose tuple was never written") }
      return RowKey(
        level: row.level, start: row.start, tuple: table.tuples[row.dimensionID] ?? [])
    }
    for row in batch.rows {
      table.rows[key(row)] = RowValue(counts: row.counts, revision: row.revision)
    }
    for delta in batch.deltas {
      table.rows[key(delta), default: RowValue()].counts += delta.counts
      table.rows[key(delta), default: RowValue()].revision += delta.revision
    }
    table.lateCount += batch.lateEvents.count
    table.accounting = batch.accounting
    table.checkpoint = batch.checkpoint
  }
}

/// A process: from its death on nothing of it reaches a store.
///
/// `@unchecked Sendable`: a simulation runs on one thread.
final class SimulatedHost: @unchecked Sendable {
  var isDead = false
}

/// One process's connection to the durable rows.
final class SimulatedViewStore: ViewStore {
  private let views: SimulatedViews
  private let process: SimulatedHost

  init(_ views: SimulatedViews, _ process: SimulatedHost) {
    self.views = views
    self.process = process
  }

  func claim(
    _ stream: StreamPartition, owner: String
  ) throws(ViewStoreError) -> (epoch: Int64, checkpoint: Checkpoint, accounting: Accounting) {
    if views.isAway || process.isDead { throw .unavailable("Postgres is away") }
    views.tables[stream, default: SimulatedViews.Table()].epoch += 1
    let table = views.tables[stream] ?? SimulatedViews.Table()
    return (table.epoch, table.checkpoint, table.accounting)
  }

  func committed(
    _ stream: StreamPartition
  ) throws(ViewStoreError) -> (checkpoint: Checkpoint, accounting: Accounting) {
    if views.isAway || process.isDead { throw .unavailable("Postgres is away") }
    let table = views.tables[stream] ?? SimulatedViews.Table()
    return (table.checkpoint, table.accounting)
  }

  func commit(
    _ batch: CommitBatch, stream: StreamPartition, epoch: Int64, previous: UInt64
  ) throws(ViewStoreError) {
    try views.commit(batch, stream, epoch, previous, process)
  }
}

/// The hot copies of all streams, which can be away, flushed, or set back to what they were.
///
/// `@unchecked Sendable`: a simulation runs on one thread.
final class SimulatedRedis: @unchecked Sendable {
  struct Copy {
    var header: HotHeader
    var rows: [RowKey: RowValue] = [:]
  }

  var copies: [StreamPartition: Copy] = [:]
  var saved: [StreamPartition: Copy] = [:]
  var isAway = false
}

/// One process's connection to the hot copies.
final class SimulatedHotStore: HotStore {
  private let redis: SimulatedRedis
  private let process: SimulatedHost

  init(_ redis: SimulatedRedis, _ process: SimulatedHost) {
    self.redis = redis
    self.process = process
  }

  private func reach() throws(HotStoreError) {
    if redis.isAway || process.isDead { throw .unavailable("Redis is away") }
  }

  func update(
    _ rows: [HotRow], stream: StreamPartition, previous: HotHeader, header: HotHeader,
    keepFrom: Seams
  ) throws(HotStoreError) {
    try reach()
    guard var copy = redis.copies[stream] else { throw .stale }
    if copy.header.epoch > header.epoch { throw .fenced }
    guard copy.header == previous else { throw .stale }
    Self.put(rows, &copy)
    copy.rows = copy.rows.filter { $0.key.start >= keepFrom[$0.key.level] }
    copy.header = header
    redis.copies[stream] = copy
  }

  func rebuild(
    _ rows: [HotRow], stream: StreamPartition, header: HotHeader
  ) throws(HotStoreError) {
    try reach()
    if let stored = redis.copies[stream], stored.header.epoch > header.epoch { throw .fenced }
    var copy = SimulatedRedis.Copy(header: header)
    Self.put(rows, &copy)
    redis.copies[stream] = copy
  }

  func header(of stream: StreamPartition) throws(HotStoreError) -> HotHeader? {
    try reach()
    return redis.copies[stream]?.header
  }

  private static func put(_ rows: [HotRow], _ copy: inout SimulatedRedis.Copy) {
    for hot in rows {
      copy.rows[RowKey(level: hot.row.level, start: hot.row.start, tuple: hot.tuple)] =
        RowValue(counts: hot.row.counts, revision: hot.row.revision)
    }
  }
}

/// The snapshots of one stream, on a disk that tears, loses and garbles them.
///
/// `@unchecked Sendable`: a simulation writes from the archive's thread only while it waits for it.
final class SimulatedDisk: SnapshotStore, @unchecked Sendable {
  private(set) var blobs: [String: [UInt8]] = [:]
  var process: SimulatedHost
  /// The next write keeps only so many bytes, and the process dies in it.
  var tearsAt: Int?

  init(_ process: SimulatedHost) { self.process = process }

  func write(_ name: String, _ bytes: [UInt8]) throws(SnapshotError) {
    if process.isDead { throw .io("the process is dead") }
    guard let kept = tearsAt else {
      blobs[name] = bytes
      return
    }
    tearsAt = nil
    blobs[name] = Array(bytes.prefix(kept % max(1, bytes.count)))
    process.isDead = true
    throw .io("the process was killed")
  }

  func read(_ name: String) throws(SnapshotError) -> [UInt8]? { blobs[name] }

  func remove(_ name: String) throws(SnapshotError) {
    if process.isDead { throw .io("the process is dead") }
    blobs[name] = nil
  }

  func names() throws(SnapshotError) -> [String] { blobs.keys.sorted() }

  func lose(_ random: inout SeededGenerator) {
    guard let name = blobs.keys.sorted().randomElement(using: &random) else { return }
    if random.once(in: 2) || blobs[name, default: []].isEmpty {
      blobs[name] = nil
    } else {
      let place = random.below(blobs[name, default: []].count)
      blobs[name]?[place] ^= UInt8(1 + random.below(255))
    }
  }
}
