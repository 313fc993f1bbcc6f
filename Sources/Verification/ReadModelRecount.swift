public import Dataflow
public import Ports

/// Recomputes one read model from the log and says which rows its tables must hold.
///
/// Frames of a stream come in order; those of different streams in any. Adding a read model is a file
/// with such a class and a line in ``ReadModels``.
public protocol ReadModelRecount: AnyObject {
  /// Whether the second stage writes it, which may be further on than the first has committed.
  var isOfSecondStage: Bool { get }
  func begin(_ moment: Moment)
  func add(_ event: JudgedEvent, _ moment: Moment)
  func end(_ moment: Moment)
  /// The stream has come to the frame up to which its open hour and day rows are stored.
  func markCoarse(_ stream: StreamPartition)
  /// The stream has come to the last frame that the second stage has taken in.
  func markHandedOn(_ stream: StreamPartition)
  /// What is stored now that every stream has come to its checkpoint.
  func expected(at instant: Instant) -> [ExpectedTable]
}

extension ReadModelRecount {
  public var isOfSecondStage: Bool { false }
  public func begin(_ moment: Moment) {}
  public func add(_ event: JudgedEvent, _ moment: Moment) {}
  public func end(_ moment: Moment) {}
  public func markCoarse(_ stream: StreamPartition) {}
  public func markHandedOn(_ stream: StreamPartition) {}
}

/// The checkpoints at which tables are compared.
public struct Instant {
  public var checkpoints: [StreamPartition: Checkpoint]

  /// Of the second stage; nil where there is none, or it has committed nothing.
  var secondStage: Checkpoint? {
    checkpoints.first { $0.key.role == .partials && $0.value.sequence > 0 }?.value
  }

  /// The log time of the slowest partition of the events: what retention counts back from.
  var slowestLogTime: Int64 {
    let events = checkpoints.filter { $0.key.role == .events }
    let generation = events.keys.map(\.generation).max()
    return events.filter { $0.key.generation == generation }.map(\.value.logTime).min() ?? .min
  }
}

/// A row as it must be stored.
public struct ExpectedRow: Hashable {
  public var values: [Int64]
  /// Its retention is over: it is dropped with its neighbours some time.
  public var mayBeMissing = false
}

/// Rows as they must be stored, by key. Nothing else may be.
public struct ExpectedTable {
  public var table: StoredTable
  public var rows: [[Int64]: ExpectedRow]
  /// The tuples that rows refer to, by id.
  public var tuples: [Int64: [UInt8]] = [:]
  /// Rows whose time, the first column of the key, is earlier are not compared.
  public var comparedFrom = Int64.min
  /// Nor are those whose time is this or later.
  public var comparedTo = Int64.max
  /// A row whose values but the last are all 0 says the same as no row.
  public var isSparse = false
}

/// Every read model that is verified, beside the activity windows, which the hot copy has too.
enum ReadModels {
  typealias Make = @Sendable (PipelineSpec, TupleNumbers, [LogGeneration]) -> any ReadModelRecount

  static let others: [Make] = [
    { _, tuples, _ in LateRecount(tuples: tuples) },
    { _, _, _ in AccountingRecount() },
    { _, _, _ in CheckpointRecount() },
    { OutcomeRecount(spec: $0, tuples: $1, generations: $2) },
    { spec, tuples, _ in TrendRecount(spec: spec, tuples: tuples) },
    { spec, tuples, _ in IncidentRecount(spec: spec, tuples: tuples) },
  ]
}
