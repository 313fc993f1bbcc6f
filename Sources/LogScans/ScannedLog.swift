public import Analyses
public import Dataflow
public import Ports

/// A log, and the pipeline by whose rules its events count.
public struct ScannedLog: Sendable {
  public var spec: PipelineSpec
  /// Of the events, rising.
  public var generations: [LogGeneration]
  /// Archive and streams as one.
  public var log: any EventLog
  /// Persons of whom nothing counts.
  public var erasures: PersonErasures
  /// How long what the log says of who is in a segment holds, microseconds; nil for ever.
  public var segmentMemory: Int64?

  public init(
    spec: PipelineSpec, generations: [LogGeneration], log: any EventLog,
    erasures: PersonErasures = PersonErasures(), segmentMemory: Int64? = nil
  ) {
    self.erasures = erasures
    self.segmentMemory = segmentMemory
    self.spec = spec
    self.generations = generations
    self.log = log
  }

  /// How far each stream reaches now: what a scan that begins now reads.
  ///
  /// - Parameter knownAt: leaves out what was stored later, microseconds since the epoch; nil for nothing.
  public func extent(knownAt: Int64? = nil) throws(LogError) -> ScanExtent {
    var ends: [StreamPartition: UInt64] = [:]
    for generation in generations {
      for (stream, end) in zip(generation.streamPartitions, generation.ends) {
        let last = try log.bounds(stream: stream.stream).last
        ends[stream] = end.map { min($0, last) } ?? last
      }
    }
    return ScanExtent(ends: ends, knownAt: knownAt)
  }
}

/// The part of a log that a scan reads.
public struct ScanExtent: Hashable, Sendable {
  /// The last frame of each stream that counts.
  public var ends: [StreamPartition: UInt64]
  /// The last stored time that counts, microseconds since the epoch; nil where all does.
  public var knownAt: Int64?

  public init(ends: [StreamPartition: UInt64], knownAt: Int64?) {
    self.ends = ends
    self.knownAt = knownAt
  }

  /// How far the clocks of this machine and of those that store frames may be apart, microseconds.
  private static let clockDifferenceMax: Int64 = 60_000_000

  /// Whether all that counts is stored: what comes later is stored later.
  ///
  /// - Parameter now: microseconds since the epoch.
  func isOver(at now: Int64) -> Bool {
    knownAt.map { $0 < now - Self.clockDifferenceMax } ?? false
  }
}
