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
}
