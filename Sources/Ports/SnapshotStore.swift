/// Named blobs that survive the process. Confined to one thread per pipeline and stream.
///
/// A snapshot is a cache of the log: a missing, torn or old one costs time, never correctness.
public protocol SnapshotStore: AnyObject {
  /// Replaces the blob in one step: after a crash it is the old one or the new one, whole.
  func write(_ name: String, _ bytes: [UInt8]) throws(SnapshotError)
  /// - Returns: nil where there is none.
  func read(_ name: String) throws(SnapshotError) -> [UInt8]?
  func remove(_ name: String) throws(SnapshotError)
  func names() throws(SnapshotError) -> [String]
}

public enum SnapshotError: Error, Hashable, Sendable {
  /// What failed, where and why, such as "write …/head: no space left on device".
  case io(String)
}

extension SnapshotError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .io(let reason): reason
    }
  }
}
