extension EventLog {
  /// The last frame of a stream that was stored before a time, by bisection: stored times rise with sequences, but
  /// for steps of the log's clock.
  ///
  /// - Parameters:
  ///   - last: the last frame to look at.
  ///   - time: microseconds since the epoch.
  /// - Returns: nil where the stream has nothing that old. The frame `last` itself is only returned where it is the
  ///   first one.
  public func lastFrame(
    of stream: String, upTo last: UInt64, storedBefore time: Int64
  ) throws(LogError) -> UInt64? {
    var low = try bounds(stream: stream).first
    guard low >= 1, low <= last else { return nil }
    func isEarlier(_ sequence: UInt64) throws(LogError) -> Bool {
      try frame(stream: stream, sequence: sequence).storedAt < time
    }
    guard try isEarlier(low) else { return nil }
    var high = last
    while high - low > 1 {
      let middle = low + (high - low) / 2
      if try isEarlier(middle) { low = middle } else { high = middle }
    }
    return low
  }

  /// The frames of a stream that were stored from a time until another, microseconds since the epoch.
  ///
  /// - Returns: nil where there are none.
  public func span(
    of stream: String, from begin: Int64, until end: Int64
  ) throws(LogError) -> LogSpan? {
    let (first, last) = try bounds(stream: stream)
    guard first >= 1, first <= last, begin < end else { return nil }
    let newest = try frame(stream: stream, sequence: last).storedAt
    func before(_ time: Int64) throws(LogError) -> UInt64? {
      newest < time ? last : try lastFrame(of: stream, upTo: last, storedBefore: time)
    }
    let from = try before(begin).map { $0 + 1 } ?? first
    guard let to = try before(end), from <= to else { return nil }
    return LogSpan(stream: stream, first: from, last: to)
  }
}

/// Frames of a stream that follow each other.
public struct LogSpan: Hashable, Sendable {
  public var stream: String
  public var first: UInt64
  public var last: UInt64

  public init(stream: String, first: UInt64, last: UInt64) {
    self.stream = stream
    self.first = first
    self.last = last
  }
}
