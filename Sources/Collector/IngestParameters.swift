/// What the collector may use on the way from requests to the log.
public struct IngestParameters: Sendable {
  /// A frame is sealed before it would be longer, in bytes. Longer frames mean fewer syncs of the
  /// log's disk but a longer wait for each.
  public var frameBytesMax = 512 * 1024
  /// A frame is sealed at this number of events.
  public var frameEventsMax = 4096
  /// Frames of one partition that are published and not yet acknowledged. One is written while
  /// the next is on its way; more would only make frames smaller.
  public var framesInFlightMax = 2
  /// A frame with this many bytes of events goes at once; with up to twice as many where much more than two frames'
  /// worth is on its way. A shorter one waits while another of
  /// its partition is on its way, and for ``frameIntervalMicros`` after it.
  public var longFrameBytes = 320 * 1024
  /// How long after a short frame of a partition the next one goes at the latest, unless that one is still on its way.
  /// It bounds the frames per second, which cost the log a sync each; the first frame after a pause does not
  /// wait, nor do those that have most of what is on its way (``CommitRound``).
  public var frameIntervalMicros = 4000
  /// A frame with this many bytes of events is one of a crowd: it may wait for twice as long, because at that
  /// load half as many syncs are worth more than a shorter wait. Some thousand single events per second and
  /// partition.
  public var crowdedFrameBytes = 6 * 1024
  /// Bytes of live events of one partition that wait for a frame; beyond it requests with events of
  /// this partition get a 503. Old ones may have half of that, one write key and one person a part
  /// of it (``LaneShares``).
  public var waitingBytesMax = 4 * 1024 * 1024
  /// Bytes of events of all partitions that wait; beyond it all requests get a 503, before they are
  /// parsed.
  public var waitingBytesTotalMax = 64 * 1024 * 1024
  /// An event that happened so many seconds before it came is old: it waits behind live ones.
  public var oldAfterSeconds = 3600
  /// While live frames wait, one of so many frames is of old events.
  public var oldFrameEvery = 10
  /// How long a request waits for its frames, from when they were begun, before it gets a 503.
  public var answerDeadlineMs = 5000
  /// How long frames wait for the log where there is a ``Spool``, before they go into it.
  public var spoolAfterMs = 1000
  /// A stream whose frames in the spool have at most so many bytes is about to be drained: new frames
  /// wait for that instead of going into the spool too.
  public var spoolHoldBytes = 1024 * 1024
  /// How long somebody who follows a link waits for the click to be durable, before arriving all the
  /// same; the click may become durable still.
  public var linkDeadlineMs = 1000
  /// So long a write key whose share is exceeded is refused before its requests are parsed.
  public var sharePauseMs = 50
  /// What a 503 asks clients to wait, in seconds.
  public var retryAfterSeconds = 1

  public init() {}

  /// - Throws: ``IngestParameterError`` naming the first value outside its range.
  func check() throws(IngestParameterError) {
    try Self.require("frameBytesMax", frameBytesMax, 1024...1_048_576)
    try Self.require("frameEventsMax", frameEventsMax, 1...1_000_000)
    try Self.require("framesInFlightMax", framesInFlightMax, 1...64)
    try Self.require("longFrameBytes", longFrameBytes, 1...frameBytesMax)
    try Self.require("frameIntervalMicros", frameIntervalMicros, 0...1_000_000)
    try Self.require("crowdedFrameBytes", crowdedFrameBytes, 1...1_048_576)
    // A frame that waits is at most one request longer than frameBytesMax.
    try Self.require("waitingBytesMax", waitingBytesMax, max(65_536, frameBytesMax)...1 << 32)
    try Self.require("waitingBytesTotalMax", waitingBytesTotalMax, waitingBytesMax...1 << 36)
    try Self.require("oldAfterSeconds", oldAfterSeconds, 1...1 << 31)
    try Self.require("oldFrameEvery", oldFrameEvery, 2...1000)
    try Self.require("answerDeadlineMs", answerDeadlineMs, 10...600_000)
    try Self.require("spoolAfterMs", spoolAfterMs, 10...600_000)
    try Self.require("spoolHoldBytes", spoolHoldBytes, 0...1 << 30)
    try Self.require("linkDeadlineMs", linkDeadlineMs, 1...600_000)
    try Self.require("sharePauseMs", sharePauseMs, 0...60_000)
    try Self.require("retryAfterSeconds", retryAfterSeconds, 1...3600)
  }

  func isOld(_ eventTime: Int64, receivedAt: Int64) -> Bool {
    eventTime < receivedAt - Int64(oldAfterSeconds) * 1_000_000
  }

  private static func require(
    _ name: String, _ value: Int, _ allowed: ClosedRange<Int>
  ) throws(IngestParameterError) {
    if !allowed.contains(value) {
      throw IngestParameterError(name: name, value: value, allowed: allowed)
    }
  }
}

/// A parameter of the collector is outside its range.
public struct IngestParameterError: Error, Hashable, Sendable, CustomStringConvertible {
  public let name: String
  public let value: Int
  public let allowed: ClosedRange<Int>

  public var description: String {
    "collector: \(name) is \(value); allowed is \(allowed.lowerBound) to \(allowed.upperBound)"
  }
}
