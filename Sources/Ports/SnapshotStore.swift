/// Named blobs that survive the process: the snapshots of one pipeline and stream. Used from several
/// threads, but a name by one at a time.
///
/// A snapshot is a cache of the log: a missing, torn or old one costs time, never correctness. Names
/// hold lower-case letters, digits and `-`; what a name stands for never changes its meaning.
public protocol SnapshotStore: AnyObject, Sendable {
  /// Writes the blob in one step: after a crash it is there whole, or as it was before.
  func write(_ name: String, _ bytes: [UInt8]) throws(SnapshotError)
  /// - Returns: nil where there is none.
  func read(_ name: String) throws(SnapshotError) -> [UInt8]?
  /// Those of several blobs that are there, by name.
  func read(_ names: [String]) throws(SnapshotError) -> [String: [UInt8]]
  func remove(_ name: String) throws(SnapshotError)
  func names() throws(SnapshotError) -> [String]
}

extension SnapshotStore {
  /// One after the other, for stores that are not far away.
  public func read(_ names: [String]) throws(SnapshotError) -> [String: [UInt8]] {
    var blobs: [String: [UInt8]] = [:]
    for name in names { blobs[name] = try read(name) }
    return blobs
  }
}

public enum SnapshotError: Error, Hashable, Sendable {
  /// What failed, where and why, such as "write …/base-…: no space left on device".
  case io(String)
  /// As `io`, and the reason is that there is no room left.
  case full(String)
}

extension SnapshotError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .io(let reason), .full(let reason): reason
    }
  }
}
