public import Events

/// One step of a pipeline: a pure function of the frames of one partition.
///
/// The contract, in the manner of Hazelcast Jet's `Processor`:
///
/// * **Calls.** For every frame in order of sequence: ``advance(to:)`` with the moment that the
///   frame's stored time makes, then ``process(_:at:verdicts:)`` if the frame holds events. Between
///   two frames any number of ``drain(_:into:)``, and ``snapshot(_:into:)``. Never from two
///   threads, never nested. Heartbeats and frames that cannot be read are an `advance` alone.
/// * **Pure.** Everything an operator knows came through these calls. No clock but the moment, no
///   random source, no I/O, no hash seeds of the process. The same calls give the same verdicts,
///   outputs and snapshot bytes, on every machine and at any speed.
/// * **Batches.** A call handles a whole frame; nothing is dispatched, allocated or counted by
///   reference per event.
/// * **Verdicts.** One per event, in place: an operator reads what earlier ones decided and may
///   replace it. An event that an earlier operator refused is passed over.
/// * **Outputs** are in key order, and absolute values unless said otherwise: draining more or less
///   often changes how often a key is written, never what it says in the end. While a moment is
///   silent, outputs that cannot be repeated (corrections, late events) are not kept: they were
///   committed before the crash.
/// * **Snapshots** have a scope. `everything` gives bytes that are a function of the frames up to now:
///   not of drains, of earlier snapshots or of restores, and not of table sizes. Drained marks are
///   therefore not in it: after a restore everything in state counts as not yet written. `changes`
///   gives what has changed since the last snapshot or restore, cheaply: it is made on the thread
///   that processes, between two frames. An operator notes what changes as it goes, at next to no
///   cost per event and within a bound: past it, it forgets the notes, and the next `changes` is all
///   of its state, marked as such.
/// * **Restoring** is one `everything` or none, then each `changes` after it in order. State that
///   belongs to persons is laid out by key group; of groups that are not to be kept nothing is taken,
///   so that a partition can take its groups out of several others' snapshots, one after the other.
///   The bytes may be anything: a restore throws, and never traps. After a throw the operator is to
///   be thrown away. `changes` after a restore are those since it.
/// * **Limits.** Every table has a maximum. What happens there is either part of the result
///   (counted under another key) or an ``OperatorError`` thrown before anything was changed.
/// * **Time.** ``earliestTimer`` says when the passing of time alone would change something.
public protocol Operator: ~Copyable {
  /// Names the operator in errors and metrics: lower-case letters and hyphens.
  static var name: String { get }

  /// Moves log time and watermark forward; neither ever moves back.
  mutating func advance(to moment: FrameMoment)

  /// Takes in the events of a frame whose moment has been advanced to.
  mutating func process(
    _ frame: FrameView, at moment: FrameMoment, verdicts: inout Verdicts
  ) throws(OperatorError)

  /// Adds what has changed since the last drain of the same sort.
  mutating func drain(_ drain: Drain, into outbox: inout Outbox)

  /// The next watermark at which state changes by itself, microseconds since the epoch; nil if none.
  var earliestTimer: Int64? { get }

  /// What it holds, for metrics and limits.
  var stateSize: StateSize { get }

  /// About how many bytes `snapshot(.changes)` would write now.
  var changeByteCount: Int { get }

  /// Writes a section. May tidy internal buffers, which changes nothing that can be observed.
  mutating func snapshot(_ scope: SnapshotScope, into writer: inout SnapshotWriter)

  /// Forgets what has changed, as if a snapshot had been taken: the next `changes` are those from now
  /// on. Costs no more than noting them did.
  mutating func forgetChanges()

  /// Reads the section that ``snapshot(_:into:)`` wrote.
  ///
  /// - Parameter groups: the key groups whose state is taken; what is not laid out by group is
  ///   taken whole.
  mutating func restore(
    from reader: inout SnapshotReader, keeping groups: Range<Int>
  ) throws(SnapshotFormatError)
}

extension Operator where Self: ~Copyable {
  public mutating func drain(_ drain: Drain, into outbox: inout Outbox) {}
  public var earliestTimer: Int64? { nil }
}

/// Why an operator cannot take a frame in. Its state is as before the call.
public enum OperatorError: Error, Hashable, Sendable {
  /// The frame's events might not all fit beside the `count` that must still be remembered.
  case full(operator: String, count: Int, max: Int)
  /// That frame of a partition's partials does not come, though so many later ones have.
  case missing(generation: UInt32, partition: UInt32, number: UInt64, waiting: Int)
}

extension OperatorError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .full(let name, let count, let max):
      """
      \(name) remembers \(count) ids of at most \(max) and may not forget one early; raise \
      dedupe_count_max (about 35 bytes of memory each) or lower dedupe_horizon and start again
      """
    case .missing(let generation, let partition, let number, let waiting):
      """
      partial \(number) of partition \(partition) of generation \(generation) is not in the stream \
      of partials or cannot be read, though \(waiting) later ones are: that stream went back in time or \
      is damaged
      """
    }
  }
}
