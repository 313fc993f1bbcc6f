import Events
import Statistics
import Views

/// A watched key of ``NaiveIncidents`` and what it remembers: its detectors, its last bins, the bins of what goes
/// on, and the shares of finer values.
struct NaiveIncidentKey {
  typealias Key = NaiveIncidents.Key

  /// A bin as the key saw it: impressions, clicks of them, conversions of those.
  struct Bin {
    var start: Int64
    var counts: SIMD3<Int64>
    var expected: SIMD3<Double>
    var variance: SIMD3<Double>
  }

  /// What goes on of one kind.
  struct Episode {
    /// Since the evidence arose.
    var bins: [Bin] = []
    /// The open one.
    var incident: Int64?
    var isMuted = false
  }

  /// What a value has of its key's counts: over a day, over some bins, and of the bin that is being closed.
  private struct Share {
    var slow = SIMD3<Double>()
    var quick = SIMD3<Double>()
    var pending = SIMD3<Int64>()

    var weight: Double { quick[0] + quick[1] + quick[2] + Double(pending.wrappedSum()) }
  }

  private struct Value: Hashable {
    var dimension: Dimension
    var text: [UInt8]

    static func precedes(_ a: Value, _ b: Value) -> Bool {
      a.dimension == b.dimension
        ? a.text.lexicographicallyPrecedes(b.text) : a.dimension.rawValue < b.dimension.rawValue
    }
  }

  let key: Key
  private(set) var bins: [Bin] = []
  private(set) var binCount = 0
  var episodes: [IncidentRow.Kind: Episode] = [:]
  /// What feedback has added to the threshold.
  var raises: [IncidentRow.Kind: Double] = [:]
  private(set) var seenAt: Int64

  private var clicks: RateDetector
  private var conversions: RateDetector
  private var pending: SIMD3<Int64>
  /// Events of a bin, a mean over about a day.
  private var weight: Double
  private var shares: [Value: Share] = [:]
  /// Of values that came with the bin and are not kept.
  private var newcomers: [Value: SIMD3<Int64>] = [:]
  private var slowTotal = SIMD3<Double>()
  private var quickTotal = SIMD3<Double>()
  private var quickExpected = SIMD3<Double>()

  init(_ key: Key, _ policy: IncidentPolicy, _ counts: SIMD3<Int64>, at start: Int64) {
    self.key = key
    pending = counts
    weight = Double(counts.wrappedSum())
    seenAt = start
    do throws(SketchError) {
      clicks = try RateDetector(
        secondsPerBin: Int(policy.bin / 1_000_000), threshold: policy.threshold)
      conversions = clicks
    } catch {
      preconditionFailure("a declaration's values are checked: \(error)")
    }
  }

  var hasIncident: Bool { episodes.values.contains { $0.incident != nil } }

  /// Events of a bin, usually or now.
  var heat: Double { max(weight, Double(pending.wrappedSum())) }

  /// The place of what a kind counts.
  static func place(_ kind: IncidentRow.Kind) -> Int { Int(kind.rawValue) / 2 }

  // MARK: A bin

  /// - Parameter values: of a tuple of the key, by dimension.
  mutating func add(_ counts: SIMD3<Int64>, _ values: [[UInt8]]) {
    pending &+= counts
    let finer: [Dimension] =
      switch key.level {
      case .site: [.campaign, .variant, .channel]
      case .campaign: [.content, .variant, .channel]
      case .content: [.variant, .channel]
      }
    for dimension in finer where !values[dimension.rawValue].isEmpty {
      let value = Value(dimension: dimension, text: values[dimension.rawValue])
      if shares[value] == nil {
        newcomers[value, default: .zero] &+= counts
      } else {
        shares[value]?.pending &+= counts
      }
    }
  }

