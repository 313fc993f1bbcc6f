public import Operators

/// What could be used of the snapshots, and from where the log must be read.
public struct RestoreReport: Hashable, Sendable {
  public enum Finding: Hashable, Sendable {
    /// There is no snapshot: everything is replayed.
    case missing
    /// The base cannot be read: everything is replayed.
    case baseUnusable(SnapshotFormatError)
    /// An increment cannot be read: it and those after it are not used.
    case incrementUnusable(after: UInt64, SnapshotFormatError)
    /// A snapshot is of a frame that was not committed (the read model is older than it was): it and
    /// those after it are not used.
    case ahead(sequence: UInt64, committed: UInt64)
    /// An increment does not start where the state before it ends: it and those after it are not used.
    case gap(from: UInt64, position: UInt64)
  }

  /// The sequence up to which state was restored, after which to read; 0 if it was not.
  public var replayAfter: UInt64
  /// Everything that was not as it should be; empty after an orderly restart.
  public var findings: [Finding]

  public init(replayAfter: UInt64, findings: [Finding]) {
    self.replayAfter = replayAfter
    self.findings = findings
  }
}
