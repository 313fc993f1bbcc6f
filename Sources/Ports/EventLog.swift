/// A frame as the log stores it. Owns the bytes; they are valid while this object lives.
public protocol StoredFrame: AnyObject {
  /// Sequence in the stream, from 1, without gaps except where frames were purged.
  var sequence: UInt64 { get }
  /// When the log stored it, microseconds since the epoch.
  var storedAt: Int64 { get }
  var bytes: UnsafeRawBufferPointer { get }
}

/// Why the log gave nothing.
public enum LogError: Error, Hashable, Sendable {
  /// Cannot be reached now; the reader goes on by itself when it can be again.
  case unavailable(String)
  /// The frames from `from` up to and including `to` are no longer in the stream.
  case missing(stream: String, from: UInt64, to: UInt64)
  /// The stream ends before the wanted sequence: the log went back in time.
  case wentBack(stream: String, wanted: UInt64, last: UInt64)
  case refused(String)
}

/// Reads one stream in order, from a sequence on, for ever. Confined to one thread.
///
/// `next` never skips: a frame that cannot be had is an error. After `unavailable` the next call
/// tries again; nothing is lost or repeated.
public protocol FrameReader: AnyObject {
  /// Blocks for at most `timeoutMs`.
  ///
  /// - Returns: the next frames in order, at most some megabytes of them; empty on time-out.
  func next(timeoutMs: Int) throws(LogError) -> [any StoredFrame]
  /// The last sequence in the stream as far as known without asking: what lag is counted from.
  var lastKnownSequence: UInt64 { get }
}

/// Opens readers and answers questions about streams. Safe to use from any thread.
public protocol EventLog: AnyObject, Sendable {
  /// - Parameter after: the sequence after which to start; 0 for the beginning.
  func reader(stream: String, after: UInt64) throws(LogError) -> any FrameReader
  func frame(stream: String, sequence: UInt64) throws(LogError) -> any StoredFrame
  func bounds(stream: String) throws(LogError) -> (first: UInt64, last: UInt64)
}

/// What became of a published frame.
public enum PublishOutcome: Hashable, Sendable {
  /// Durable at this sequence; `duplicate` where an earlier copy was stored.
  case stored(sequence: UInt64, duplicate: Bool)
  /// Not known to be stored within the deadline; a copy may still be.
  case unavailable(String)
  /// The log has no room (its limits refuse new frames).
  case full(String)
  /// The stream takes no frames any more: its generation has ended.
  case sealed(String)
}

/// Publishes frames durably and in order per stream. Confined to one thread, which alternates
/// `publish` and `poll`.
public protocol FramePublisher: AnyObject {
  /// Frames published and not yet completed, of at most ``windowMax``.
  var inFlight: Int { get }
  var windowMax: Int { get }
  /// Hands a frame over without waiting.
  ///
  /// - Parameters:
  ///   - messageID: the same for every copy of the frame.
  ///   - token: comes back with the outcome.
  /// - Precondition: `inFlight < windowMax`.
  func publish(stream: String, messageID: String, frame: [UInt8], token: UInt64)
  /// Blocks for at most `timeoutMs` and returns outcomes, each token once.
  func poll(timeoutMs: Int) -> [(token: UInt64, outcome: PublishOutcome)]
  /// Makes a concurrent or the next `poll` return at once. May be called from any thread.
  func wake()
}