  /// Takes what is pending as the bin of that start.
  ///
  /// - Returns: the evidence by ``IncidentRow/Kind/rawValue``.
  mutating func observe(_ start: Int64, _ policy: IncidentPolicy) -> [Double] {
    let counts = pending
    let numbers = SIMD3(Double(counts[0]), Double(counts[1]), Double(counts[2]))
    let second = start / 1_000_000
    let ofClicks = clicks.observe(
      impressions: Int(counts[0]), clicks: Int(counts[1]), at: second)
    let ofConversions = conversions.observe(
      impressions: Int(counts[1]), clicks: Int(counts[2]), at: second)
    let expected = SIMD3(
      ofClicks.expectedImpressions, numbers[0] * ofClicks.expectedRate,
      numbers[1] * ofConversions.expectedRate)
    let dispersion = [
      ofClicks.impressionDispersion, ofClicks.clickDispersion, ofConversions.clickDispersion,
    ]
    var variance = SIMD3<Double>()
    for place in 0..<3 {
      variance[place] = expected[place] + dispersion[place] * expected[place] * expected[place]
    }
    bins.append(Bin(start: start, counts: counts, expected: expected, variance: variance))
    bins = bins.suffix(IncidentRow.seriesCountMax)
    binCount += 1
    let days = Double(policy.bin) / 86_400_000_000
    let gain = max(1 - Elementary.exp(-Elementary.ln2 * days), 1 / Double(binCount))
    weight += (Double(counts.wrappedSum()) - weight) * gain
    if counts != .zero { seenAt = start }
    settle(numbers, expected, days: days)
    pending = .zero
    return ofClicks.evidence + ofConversions.evidence[2...]
  }

  // MARK: Shares

  private mutating func settle(
    _ counts: SIMD3<Double>, _ expected: SIMD3<Double>, days: Double
  ) {
    admitNewcomers()
    // Over a day and over three bins; what is usual stands still while there is an incident.
    let slow = hasIncident ? 1 : Elementary.exp(-Elementary.ln2 * days)
    let quick = Elementary.exp(-Elementary.ln2 / 3)
    let gain = hasIncident ? 0.0 : 1.0
    for (value, share) in shares {
      let own = SIMD3(
        Double(share.pending[0]), Double(share.pending[1]), Double(share.pending[2]))
      shares[value] = Share(
        slow: share.slow * slow + own * gain, quick: share.quick * quick + own, pending: .zero)
    }
    slowTotal = slowTotal * slow + counts * gain
    quickTotal = quickTotal * quick + counts
    quickExpected = quickExpected * quick + expected
  }

  /// Of each dimension the twelve largest values stay.
  private mutating func admitNewcomers() {
    let ordered = newcomers.sorted { a, b in
      let (x, y) = (a.value.wrappedSum(), b.value.wrappedSum())
      return x == y ? Value.precedes(a.key, b.key) : x > y
    }
    newcomers = [:]
    for (value, counts) in ordered {
      let own = shares.filter { $0.key.dimension == value.dimension }
      if own.count >= 12 {
        let smallest = own.min { a, b in
          let (x, y) = (a.value.weight, b.value.weight)
          return x == y ? Value.precedes(a.key, b.key) : x < y
        }
        guard let smallest, Double(counts.wrappedSum()) > smallest.value.weight else { continue }
        shares[smallest.key] = nil
      }
      shares[value] = Share(pending: counts)
    }
  }

  /// The value with the largest share of what a kind deviates by, where that is clearly more than usual.
  func contributor(_ kind: IncidentRow.Kind) -> IncidentRow.Contributor? {
    let place = Self.place(kind)
    let deviation = quickTotal[place] - quickExpected[place]
    guard kind.isDown ? deviation < 0 : deviation > 0 else { return nil }
    let candidates = shares.compactMap { value, share -> (value: Value, share: Double)? in
      let usual = slowTotal[place] > 0 ? share.slow[place] / slowTotal[place] : 0
      let part = (share.quick[place] - usual * quickExpected[place]) / deviation
      return part >= 0.3 && part >= usual + 0.15 ? (value, part) : nil
    }
    let best = candidates.min { a, b in
      a.share == b.share ? Value.precedes(a.value, b.value) : a.share > b.share
    }
    return best.map {
      IncidentRow.Contributor(
        dimension: $0.value.dimension, value: String(decoding: $0.value.text, as: UTF8.self),
        share: min(1, $0.share))
    }
  }

  /// The last bins of what a kind counts.
  func series(_ kind: IncidentRow.Kind) -> [IncidentRow.Point] {
    let place = Self.place(kind)
    return bins.map {
      IncidentRow.Point(
        start: $0.start, observed: $0.counts[place], expected: $0.expected[place])
    }
  }
}
