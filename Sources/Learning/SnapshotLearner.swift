public import Events
public import States

/// A learner whose state outlives the process: it is restored as it was at a position of the log, and hears of what
/// comes after it alone.
///
///     log  ──────────────●─────────────────●─────────▶
///                     frozen            start: restored, and from here on as if it had read everything
///
/// A snapshot is a cache of the log: a missing, torn or old one costs time, never correctness. What was restored equals what was
/// frozen in everything that answers or later events can tell.
public protocol SnapshotLearner: Learner {
  /// Whose snapshots it can be restored from.
  var snapshotKey: LearnerSnapshotKey { get }

  /// The state as it is now, to be written by another thread. Called between frames on the thread that learns, so it takes
  /// a copy that is shared until something changes, and writes nothing.
  ///
  /// - Returns: what makes the bytes; see ``StateCodec``.
  func freeze() -> @Sendable () -> [UInt8]

  /// Takes over a state that was frozen under the same key, before the first frame. Where it throws, nothing has changed.
  func restore(_ bytes: [UInt8]) throws(StateError)

  /// As ``restore(_:)``, for one that is a ``Learner/successor()``: what it was told beforehand is taken back from the state.
  ///
  /// - Throws: also where that was learned so long before the snapshot that it cannot be taken back from it.
  func restoreSuccessor(_ bytes: [UInt8]) throws(StateError)
}

extension SnapshotLearner {
  /// It is told nothing that any state has not.
  public func restoreSuccessor(_ bytes: [UInt8]) throws(StateError) { try restore(bytes) }
}

/// Which learner's state something is, and what the state depends on beside the log.
public struct LearnerSnapshotKey: Hashable, Sendable {
  /// Of the kind of learner, such as `decisions`: at most 64 of a–z, 0–9 and `-`.
  public var name: String
  /// Of everything else: the number of the format, which is raised when fields or their meaning change, and what is declared.
  public var hash: UInt64

  /// - Parameters:
  ///   - format: raised with each change of the fields, or of what is learned from the same events.
  ///   - declared: everything that is declared and that the state depends on, as bytes.
  public init(name: String, format: UInt32, declared: [UInt8]) {
    self.name = name
    var hash = SipHash128()
    hash.update(field: "\(format)")
    declared.withUnsafeBytes { hash.update(field: $0) }
    self.hash = hash.finalize().low
  }
}

extension Key128: CodedElement {
  public static var blank: Key128 { .zero }

  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(number: &high)
    try codec.code(number: &low)
  }
}
