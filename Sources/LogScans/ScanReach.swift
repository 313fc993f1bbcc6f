public import Analyses
import Dataflow
public import Events

/// How far a scan has read one stream, and what it found there.
struct StreamOutcome {
  /// The last frame that was read.
  var sequence: UInt64 = 0
  var logTime = Int64.min
  var watermark = Int64.min
  var tally = StreamJudge.Tally()
}

/// How much of the log an answer is made of.
public struct ScanReach: Hashable, Sendable {
  /// Of the newest generation that was read.
  public private(set) var position: Position?
  /// No event on time is older; nil before the first event. Microseconds since the epoch.
  public private(set) var watermark: Int64?
  /// When the log stored the newest frame that was read; nil before the first.
  public private(set) var logTime: Int64?
  /// Over all streams.
  public private(set) var tally = StreamJudge.Tally()
  /// What was stored later is left out; nil where nothing is.
  public let knownAt: Int64?

  init(knownAt: Int64?) { self.knownAt = knownAt }

  mutating func add(_ generation: LogGeneration, _ outcomes: [StreamOutcome]) {
    var position = Position(generation: generation.number)
    var watermark: Int64?
    for (partition, outcome) in outcomes.enumerated() {
      position.advance(partition: partition, to: outcome.sequence)
      tally += outcome.tally
      // A stream without frames has no say in the times.
      guard outcome.logTime != .min else { continue }
      watermark = min(watermark ?? outcome.watermark, outcome.watermark)
      logTime = max(logTime ?? outcome.logTime, outcome.logTime)
    }
    guard self.position == nil || outcomes.contains(where: { $0.sequence > 0 }) else { return }
    self.position = position
    self.watermark = watermark ?? self.watermark
  }
}
