public import Dataflow
public import Ports
public import Views

/// Why a pipeline could not be verified; nothing is said about its numbers.
public enum VerifyError: Error, Sendable {
  case log(LogError)
  case store(ViewStoreError)
}

/// Recomputes every read model of a pipeline version from the log, and compares it row by row with
/// what is stored.
///
/// Exact while traffic flows: the log is recounted up to where the tables were a moment ago; then one
/// instant of the tables is held, the log is recounted up to exactly what that instant has committed,
/// and the two are compared. What goes on behind it is not seen.
///
///     recount ───────────────▶│ coarse sequence ─▶ sequence │ compare
///     (no transaction)        └── one Postgres snapshot ─────────────┘
///
/// Confined to one thread. See ``StreamRecount`` for what it keeps in memory.
public final class Verifier {
  public struct Progress: Sendable {
    /// Frames recounted so far, and in all as far as known.
    public var done: UInt64
    public var total: UInt64
  }

  public struct Report: Sendable {
    /// In the order of the catalog.
    public var tables: [TableFinding] = []
    /// The sequence of each stream at which tables were compared.
    public var sequences: [StreamPartition: UInt64] = [:]
    /// Sealed streams that are committed to their end: their hot copies are read by nobody.
    public var finished: Set<StreamPartition> = []
  }

  private let spec: PipelineSpec
  private let log: any EventLog
  private let tuples = TupleNumbers()
  private let activity: ActivityRecount
  private let models: [any ReadModelRecount]
  private var streams: [StreamPartition: RecountedStream] = [:]
  private var total: UInt64 = 0
  private let progress: (Progress) -> Void

  /// The frames that are left to be read while the instant is held, at most, unless traffic is
  /// faster than the recount.
  private static let remainderMax: UInt64 = 2_000
  private static let roundsMax = 8

  /// - Parameter generations: of the events, rising.
  public init(
    _ spec: PipelineSpec, generations: [LogGeneration], log: any EventLog,
    progress: @escaping (Progress) -> Void = { _ in }
  ) {
    self.spec = spec
    self.log = log
    self.progress = progress
    activity = ActivityRecount(spec: spec, tuples: tuples)
    models = [activity] + ReadModels.others.map { [tuples] in $0(spec, tuples, generations) }
  }

  /// Compares every table.
  public func verify(_ stored: any StoredTableReader) throws(VerifyError) -> Report {
    for _ in 0..<Self.roundsMax {
      let checkpoints = try storing { () throws(ViewStoreError) in
        try stored.instant { (tables) throws(ViewStoreError) in try tables.checkpoints() }
      }
      let targets = targets(checkpoints)
      total = targets.reduce(0) { $0 + $1.value }
      let left = targets.reduce(0) { $0 + $1.value - min($1.value, position($1.key)) }
      if left <= Self.remainderMax { break }
      for (stream, sequence) in targets.sorted(by: { Self.precedes($0.key, $1.key) }) {
        try advance(stream, to: sequence)
      }
    }
    var failure: VerifyError?
    let report: Report? = try storing { () throws(ViewStoreError) in
      try stored.instant { (tables) throws(ViewStoreError) in
        do throws(VerifyError) {
          return try compare(tables)
        } catch {
          failure = error
          return nil
        }
      }
    }
    if let failure { throw failure }
    return report ?? Report()
  }

  /// How far streams may be recounted before the instant is known: tables are never older than that
  /// at it.
  private func targets(
    _ checkpoints: [StreamPartition: Checkpoint]
  ) -> [StreamPartition: UInt64] {
    var targets: [StreamPartition: UInt64] = [:]
    let handedOn = handedOn(checkpoints)
    for (stream, checkpoint) in checkpoints where stream.role != .partials {
      targets[stream] =
        stream.role == .events
        ? min(checkpoint.coarseSequence, handedOn[stream] ?? .max) : checkpoint.sequence
    }
    return targets
  }

  /// How far the second stage has taken each partition in; empty where there is none.
  private func handedOn(
    _ checkpoints: [StreamPartition: Checkpoint]
  ) -> [StreamPartition: UInt64] {
    guard spec.hasSecondStage else { return [:] }
    let sources = checkpoints.first { $0.key.role == .partials }?.value.sources ?? []
    var handedOn: [StreamPartition: UInt64] = [:]
    for stream in checkpoints.keys where stream.role == .events {
      handedOn[stream] =
        sources.first {
          $0.generation == stream.generation && $0.partition == stream.partition
        }?.sequence ?? 0
    }
    return handedOn
  }

  private func compare(_ tables: any StoredTables) throws(VerifyError) -> Report {
    let checkpoints = try storing { () throws(ViewStoreError) in try tables.checkpoints() }
    var report = Report()
    let ordered = checkpoints.filter { $0.key.role != .partials && $0.value.sequence > 0 }
      .sorted { Self.precedes($0.key, $1.key) }
    total = ordered.reduce(0) { $0 + $1.value.sequence }
    let handedOn = handedOn(checkpoints)
    for (stream, checkpoint) in ordered {
      var stops: [(sequence: UInt64, mark: (any ReadModelRecount) -> Void)] = []
      if stream.role == .events {
        stops.append((checkpoint.coarseSequence, { $0.markCoarse(stream) }))
        if let sequence = handedOn[stream], sequence <= checkpoint.sequence {
          stops.append((sequence, { $0.markHandedOn(stream) }))
        }
      }
      for stop in stops.sorted(by: { $0.sequence < $1.sequence }) {
        try advance(stream, to: stop.sequence)
        for model in models { stop.mark(model) }
      }
      try advance(stream, to: checkpoint.sequence)
      report.sequences[stream] = checkpoint.sequence
      if checkpoint.isFinished { report.finished.insert(stream) }
    }
    var comparison = Comparison(checkpoints: checkpoints)
    for model in models where !model.isOfSecondStage {
      try comparison.add(model, tables)
    }
    // What the first stage has handed on may have been committed by the second before the first.
    for (stream, checkpoint) in ordered {
      guard let sequence = handedOn[stream], sequence > checkpoint.sequence else { continue }
      try advance(stream, to: sequence)
      for model in models { model.markHandedOn(stream) }
    }
    for model in models where model.isOfSecondStage { try comparison.add(model, tables) }
    report.tables = try comparison.finish(tables)
    return report
  }

