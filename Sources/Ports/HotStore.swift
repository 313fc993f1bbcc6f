public import Dataflow
public import Views

/// What the hot copy of one stream holds.
public struct HotHeader: Hashable, Sendable {
  public var epoch: Int64
  /// The copy includes the effects of frames up to here.
  public var sequence: UInt64
  /// The last frame that corrected an expired window, whose correction is in Postgres alone.
  public var lastDeltaSequence: UInt64
  /// The committed sequence as its owner knew it.
  public var committedSequence: UInt64
  /// Rises with each complete rebuild of the copy.
  public var copy: Int64
  public var isComplete: Bool
  public var logTime: Int64
  public var watermark: Int64
  public var seams: Seams
  /// Of the second stage: the last frame of each source whose partials are in the copy.
  public var sources: [SourcePosition]
  /// Of the frame at ``sequence``: tells whether another owner's copy is of the same log.
  public var fingerprint: Checkpoint.Fingerprint

  /// How long windows stay in the copy after they expired, microseconds of log time: its owner keeps
  /// them, and a query that read durable rows of just before counts on it.
  public static let expiredKept: Int64 = 60_000_000

  public init(
    epoch: Int64, sequence: UInt64, lastDeltaSequence: UInt64, committedSequence: UInt64,
    copy: Int64, isComplete: Bool, logTime: Int64, watermark: Int64, seams: Seams,
    sources: [SourcePosition] = [],
    fingerprint: Checkpoint.Fingerprint = Checkpoint.Fingerprint(checksum: 0, storedAt: 0)
  ) {
    self.epoch = epoch
    self.sequence = sequence
    self.lastDeltaSequence = lastDeltaSequence
    self.committedSequence = committedSequence
    self.copy = copy
    self.isComplete = isComplete
    self.logTime = logTime
    self.watermark = watermark
    self.seams = seams
    self.sources = sources
    self.fingerprint = fingerprint
  }
}

public enum HotStoreError: Error, Hashable, Sendable {
  case unavailable(String)
  /// Has no room left, in memory or on disk. Try again: it may be given some.
  case full(String)
  /// The stored header is not what this owner wrote last: the copy must be written anew.
  case stale
  /// An owner with a higher epoch writes this copy.
  case fenced
  /// The store is not set up as the copy needs it, such as one that evicts keys.
  case refused(String)
}

/// The hot copy of the windows in state. Confined to one thread. A cache: losing it loses nothing.
public protocol HotStore: AnyObject {
  /// Rows that one update may have; for more the copy is written anew.
  var updateRowCountMax: Int { get }

  /// Replaces the changed rows, where the stored header is exactly `previous`.
  ///
  /// - Parameter keepFrom: the first start that is kept, per level; older windows are removed.
  func update(
    _ rows: [HotRow], stream: StreamPartition, previous: HotHeader, header: HotHeader,
    keepFrom: Seams
  ) throws(HotStoreError)

  /// Writes a complete copy beside the present one and swaps them in one step.
  func rebuild(
    _ rows: [HotRow], stream: StreamPartition, header: HotHeader
  ) throws(HotStoreError)

  /// The stored header, or nil where there is none.
  func header(of stream: StreamPartition) throws(HotStoreError) -> HotHeader?
}

extension HotStoreError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unavailable(let reason), .full(let reason): reason
    case .stale: "the stored copy is not what was written last"
    case .fenced: "another process writes this copy"
    case .refused(let reason): "refused: \(reason)"
    }
  }
}

extension HotStore {
  public var updateRowCountMax: Int { .max }
}
