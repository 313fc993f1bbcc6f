import Ports

/// Somebody who is told of incidents. Confined to one thread, which it may block for some seconds.
protocol IncidentReceiver: AnyObject {
  func tell(_ notice: IncidentNotice) -> ReceiverAnswer
}

/// What became of a notice.
enum ReceiverAnswer: Hashable, Sendable {
  /// Durable there. `sequence`: where, for a log.
  case accepted(sequence: UInt64)
  /// It will not take this one; another one may pass.
  case refused(String)
  /// It takes nothing now.
  case away(String, retryAfterMs: Int64?)
  /// It wants to be told nothing any more.
  case gone
}
