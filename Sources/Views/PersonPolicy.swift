/// What a pipeline computes from each person's history. Durations are microseconds of event time.
public struct PersonPolicy: Hashable, Sendable {
  /// Events of a person further apart than this are of different sessions.
  public var sessionGap: Int64
  /// How long after a click a conversion counts as its result.
  public var clickLookBack: Int64
  /// How long after an impression a click of the same content counts as its result.
  public var impressionLookBack: Int64
  /// How far behind the watermark an event may be and still change its person's history.
  public var lateness: Int64
  /// The most persons whose history is kept per stream; of further ones nothing is kept, and that is
  /// counted.
  public var personCountMax: Int
  /// Nil where the pipeline counts no exposures.
  public var experiments: ExperimentPolicy?

  /// The most touches of one person that are kept; of further ones nothing is kept, and that is
  /// counted. It bounds what a single late event of a busy program can cost.
  public static let touchCountMax = 2_000

  public init(
    sessionGap: Int64 = 1_800_000_000, clickLookBack: Int64 = 7 * 86_400_000_000,
    impressionLookBack: Int64 = 86_400_000_000, lateness: Int64 = 86_400_000_000,
    personCountMax: Int = 1_000_000, experiments: ExperimentPolicy? = nil
  ) {
    self.sessionGap = sessionGap
    self.clickLookBack = clickLookBack
    self.impressionLookBack = impressionLookBack
    self.lateness = lateness
    self.personCountMax = personCountMax
    self.experiments = experiments
  }

  /// The longest time over which two touches have to do with each other.
  private var reach: Int64 {
    max(sessionGap, clickLookBack, impressionLookBack, experiments?.reach ?? 0)
  }

  /// How far back an anonymous person's history becomes that of the user who signs in: its sessions
  /// that began no longer than this before the watermark.
  public var takeOver: Int64 { lateness + reach }

  /// A session stays in state while its end is less than this behind the watermark: as long as an
  /// event that is still let in, or one that is taken over, could change it or be attributed to it.
  public var keep: Int64 { takeOver + reach }
}

/// The hopping windows of a pipeline: `size` long, one at each multiple of `slide`. Microseconds.
public struct TrendPolicy: Hashable, Sendable {
  /// A multiple of `slide`.
  public var size: Int64
  public var slide: Int64
  /// How long final rows are kept in Postgres, microseconds of log time.
  public var retention: Int64

  public init(
    size: Int64 = 300_000_000, slide: Int64 = 10_000_000, retention: Int64 = 48 * 3_600_000_000
  ) {
    self.size = size
    self.slide = slide
    self.retention = retention
  }

  /// How far behind the watermark an event may be and still change its windows.
  public var lateness: Int64 { size }

  /// The earliest time of an event that counts, at that watermark of its partition.
  public func earliest(watermark: Int64) -> Int64 {
    watermark < .min + lateness ? .min : watermark - lateness
  }

  /// The ends that the newest window can have: that of the last final one, and up to that of the
  /// window which log time lies in. With the slide as unit:
  ///
  ///     ───┬──────┬──────┬──────┬──────┬──▶
  ///      first  watermark   log time  last
  ///
  /// An open window has rows of all its tuples, too, from now and then: the newest end with rows is
  /// taken, and the first where none has any.
  public func newestEnds(watermark: Int64, logTime: Int64) -> ClosedRange<Int64> {
    let first = floor(watermark)
    return first...max(first, floor(logTime) + slide)
  }

  private func floor(_ time: Int64) -> Int64 {
    let remainder = time % slide
    return remainder < 0 ? time - remainder - slide : time - remainder
  }
}
