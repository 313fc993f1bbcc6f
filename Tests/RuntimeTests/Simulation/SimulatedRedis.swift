import Dataflow
import Ports
import Views

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

/// One process's connection to the hot copies. An update is one script: all of it or nothing.
final class SimulatedHotStore: HotStore {
  private let redis: SimulatedRedis
  private let process: SimulatedHost
  private let faults: Faults

  init(_ redis: SimulatedRedis, _ process: SimulatedHost, _ faults: Faults) {
    self.redis = redis
    self.process = process
    self.faults = faults
  }

  func update(
    _ rows: [HotRow], stream: StreamPartition, previous: HotHeader, header: HotHeader,
    keepFrom: Seams
  ) throws(HotStoreError) {
    try begin()
    guard var copy = redis.copies[stream] else { throw .stale }
    if copy.header.epoch > header.epoch { throw .fenced }
    guard copy.header == previous else { throw .stale }
    Self.put(rows, &copy)
    copy.rows = copy.rows.filter { $0.key.start >= keepFrom[$0.key.level] }
    copy.header = header
    redis.copies[stream] = copy
    try end()
  }

  func rebuild(
    _ rows: [HotRow], stream: StreamPartition, header: HotHeader
  ) throws(HotStoreError) {
    try begin()
    if let stored = redis.copies[stream], stored.header.epoch > header.epoch { throw .fenced }
    var copy = SimulatedRedis.Copy(header: header)
    Self.put(rows, &copy)
    redis.copies[stream] = copy
    try end()
  }

  func header(of stream: StreamPartition) throws(HotStoreError) -> HotHeader? {
    try reach()
    return redis.copies[stream]?.header
  }

  private func reach() throws(HotStoreError) {
    if redis.isAway || process.isDead { throw .unavailable("Redis is away") }
  }

  private func begin() throws(HotStoreError) {
    try reach()
    if faults.strikes(.killedBeforeHotUpdate, onceIn: 60) { throw died() }
    if faults.strikes(.hotUpdateLost, onceIn: 40) { throw .unavailable("not sent") }
  }

  /// The store has done as it was told; whoever told it may not hear of it.
  private func end() throws(HotStoreError) {
    if faults.strikes(.killedAfterHotUpdate, onceIn: 60) { throw died() }
    if faults.strikes(.hotAnswerLost, onceIn: 40) { throw .unavailable("no answer") }
  }

  private func died() -> HotStoreError {
    process.die()
    return .unavailable("the process was killed")
  }

  private static func put(_ rows: [HotRow], _ copy: inout SimulatedRedis.Copy) {
    for hot in rows {
      copy.rows[RowKey(level: hot.row.level, start: hot.row.start, tuple: hot.tuple)] =
        RowValue(counts: hot.row.counts, revision: hot.row.revision)
    }
  }
}
