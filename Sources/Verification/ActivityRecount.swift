public import Dataflow
import Events
import Ports
public import Views

/// Activity windows of all levels: tables `metrics_10s`, `metrics_1m`, `metrics_1h`, `metrics_1d`.
///
/// Each partition has rows of its own. 10 s and 1 min rows are stored once they are final; open hour
/// and day rows as they were at the checkpoint's coarse sequence.
public final class ActivityRecount: ReadModelRecount {
  /// A window of a tuple, by the tuple's number.
  public struct Key: Hashable {
    public var level: WindowLevel
    public var start: Int64
    public var tuple: Int

    public var end: Int64 { start + level.length }
  }

  public struct Value: Hashable {
    public var counts = Counts()
    public var revision: Int32 = 0
  }

  /// What one partition of the events has counted.
  public struct Partition {
    public fileprivate(set) var rows: [Key: Value] = [:]
    /// Events that counted for `(other)`.
    public fileprivate(set) var overflowed: Int64 = 0
    /// Rows that the present frame has changed after they were final.
    fileprivate var revised: Set<Key> = []
    /// The watermark up to which a tuple has a window in state.
    fileprivate var liveUntil: [Int: Int64] = [:]
    /// How many tuples share such a watermark.
    fileprivate var liveCounts: [Int64: Int] = [:]
    fileprivate var isPastCoarse = false
    /// Hour and day rows as they were when the coarse sequence was reached, of those that have
    /// changed since; nil where there was none.
    fileprivate var coarse: [Key: Value?] = [:]
  }

  public private(set) var partitions: [StreamPartition: Partition] = [:]
  private let spec: PipelineSpec
  private let tuples: TupleNumbers

  public init(spec: PipelineSpec, tuples: TupleNumbers) {
    self.spec = spec
    self.tuples = tuples
  }

  // MARK: Counting

  public func add(_ event: JudgedEvent, _ moment: Moment) {
    guard event.verdict == .onTime || event.verdict == .late, (1...5).contains(event.kind) else {
      return
    }
    add(event, moment, &partitions[moment.stream, default: Partition()])
  }

  private func add(_ event: JudgedEvent, _ moment: Moment, _ partition: inout Partition) {
    let tuple = admitted(event.tuple, moment, &partition)
    for level in WindowLevel.allCases {
      let key = Key(level: level, start: level.start(of: event.time), tuple: tuple)
      if isExpired(key, watermark: moment.watermark) {
        if let retention = level.retention, key.end + retention <= moment.logTime { continue }
      } else {
        keep(tuple, until: key.end + spec.windowGrace, &partition)
      }
      let before = partition.rows[key]
      if partition.isPastCoarse, level.isCoarse, partition.coarse[key] == nil {
        partition.coarse[key] = .some(before)
      }
      var value = before ?? Value()
      value.counts.add(kind: event.kind, revenueMicros: event.revenueMicros)
      partition.rows[key] = value
      if key.end <= moment.watermark { partition.revised.insert(key) }
    }
  }

  /// A window is in state until the watermark has passed its end by the grace.
  public func isExpired(_ key: Key, watermark: Int64) -> Bool {
    watermark >= key.end + spec.windowGrace
  }

  /// A frame raises a final row's revision by one, however many of its events change it.
  public func end(_ moment: Moment) {
    guard let revised = partitions[moment.stream]?.revised, !revised.isEmpty else { return }
    for key in revised { partitions[moment.stream]?.rows[key]?.revision += 1 }
    partitions[moment.stream]?.revised = []
  }

  // MARK: Too many tuples

  private func admitted(_ tuple: Int, _ moment: Moment, _ partition: inout Partition) -> Int {
    if let until = partition.liveUntil[tuple], until > moment.watermark { return tuple }
    partition.liveCounts = partition.liveCounts.filter { $0.key > moment.watermark }
    if partition.liveCounts.values.reduce(0, +) < spec.tupleCountMax { return tuple }
    partition.overflowed += 1
    return tuples.other(of: tuple)
  }

  private func keep(_ tuple: Int, until: Int64, _ partition: inout Partition) {
    let before = partition.liveUntil[tuple] ?? .min
    guard until > before else { return }
    partition.liveUntil[tuple] = until
    partition.liveCounts[until, default: 0] += 1
    if let count = partition.liveCounts[before] {
      partition.liveCounts[before] = count == 1 ? nil : count - 1
    }
  }

  // MARK: Tables

  public func markCoarse(_ stream: StreamPartition) {
    partitions[stream, default: Partition()].isPastCoarse = true
  }

  public func expected(at instant: Instant) -> [ExpectedTable] {
    let slowest = instant.slowestLogTime
    var tables = WindowLevel.allCases.map {
      ExpectedTable(
        table: .windows("metrics_\($0.name)", sums: Measure.activityColumns), rows: [:])
    }
    for (stream, partition) in partitions {
      guard let checkpoint = instant.checkpoints[stream] else { continue }
      for (key, current) in partition.rows {
        // At the end of a sealed stream every window is closed.
        let isFinal = key.end <= checkpoint.watermark || checkpoint.isFinished
        var value: Value? = current
        if !isFinal {
          guard key.level.isCoarse else { continue }
          if let earlier = partition.coarse[key] { value = earlier }
        }
        guard let value else { continue }
        let id = tuples.identifier(key.tuple)
        let level = key.level.rawValue
        tables[level].rows[[key.start, id, stream.source]] = ExpectedRow(
          values: value.counts.values + [Int64(value.revision), isFinal ? 1 : 0],
          mayBeMissing: key.level.retention.map { key.end + $0 <= slowest } ?? false)
        tables[level].tuples[id] = tuples.tuples[key.tuple]
      }
    }
    return tables
  }

  /// Rows of windows in state at the present frame: what the hot copy holds, by start, level and id.
  public func live(
    _ stream: StreamPartition, watermark: Int64
  ) -> [(key: Key, id: Int64, value: Value)] {
    (partitions[stream]?.rows ?? [:]).filter { !isExpired($0.key, watermark: watermark) }.map {
      ($0.key, tuples.identifier($0.key.tuple), $0.value)
    }
  }
}

extension Measure {
  static let activityColumns = [
    "impressions", "views", "clicks", "engagements", "conversions", "revenue_micros",
  ]
}

extension StoredTable {
  /// A table of the second stage: six sums, without revisions.
  static func sums(_ name: String, time: String, _ sums: [String]) -> StoredTable {
    var table = windows(name, time: time, sums: sums)
    table.values.removeAll { $0.name == "revision" }
    return table
  }

  /// A table of windows with six sums.
  static func windows(_ name: String, time: String = "window_start", sums: [String]) -> StoredTable
  {
    StoredTable(
      name: name,
      key: [
        StoredColumn(time, .time), StoredColumn("dimension_id"), StoredColumn("source", .int4),
      ],
      values: sums.map { StoredColumn($0) }
        + [StoredColumn("revision", .int4), StoredColumn("final", .bool)])
  }
}

extension StreamPartition {
  /// Which rows are this stream's: generation and partition in one number.
  var source: Int64 { Int64(generation) << 8 | Int64(partition) }
}

extension Counts {
  var values: [Int64] {
    [impressions, views, clicks, engagements, conversions, revenueMicros]
  }
}
