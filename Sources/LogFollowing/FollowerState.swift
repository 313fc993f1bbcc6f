public import Events

/// How a follower stands to its log.
public struct FollowerState: Sendable, Hashable {
  /// `starting` becomes `reading`; any of them becomes `halted`, for ever.
  public enum Phase: Sendable, Hashable {
    /// It is not known yet what the log holds.
    case starting
    case reading
    /// What it read cannot be continued: why, and what to do.
    case halted(String)
  }

  public var phase = Phase.starting
  /// Why nothing comes from the log at the moment; nil while it can be reached.
  public var away: String?
  /// Of the generation that is being read.
  public var position = Position(generation: 0)
  /// The greatest stored time so far, microseconds since the epoch; `.min` before the first frame.
  public var logTime = Int64.min
  /// True once everything that was in the log at the beginning is read, and from then on.
  public var isCaughtUp = false
  /// Frames that the log is known to hold beyond those that were read.
  public var framesBehind: UInt64 = 0

  public init() {}

  /// What is wrong, for an operator; nil where nothing is.
  public var problem: String? {
    if case .halted(let reason) = phase { return reason }
    if let away { return "\(away); what was learned so far goes on answering" }
    if !isCaughtUp {
      return phase == .starting
        ? "the log is being looked at" : "\(framesBehind) frames of the log are still to be read"
    }
    return nil
  }
}