  /// Findings by table, and the tuples that rows refer to.
  private struct Comparison {
    let checkpoints: [StreamPartition: Checkpoint]
    private var findings: [TableFinding] = []
    private var tuples: [Int64: [UInt8]] = [:]

    init(checkpoints: [StreamPartition: Checkpoint]) { self.checkpoints = checkpoints }

    mutating func add(
      _ model: any ReadModelRecount, _ tables: any StoredTables
    ) throws(VerifyError) {
      for expected in model.expected(at: Instant(checkpoints: checkpoints)) {
        var finding = TableFinding(table: expected.table.name)
        do throws(ViewStoreError) {
          try TableComparison.compare(expected, with: tables, into: &finding)
        } catch {
          throw .store(error)
        }
        if let place = findings.firstIndex(where: { $0.table == finding.table }) {
          findings[place].add(finding)
        } else {
          findings.append(finding)
        }
        tuples.merge(expected.tuples) { $1 }
      }
    }

    func finish(_ tables: any StoredTables) throws(VerifyError) -> [TableFinding] {
      var dimensions = TableFinding(table: "dimensions")
      do throws(ViewStoreError) {
        try TableComparison.compare(tuples: tuples, with: tables, into: &dimensions)
      } catch {
        throw .store(error)
      }
      return findings + [dimensions]
    }
  }

  // MARK: The hot copy

  /// What a partition's hot copy was found to hold.
  public enum HotFinding: Sendable {
    case compared(TableFinding)
    /// The copy is older than what was compared before.
    case behind(sequence: UInt64)
  }

  /// Compares rows of one level of a stream's hot copy, after ``verify(_:)``.
  ///
  /// - Parameters:
  ///   - header: of the moment at which `rows` were read; later than that of any call before.
  ///   - rows: all rows of the level.
  public func compareHot(
    _ stream: StreamPartition, _ level: WindowLevel, header: HotHeader, rows: [HotRow]
  ) throws(VerifyError) -> HotFinding {
    guard header.sequence >= position(stream) else { return .behind(sequence: header.sequence) }
    try advance(stream, to: header.sequence)
    let watermark = streams[stream]?.recount.watermark ?? .min
    var finding = TableFinding(table: "hot copy \(level.name)")
    if header.watermark != watermark {
      finding.differs(
        "\(stream.stream): expected watermark=\(watermark); stored watermark=\(header.watermark)")
    }
    var left: [[Int64]: (values: [Int64], tuple: String)] = [:]
    for row in activity.live(stream, watermark: watermark) where row.key.level == level {
      left[[row.key.start, row.id]] = (
        row.value.counts.values
          + [Int64(row.value.revision), row.key.end <= watermark ? 1 : 0],
        TableComparison.text(tuples.tuples[row.key.tuple])
      )
    }
    for hot in rows where hot.row.start >= header.seams[level] {
      finding.rowCount += 1
      let values =
        hot.row.counts.values + [Int64(hot.row.revision), hot.row.isFinal ? 1 : 0]
      let expected = left.removeValue(forKey: [hot.row.start, hot.row.dimensionID])
      guard expected?.values == values else {
        finding.differs(
          "\(stream.stream) start=\(hot.row.start) (\(TableComparison.text(hot.tuple))):"
            + " expected \(expected.map { "\($0.values)" } ?? "nothing"); stored \(values)")
        continue
      }
    }
    if let (key, value) = left.min(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      finding.rowCount += left.count
      finding.differs(
        "\(stream.stream) start=\(key[0]) (\(value.tuple)): expected \(value.values);"
          + " stored nothing")
      finding.differenceCount += left.count - 1
    }
    return .compared(finding)
  }

  // MARK: Reading

  private func position(_ stream: StreamPartition) -> UInt64 { streams[stream]?.position ?? 0 }

  /// Generations come in order, because a later one begins with what the earlier one knew.
  private static func precedes(_ a: StreamPartition, _ b: StreamPartition) -> Bool {
    a.generation != b.generation ? a.generation < b.generation : a.stream < b.stream
  }

  private func advance(_ stream: StreamPartition, to sequence: UInt64) throws(VerifyError) {
    // A stream of a generation that waits for the one before has not begun.
    if sequence == 0 { return }
    let earlier = streams.keys.filter { $0.role == .events && $0.generation < stream.generation }
    let before = earlier.map(\.generation).max()
    let recounted =
      streams[stream]
      ?? RecountedStream(
        StreamRecount(
          stream, spec: spec, tuples: tuples, models: models,
          after: stream.role == .events
            ? earlier.filter { $0.generation == before }.compactMap { streams[$0]?.recount } : []),
        log: log)
    streams[stream] = recounted
    do throws(LogError) {
      try recounted.advance(to: sequence) { _ in
        let done = streams.values.reduce(0) { $0 + $1.position }
        progress(Progress(done: done, total: max(total, done)))
      }
    } catch {
      throw .log(error)
    }
  }

  private func storing<Value>(
    _ body: () throws(ViewStoreError) -> Value
  ) throws(VerifyError) -> Value {
    do throws(ViewStoreError) {
      return try body()
    } catch {
      throw .store(error)
    }
  }
}
