public import Ports

/// A log of which the beginning is lost: whoever reads it from the beginning gets what is left.
///
/// Anything else that is missing is an error as ever. Safe to use from any thread.
public final class RemainingLog: EventLog {
  private let log: any EventLog

  public init(_ log: any EventLog) { self.log = log }

  public func reader(stream: String, after: UInt64) throws(LogError) -> any FrameReader {
    guard after == 0 else { return try log.reader(stream: stream, after: after) }
    let first = try log.bounds(stream: stream).first
    return try log.reader(stream: stream, after: first > 0 ? first - 1 : 0)
  }

  public func frame(stream: String, sequence: UInt64) throws(LogError) -> any StoredFrame {
    try log.frame(stream: stream, sequence: sequence)
  }

  public func bounds(stream: String) throws(LogError) -> (first: UInt64, last: UInt64) {
    try log.bounds(stream: stream)
  }
}
