import Analyses
import Dataflow
import Operators
import Ports

/// Where the reading of a stream begins: no earlier than what a question's event times need.
///
///     … │ horizon: ids are remembered │ 65 minutes │ event times of the question │ …     stored times →
///       └ reading begins
///
/// An event counts at most 65 minutes after its frame was stored (``WindowPolicy/receiptTolerance`` and
/// ``WindowPolicy/futureTolerance``), and its copies are known from the dedupe horizon before. What was stored
/// earlier has no say, with one exception: of an event that was stored three times, the last time more than the
/// horizon after the first but not after the second, the pipeline counts the last copy, and a reading that begins
/// between the first two does not. Clocks of logs that step back by up to an hour are allowed for.
enum StreamStart {
  private static let steps: Int64 = 3_600_000_000

  /// - Returns: the frame after which to read; 0 for the beginning.
  static func find(
    _ stream: StreamPartition, last: UInt64, for times: Range<Int64>, knownAt: Int64?,
    _ source: ScannedLog
  ) throws(LogError) -> UInt64 {
    let margin =
      WindowPolicy.receiptTolerance + WindowPolicy.futureTolerance + source.spec.dedupeHorizon
      + steps
    guard last > 1, times.lowerBound > TimeRange.earliest + margin else { return 0 }
    let time = min(times.lowerBound - margin, knownAt ?? .max)
    // The last frame is read in any case: it says what time it is in the stream.
    return try source.log.lastFrame(of: stream.stream, upTo: last, storedBefore: time) ?? 0
  }
}
