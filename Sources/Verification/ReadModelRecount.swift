public import Dataflow
public import Ports

/// Recomputes one read model from the log and says which rows its tables must hold.
///
/// Frames of a stream come in order; those of different streams in any. Adding a read model is a file
/// with such a class and a line in ``ReadModels``.
public protocol ReadModelRecount: AnyObject {
  func begin(_ moment: Moment)
  func add(_ event: JudgedEvent, _ moment: Moment)
  func end(_ moment: Moment)
  /// The stream has come to the frame up to which its open hour and day rows are stored.
  func markCoarse(_ stream: StreamPartition)
  /// What is stored now that every stream has come to its checkpoint.
  func expected(at instant: Instant) -> [ExpectedTable]
}

extension ReadModelRecount {
  public func begin(_ moment: Moment) {}
  public func add(_ event: JudgedEvent, _ moment: Moment) {}
  public func end(_ moment: Moment) {}
  public func markCoarse(_ stream: StreamPartition) {}
}

/// The checkpoints at which tables are compared.
public struct Instant {
  public var checkpoints: [StreamPartition: Checkpoint]

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
}

/// Every read model that is verified, beside the activity windows, which the hot copy has too.
enum ReadModels {
  typealias Make = @Sendable (PipelineSpec, TupleNumbers) -> any ReadModelRecount

  static let others: [Make] = [
    { _, tuples in LateRecount(tuples: tuples) },
    { _, _ in AccountingRecount() },
    { _, _ in CheckpointRecount() },
  ]
}
