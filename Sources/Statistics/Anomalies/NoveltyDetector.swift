/// Finds what is new in a series of numbers of any unit, without a model of them.
///
/// Five opinions that fail in different ways: the distance of a value, and of it with the one before, from all
/// that were seen (``PrototypeNovelty``); the departure of a mean over five and over twenty values from the level
/// (``LevelDeviation``); and of one over ten from the hour of the week (``SeasonalDeviation``). Each is taken as a
/// share of its largest so far (``DecayingPeak``), which makes them comparable in all units and tails, and their geometric mean
/// is the novelty: high where all agree. Of an anomaly only the first value is marked: then `quietCount` values pass.
///
///     value -> distance ---> share of peak --+
///         (value, last) ---> share of peak --+
///              level, 5 ---> share of peak --+--> geometric mean --> at least the threshold, and quiet
///             level, 20 ---> share of peak --+                      for long enough: an anomaly
///          hour of week ---> share of peak --+
///
/// Cost: some 0.3 µs a value; at most 6 kB, whatever came. Looks at nothing after the value. Fails for anomalies that
/// are no larger, nor elsewhere, than what was normal before (a missing season), and in the first 50 values, on which it is
/// silent. For counts with few events use ``RateDetector``: there chance alone makes records.
public struct NoveltyDetector: Sendable, Equatable {
  public struct Verdict: Sendable, Equatable {
    /// 0: nothing new; 1: as new as anything so far in each regard.
    public let novelty: Double
    public let isAnomaly: Bool
    /// The share of its peak of each opinion, for explanations: value, pair, short level, long level, hour.
    public let shares: [Double]

    /// What a threshold can be put on: the novelty of an anomaly, else 0.
    public var score: Double { isAnomaly ? novelty : 0 }
  }

  public static let opinions = ["value", "pair", "shortLevel", "longLevel", "hourOfWeek"]
  /// Where the score over labelled series was best; see Docs/reports/quality.md.
  public static let defaultThreshold = 0.34
  /// About eight hours of five minutes: an anomaly and its echo.
  public static let defaultQuietCount = 100

  /// In values, some 17 days of five minutes.
  private static let peakHalfLife = 5_000.0
  private static let silentCount: UInt64 = 50
  /// Keeps one opinion of zero from silencing the others.
  private static let offset = 0.05
  private static let version: UInt8 = 1

  public let threshold: Double
  public let quietCount: UInt64
  private var value = PrototypeNovelty(width: 1)
  private var pair = PrototypeNovelty(width: 2)
  private var short = LevelDeviation(quickGain: 0.2, slowGain: 0.003)
  private var long = LevelDeviation(quickGain: 0.05, slowGain: 0.003)
  private var season = SeasonalDeviation()
  private var peaks = [DecayingPeak](
    repeating: DecayingPeak(halfLife: peakHalfLife), count: opinions.count)
  private var count: UInt64 = 0
  /// The number of the last anomaly's value; 0 before the first.
  private var lastAnomaly: UInt64 = 0

  /// - Parameters:
  ///   - threshold: More than 0, at most 10.
  ///   - quietCount: Values that pass after an anomaly, 0 to 1,000,000.
  public init(
    threshold: Double = defaultThreshold, quietCount: Int = defaultQuietCount
  ) throws(SketchError) {
    try SketchError.check(
      "threshold", threshold, threshold > 0 && threshold <= 10, "more than 0, at most 10")
    try SketchError.check(
      "quietCount", Double(quietCount), (0...1_000_000).contains(quietCount), "0 to 1,000,000")
    self.threshold = threshold
    self.quietCount = UInt64(quietCount)
  }

  /// Takes the next value. One that is not finite says nothing, as one that is missing.
  ///
  /// - Parameter second: Seconds since any fixed time, for the hour of the week.
  public mutating func observe(_ number: Double, at second: Int64) -> Verdict {
    guard number.isFinite else {
      return Verdict(novelty: 0, isAnomaly: false, shares: [])
    }
    count += 1
    let distances = [
      value.distance(of: number), pair.distance(of: number), short.distance(of: number),
      long.distance(of: number), season.distance(of: number, at: second),
    ]
    var shares = distances
    var logSum = 0.0
    for index in distances.indices {
      let share = peaks[index].share(of: distances[index])
      shares[index] = count > Self.silentCount + 1 ? share : 0
      logSum += Elementary.log(shares[index] + Self.offset)
    }
    let novelty = Elementary.exp(logSum / Double(shares.count)) - Self.offset
    let isQuiet = lastAnomaly == 0 || count - lastAnomaly > quietCount
    let isAnomaly = isQuiet && novelty >= threshold
    if isAnomaly { lastAnomaly = count }
    return Verdict(novelty: novelty, isAnomaly: isAnomaly, shares: shares)
  }

  public func encoded() -> [UInt8] {
    var writer = SketchWriter(kind: .novelty, version: Self.version)
    writer.put(threshold)
    writer.put(quietCount)
    writer.put(count)
    writer.put(lastAnomaly)
    value.write(to: &writer)
    pair.write(to: &writer)
    short.write(to: &writer)
    long.write(to: &writer)
    season.write(to: &writer)
    for peak in peaks { peak.write(to: &writer) }
    return writer.bytes
  }

  /// Reads what ``encoded()`` wrote.
  public init(encoded bytes: UnsafeRawBufferPointer) throws(SketchError) {
    var reader = try SketchReader(
      bytes, kind: .novelty, name: "a novelty detector", version: Self.version)
    let threshold = try reader.double("threshold")
    let quiet = try reader.number("quiet count")
    guard quiet <= 1_000_000 else { throw .damaged(field: "quiet count", at: reader.place) }
    try self.init(threshold: threshold, quietCount: Int(quiet))
    count = try reader.number("count")
    lastAnomaly = try reader.number("last anomaly")
    guard count < 1 << 53, lastAnomaly <= count else {
      throw .damaged(field: "count", at: reader.place)
    }
    try value.read(&reader)
    try pair.read(&reader)
    try short.read(&reader)
    try long.read(&reader)
    try season.read(&reader)
    for index in peaks.indices { try peaks[index].read(&reader) }
    try reader.end()
  }
}
