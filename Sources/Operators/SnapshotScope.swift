/// How much of its state an operator writes.
public enum SnapshotScope: Sendable {
  /// All of it, in canonical form: bytes that follow from the frames alone, whatever was drained,
  /// saved or restored before, and however large tables are.
  case everything
  /// What has changed since the last snapshot of either scope or the last restore, in any order: to
  /// be restored after everything before it.
  case changes
}

/// How large an operator's state is, and what bounds it.
public struct StateSize: Hashable, Sendable {
  /// What the operator's limit counts: ids, tuples, persons, …
  public var keyCount: Int
  public var keyCountMax: Int
  /// Memory, about.
  public var byteCount: Int

  public init(keyCount: Int, keyCountMax: Int, byteCount: Int) {
    self.keyCount = keyCount
    self.keyCountMax = keyCountMax
    self.byteCount = byteCount
  }
}
