/// Finds incidents in impressions and clicks: traffic that is gone or manifold, clicks that are too few or too many for it.
///
/// Impressions are expected by a ``CountModel`` with three waves of the day and three of the week; clicks, given
/// the impressions, by one with two of the day. For each, evidence is collected against changes by two factors down
/// and two up (``CountEvidence``), so a rate of three clicks is not an anomaly, and a small change of many is. What is
/// learned: traffic up to 1.5 times, or down to 0.7 times the expected is benign (a promotion, a holiday). While
/// there is evidence of a change the models learn a tenth as fast, for at most three days: then the new level is taken as normal.
///
///     impressions -> expected (hour of week) -> 0.2, 0.4, 2.5, 5 times? -+
///                                                                      +-> evidence ≥ 5.2 nats: an incident,
///     clicks -> expected, given impressions  -> 0.2, 0.6, 1.6, 4 times? -+   reported once until it is over
///
/// Cost: below 1.5 µs a bin, some 3 kB. Fails for changes within the first days, in rates with less than some
/// five clicks in the whole incident (nobody can know), and for slow creeps of less than a third. A rate of which
/// fewer than five clicks were ever seen is not watched: who does not count clicks misses none.
public struct RateDetector: Sendable, Equatable {
  public enum Kind: UInt8, Sendable, CaseIterable {
    case trafficDown, trafficUp, rateDown, rateUp
  }

  public struct Verdict: Sendable, Equatable {
    /// Incidents that were found with this bin; each once.
    public let found: [Kind]
    /// In nats, for each kind, 0 to 12.
    public let evidence: [Double]
    public let expectedImpressions: Double
    /// Clicks of an impression.
    public let expectedRate: Double
    /// What impressions deviate from the expected ones by beside chance, and clicks given the impressions: the
    /// variance of a count of mean m is m plus this times m².
    public let impressionDispersion: Double
    public let clickDispersion: Double

    /// What another threshold can be put on: the evidence where an incident has more than ever, else 0.
    public let score: Double
  }

  /// Nats, where labelled streams had just below one false alarm a week; see Docs/reports/quality.md.
  public static let defaultThreshold = 5.2
  /// An incident is over when its evidence is below this, in nats: chance has as much each day.
  public static let over = 1.5
  /// Evidence counts as more than before from this factor on.
  private static let growth = 1.05
  private static let suspectWeight = 0.1
  private static let suspectDays = 3.0
  private static let firstRate = 0.02
  /// Fewer clicks than these, ever, are no rate that could change: nobody counts them there.
  private static let seenMin = 5.0
  private static let version: UInt8 = 2

  public let threshold: Double
  public let secondsPerBin: Int64
  private let binsPerDay: Double
  private var impressionModel = CountModel(
    daily: 3, weekly: 3, drift: .init(level: 0.1, wave: 0.01, waveStart: 0.3), levelVariance: 4,
    dispersion: 0.05)
  private var clickModel = CountModel(
    daily: 2, weekly: 0, drift: .init(level: 0.03, wave: 0.01, waveStart: 0.2), levelVariance: 1,
    dispersion: 0.02)
  private var traffic = [0.2, 0.4, 2.5, 5].map {
    CountEvidence(factor: $0, nullFactor: $0 < 1 ? 0.7 : 1.5)
  }
  private var rates = [0.2, 0.6, 1.6, 4].map { CountEvidence(factor: $0, nullFactor: 1) }
  private var suspectTraffic = 0.0
  private var suspectRate = 0.0
  /// Clicks so far, no more than are needed.
  private var seen = 0.0
  /// The most evidence of what goes on now, by kind; 0 for nothing.
  private var peaks = [Double](repeating: 0, count: Kind.allCases.count)
  /// The last bin; nothing before the first.
  private var last: Int64?

  /// - Parameters:
  ///   - secondsPerBin: 60 to 86,400.
  ///   - threshold: In nats, 1 to 12.
  public init(
    secondsPerBin: Int, threshold: Double = defaultThreshold
  ) throws(SketchError) {
    try SketchError.check(
      "secondsPerBin", Double(secondsPerBin), (60...86_400).contains(secondsPerBin), "60 to 86,400")
    try SketchError.check("threshold", threshold, threshold >= 1 && threshold <= 12, "1 to 12")
    self.secondsPerBin = Int64(secondsPerBin)
    self.threshold = threshold
    binsPerDay = 86_400 / Double(secondsPerBin)
    clickModel.start(logRate: Elementary.log(Self.firstRate))
  }

  /// Takes the counts of the next bin. Bins may be missing between; they say nothing.
  ///
  /// - Parameter second: The begin of the bin, in seconds since any fixed time.
  public mutating func observe(impressions: Int, clicks: Int, at second: Int64) -> Verdict {
    observe(impressions: impressions, clicks: clicks, at: Harmonics(at: second))
  }

