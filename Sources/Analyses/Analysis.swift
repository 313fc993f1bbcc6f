public import Events
public import Operators

/// A question to the log: a fold over what counts of it.
///
/// The contract:
///
/// * **One for each stream.** Each stream of the log is read by an analysis of its own, frame after frame in order
///   of sequence, on one thread. At the end they are merged in order of generation and partition.
/// * **Whole frames.** ``add(_:_:at:)`` is called for a frame with events that count: nothing is dispatched for
///   an event. Copies of events and those that are too late are left out, by the rules of the pipeline's own
///   operators, so that a sum over all is what the read models have.
/// * **Pure.** No clock, no random source, no hash seeds: the same frames give the same answer.
/// * **Sets.** What is counted does not depend on the order in which events came, nor on how they are divided
///   among streams, as long as no limit is reached.
/// * **Bounded.** Every table has a maximum. What happens there is part of the answer, or an ``AnalysisError``
///   that says what to narrow.
public protocol Analysis: AnyObject, SendableMetatype {
  /// The event times that it wants to see, microseconds since the epoch. Others are left out of
  /// ``CountedEvents``.
  var times: Range<Int64> { get }

  /// Takes in what counts of a frame. The view is valid only during the call.
  func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment
  ) throws(AnalysisError)

  /// Takes in what another one has, which has read another stream for the same question, and is not used
  /// any more.
  func merge(_ other: Self) throws(AnalysisError)
}

/// Why an analysis cannot go on.
public enum AnalysisError: Error, Hashable, Sendable {
  /// There is no room for another one of these.
  case full(what: String, max: Int, advice: String)
  /// What finds copies of events has no room.
  case refused(OperatorError)
  /// What one stream handed to those that came after it.
  case handover(SnapshotFormatError)
}

extension AnalysisError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .full(let what, let max, let advice):
      "the question needs more than \(max) \(what); \(advice)"
    case .refused(let error): "\(error)"
    case .handover(let error): "what one stream hands to the next cannot be read: \(error)"
    }
  }
}
