import Dataflow
import Ports

/// Which stream's frame is taken next: the one that was stored first of all streams, so that every process reads the log in
/// the same order, whenever it reads it.
///
///     events-00 ── 10 ─────────── 30 ◀ waits: may events-01 still get something older?
///     events-01 ─────── 20 ──┤          arrives older: that first │ the log says that it ends at 20: 30 is taken
///
/// A stream of which nothing waits is asked where it ends, once for all frames that have arrived elsewhere before: times of a
/// stream do not go back, so what it gets later is younger. Where all streams have something nobody is asked. Fails where
/// clocks of the log's servers disagree, and where a stream owes frames for longer than ``waitMax``: then frames are taken as
/// they are there, and are counted.
struct StreamOrder {
  enum Next {
    case take(FollowedStream)
    /// Frames are there, and an older one may still come.
    case wait
    case nothing
  }

  /// A frame that has just arrived gives those of other streams so much time, before the log is asked.
  static let grace = Duration.milliseconds(20)
  static let waitMax = Duration.seconds(2)
  /// After the answer that a stream has more, before it is asked again.
  private static let pause = Duration.milliseconds(5)

  /// When each stream was known to have ended where it was read to, and when it was said to have more.
  private var emptyAt: [StreamPartition: ContinuousClock.Instant] = [:]
  private var owedAt: [StreamPartition: ContinuousClock.Instant] = [:]
  /// Frames that were taken though an older one may have been on its way.
  private(set) var unsure: UInt64 = 0

  /// - Parameter isLive: whether frames are given some time; in the beginning they are long there.
  mutating func next(
    _ streams: [FollowedStream], in log: any EventLog, isLive: Bool
  ) -> Next {
    var first: (stream: FollowedStream, storedAt: Int64)?
    for stream in streams {
      stream.look()
      guard let storedAt = stream.nextStoredAt else { continue }
      if first.map({ storedAt < $0.storedAt }) ?? true { first = (stream, storedAt) }
    }
    guard let first else { return .nothing }
    let seenAt = first.stream.seenAt
    var owing = false
    for stream in streams
    where stream.nextStoredAt == nil && !stream.hasComeToEnd && stream.failure == nil {
      if let emptyAt = emptyAt[stream.stream], emptyAt >= seenAt { continue }
      let now = ContinuousClock.now
      if isLive, seenAt.duration(to: now) < Self.grace { return .wait }
      if isKnownEmpty(stream, in: log, at: now) { continue }
      owing = true
    }
    guard owing else { return .take(first.stream) }
    guard seenAt.duration(to: .now) >= Self.waitMax else { return .wait }
    unsure += 1
    return .take(first.stream)
  }

  /// Whether nothing is stored in the stream beyond what was read.
  private mutating func isKnownEmpty(
    _ stream: FollowedStream, in log: any EventLog, at now: ContinuousClock.Instant
  ) -> Bool {
    if let owedAt = owedAt[stream.stream], owedAt.duration(to: now) < Self.pause { return false }
    owedAt[stream.stream] = now
    do throws(LogError) {
      guard try log.bounds(stream: stream.stream.stream).last <= stream.sequence else {
        return false
      }
    } catch {
      // Who reads the stream says what is wrong with it.
      return false
    }
    owedAt[stream.stream] = nil
    emptyAt[stream.stream] = now
    return true
  }
}