  /// The same, where several detectors look at bins of one time.
  public mutating func observe(impressions: Int, clicks: Int, at waves: Harmonics) -> Verdict {
    let second = waves.second
    let views = Double(max(0, impressions))
    let count = Double(max(0, clicks))
    // At most a year, which is as good as not knowing.
    let elapsed = last.map { min(max(secondsPerBin, second &- $0), 31_536_000) } ?? secondsPerBin
    if last == nil { impressionModel.start(logRate: Elementary.log(views + 0.5)) }
    last = second
    let days = Double(elapsed) / 86_400
    impressionModel.predict(at: waves, days: days)
    clickModel.predict(at: waves, days: days)
    let expected = (impressionModel.rate, min(clickModel.rate, 0.9))
    let dispersion = (
      impressionModel.dispersion + impressionModel.ignorance,
      clickModel.dispersion + clickModel.ignorance
    )
    weighImpressions(views)
    weighClicks(count, of: views, expectedRate: expected.1)
    let evidence = [
      max(traffic[0].sum, traffic[1].sum), max(traffic[2].sum, traffic[3].sum),
      max(rates[0].sum, rates[1].sum), max(rates[2].sum, rates[3].sum),
    ]
    let (found, score) = judge(evidence)
    return Verdict(
      found: found, evidence: evidence, expectedImpressions: expected.0, expectedRate: expected.1,
      impressionDispersion: dispersion.0, clickDispersion: dispersion.1, score: score)
  }

  private mutating func weighImpressions(_ count: Double) {
    let dispersion = impressionModel.dispersion + impressionModel.ignorance
    for index in traffic.indices {
      traffic[index].add(count, mean: impressionModel.rate, dispersion: dispersion)
    }
    let isSuspect = traffic.contains { $0.sum > threshold }
    let weight = Self.weight(isSuspect, &suspectTraffic, limit: Self.suspectDays * binsPerDay)
    if weight == nil {
      impressionModel.loosen()
      for index in traffic.indices { traffic[index].clear() }
    }
    impressionModel.learn(
      count, exposure: 1, weight: weight ?? 1, isNormal: !isSuspect, binsPerDay: binsPerDay)
  }

  private mutating func weighClicks(_ count: Double, of views: Double, expectedRate: Double) {
    guard views > 0 else { return }
    guard seen >= Self.seenMin else {
      seen = min(seen + count, Self.seenMin)
      return clickModel.learn(
        count, exposure: views, weight: 1, isNormal: true, binsPerDay: binsPerDay)
    }
    let dispersion = clickModel.dispersion + clickModel.ignorance
    for index in rates.indices {
      rates[index].add(count, mean: views * expectedRate, dispersion: dispersion)
    }
    let isSuspect = rates.contains { $0.sum > threshold }
    let weight = Self.weight(isSuspect, &suspectRate, limit: Self.suspectDays * binsPerDay)
    if weight == nil {
      clickModel.loosen()
      for index in rates.indices { rates[index].clear() }
    }
    clickModel.learn(
      count, exposure: views, weight: weight ?? 1, isNormal: !isSuspect, binsPerDay: binsPerDay)
  }

  /// - Returns: Nothing where a change has lasted so long that it is normal now.
  private static func weight(_ isSuspect: Bool, _ bins: inout Double, limit: Double) -> Double? {
    guard isSuspect else {
      bins = 0
      return 1
    }
    bins += 1
    if bins < limit { return suspectWeight }
    bins = 0
    return nil
  }

  private mutating func judge(_ evidence: [Double]) -> (found: [Kind], score: Double) {
    var found: [Kind] = []
    var score = 0.0
    for kind in Kind.allCases {
      let index = Int(kind.rawValue)
      let (now, peak) = (evidence[index], peaks[index])
      if now < Self.over {
        peaks[index] = 0
      } else if now > peak * Self.growth || (now >= threshold && peak < threshold) {
        if now >= threshold, peak < threshold { found.append(kind) }
        score = max(score, now)
        peaks[index] = now
      }
    }
    return (found, score)
  }

  public func encoded() -> [UInt8] {
    var writer = SketchWriter(kind: .rates, version: Self.version)
    writer.put(UInt64(secondsPerBin))
    writer.put(threshold)
    writer.put(byte: last == nil ? 0 : 1)
    writer.put(UInt64(bitPattern: last ?? 0))
    writer.put(suspectTraffic)
    writer.put(suspectRate)
    writer.put(seen)
    for peak in peaks { writer.put(peak) }
    for evidence in traffic + rates { writer.put(evidence.sum) }
    impressionModel.write(to: &writer)
    clickModel.write(to: &writer)
    return writer.bytes
  }

  /// Reads what ``encoded()`` wrote.
  public init(encoded bytes: UnsafeRawBufferPointer) throws(SketchError) {
    var reader = try SketchReader(
      bytes, kind: .rates, name: "a rate detector", version: Self.version)
    let start = reader.place
    let seconds = try reader.number("bin")
    guard seconds <= 86_400 else { throw .damaged(field: "bin", at: start) }
    try self.init(secondsPerBin: Int(seconds), threshold: try reader.double("threshold"))
    let began = try reader.byte("begin")
    let time = Int64(bitPattern: try reader.number("time"))
    last = began == 0 ? nil : time
    suspectTraffic = try reader.double("suspicion")
    suspectRate = try reader.double("suspicion")
    seen = try reader.double("clicks")
    guard (0...Self.seenMin).contains(seen) else { throw .damaged(field: "clicks", at: start) }
    for index in peaks.indices { peaks[index] = try reader.double("peak") }
    for index in traffic.indices { traffic[index].restore(try reader.double("evidence")) }
    for index in rates.indices { rates[index].restore(try reader.double("evidence")) }
    try impressionModel.read(&reader)
    try clickModel.read(&reader)
    try reader.end()
  }
}
