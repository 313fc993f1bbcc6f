/// What the collector may use on the way from requests to the log.
public struct IngestParameters: Sendable {
  /// A frame is sealed before it would be longer, in bytes. Longer frames mean fewer syncs of the
  /// log's disk but a longer wait for each.
  public var frameBytesMax = 64 * 1024
  /// A frame is sealed at this number of events.
  public var frameEventsMax = 4096
  /// Frames of one partition that are published and not yet acknowledged. One is written while
  /// the next is on its way; more would only make frames smaller.
  public var framesInFlightMax = 2
  /// A frame with this many bytes of events goes at once. A shorter one waits while another of
  /// its partition is on its way, and until the next tick of ``frameIntervalMicros`` after it.
  public var longFrameBytes = 16 * 1024
  /// Time between ticks at which short frames go, all partitions' together. It bounds the frames
  /// per second, which cost the log a sync each; the first frame after a pause does not wait.
  public var frameIntervalMicros = 4000
  /// Bytes of events of one partition that wait for a frame; beyond it requests get a 503 before
  /// they are parsed.
  public var waitingBytesMax = 4 * 1024 * 1024
  /// How long a request waits for its frames, from when they were begun, before it gets a 503.
  public var answerDeadlineMs = 5000
  /// How long somebody who follows a link waits for the click to be durable, before arriving all the
  /// same; the click may become durable still.
  public var linkDeadlineMs = 1000
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
    // A frame that waits is at most one request longer than frameBytesMax.
    try Self.require("waitingBytesMax", waitingBytesMax, max(65_536, frameBytesMax)...1 << 32)
    try Self.require("answerDeadlineMs", answerDeadlineMs, 10...600_000)
    try Self.require("linkDeadlineMs", linkDeadlineMs, 1...600_000)
    try Self.require("retryAfterSeconds", retryAfterSeconds, 1...3600)
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
