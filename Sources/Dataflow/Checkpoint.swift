public import Views

/// What a stream holds.
public enum StreamRole: Sendable {
  /// One partition of the events.
  case events
  case deadLetters
  /// What a pipeline's first stage hands to its second.
  case partials
}

/// One stream as a pipeline's loop reads it.
public struct StreamPartition: Hashable, Sendable {
  /// Name of the JetStream stream and its only subject, such as `events-00`.
  public var stream: String
  public var generation: UInt32
  /// Number of the partition of the events. The dead letters have -1, a pipeline's partials -2; these
  /// are no part of positions.
  public var partition: Int

  public init(stream: String, generation: UInt32, partition: Int) {
    self.stream = stream
    self.generation = generation
    self.partition = partition
  }

  public var role: StreamRole {
    switch partition {
    case 0...: .events
    case -1: .deadLetters
    default: .partials
    }
  }

  /// The stream between the stages of a pipeline.
  public static func partials(of pipeline: PipelineSpec) -> StreamPartition {
    StreamPartition(stream: pipeline.partialsStream, generation: 0, partition: -2)
  }
}

/// Per level: windows that start before it have left the operators' state and are never reopened;
/// their values are in Postgres alone. Microseconds since the epoch.
public struct Seams: Hashable, Sendable {
  public var values: [Int64]

  public init() { values = Array(repeating: .min, count: WindowLevel.allCases.count) }

  public subscript(level: WindowLevel) -> Int64 {
    get { values[level.rawValue] }
    set { values[level.rawValue] = newValue }
  }
}

/// How far a pipeline's loop has committed a stream.
public struct Checkpoint: Hashable, Sendable {
  /// The last frame whose effects are committed; 0 for none.
  public var sequence: UInt64
  /// What the frame at `sequence` was: its checksum and its stored time. A log whose frame is
  /// another one went back in time.
  public var fingerprint: Fingerprint
  /// Running maximum of stored times, microseconds since the epoch.
  public var logTime: Int64
  public var watermark: Int64
  /// The last commit that wrote every changed hour and day row.
  public var coarseSequence: UInt64
  /// The last frame that corrected an expired window.
  public var lastDeltaSequence: UInt64
  public var seams: Seams
  /// Of the second stage: the last frame of each source whose partials are in it.
  public var sources: [SourcePosition] = []

  public init() {
    sequence = 0
    fingerprint = Fingerprint(checksum: 0, storedAt: 0)
    logTime = .min
    watermark = .min
    coarseSequence = 0
    lastDeltaSequence = 0
    seams = Seams()
  }

  public struct Fingerprint: Hashable, Sendable {
    public var checksum: UInt32
    /// Microseconds since the epoch.
    public var storedAt: Int64

    public init(checksum: UInt32, storedAt: Int64) {
      self.checksum = checksum
      self.storedAt = storedAt
    }
  }
}

/// Everything that one transaction writes for one stream of a pipeline.
public struct CommitBatch: Sendable {
  /// Tuples that rows below may be the first to use.
  public var dimensions: [DimensionEntry] = []
  /// What the places of `rows` and `deltas` hold.
  public var measure = Measure.activity
  /// Absolute values: they replace what is stored.
  public var rows: [WindowRow] = []
  /// Corrections of expired windows: they are added to what is stored.
  public var deltas: [WindowRow] = []
  public var lateEvents: [LateEvent] = []
  /// What windows count beside `rows`: exposures and baselines.
  public var experiments: [MeasuredRows] = []
  /// Hopping windows, absolute values.
  public var trends: [TrendRow] = []
  /// Incidents that have changed, absolute values, in order of their ids.
  public var incidents: [IncidentRow] = []
  public var accounting = Accounting()
  public var checkpoint = Checkpoint()

  public init() {}

  /// Rows and corrections of all measures.
  public var windows: [MeasuredRows] {
    [MeasuredRows(measure: measure, rows: rows, deltas: deltas)] + experiments
  }
}

/// What a transaction writes of the windows of one measure.
public struct MeasuredRows: Sendable {
  public var measure: Measure
  /// Absolute values.
  public var rows: [WindowRow]
  /// Added to what is stored.
  public var deltas: [WindowRow]

  public init(measure: Measure, rows: [WindowRow], deltas: [WindowRow]) {
    self.measure = measure
    self.rows = rows
    self.deltas = deltas
  }
}
