import Statistics
import Views

/// The bins of one watched key: what was, what was to be expected, and the evidence that both differ.
///
/// Two detectors: clicks of impressions, which also knows how many impressions are usual, and conversions of
/// clicks. Memory: 6 kB for the detectors, 6 kB for the last bins.
struct IncidentSeries {
  struct Bin: BitwiseCopyable {
    var start: Int64
    var counts: IncidentCounts
    /// Impressions, clicks of those impressions, conversions of those clicks.
    var expected: SIMD3<Double>
    /// Of the counts where nothing is unusual.
    var variance: SIMD3<Double>
  }

  private var clicks: RateDetector
  private var conversions: RateDetector
  /// At most ``IncidentRow/seriesCountMax``; once there are so many the newest takes the place of the oldest.
  private var ring: [Bin] = []
  private var oldest = 0
  /// All that were observed.
  private(set) var binCount: Int64 = 0

  init(policy: IncidentPolicy) {
    do throws(SketchError) {
      clicks = try RateDetector(
        secondsPerBin: Int(policy.bin / 1_000_000), threshold: policy.threshold)
      conversions = clicks
    } catch {
      preconditionFailure("a declaration's values are checked: \(error)")
    }
  }

  /// In order of time.
  private var bins: [Bin] { Array(ring[oldest...] + ring[..<oldest]) }

  var last: Bin? { oldest > 0 ? ring[oldest - 1] : ring.last }

  /// - Parameters:
  ///   - start: of the bin, microseconds since the epoch, after all before.
  ///   - waves: at that time.
  /// - Returns: the evidence of each kind, nats, 0 to 12.
  mutating func observe(
    _ counts: IncidentCounts, at start: Int64, _ waves: Harmonics
  ) -> [Double] {
    let vector = counts.vector
    let ofClicks = clicks.observe(
      impressions: Int(vector.x), clicks: Int(vector.y), at: waves)
    let ofConversions = conversions.observe(
      impressions: Int(vector.y), clicks: Int(vector.z), at: waves)
    let expected = SIMD3(
      ofClicks.expectedImpressions, vector.x * ofClicks.expectedRate,
      vector.y * ofConversions.expectedRate)
    let dispersion = SIMD3(
      ofClicks.impressionDispersion, ofClicks.clickDispersion, ofConversions.clickDispersion)
    let bin = Bin(
      start: start, counts: counts, expected: expected,
      variance: expected + dispersion * expected * expected)
    if ring.count < IncidentRow.seriesCountMax {
      ring.append(bin)
    } else {
      ring[oldest] = bin
      oldest = (oldest + 1) % ring.count
    }
    binCount += 1
    return ofClicks.evidence + ofConversions.evidence[2...]
  }

  /// The last bins of what a kind counts.
  func points(_ kind: IncidentRow.Kind) -> [IncidentRow.Point] {
    bins.map {
      IncidentRow.Point(
        start: $0.start, observed: $0.counts[kind.quantity],
        expected: $0.expected[kind.quantity.rawValue])
    }
  }

  var byteCount: Int { 6_144 + ring.count * MemoryLayout<Bin>.stride }

  // MARK: Snapshots

  func write(to writer: inout SnapshotWriter) {
    for bytes in [clicks.encoded(), conversions.encoded()] {
      writer.put(UInt32(bytes.count))
      bytes.withUnsafeBytes { writer.put($0) }
    }
    writer.put(binCount)
    writer.put(UInt64(bins.count))
    for bin in bins {
      writer.put(bin.start)
      writer.put(bin.counts.impressions)
      writer.put(bin.counts.clicks)
      writer.put(bin.counts.conversions)
      writer.put(bin.expected)
      writer.put(bin.variance)
    }
  }

  init(
    from reader: inout SnapshotReader, policy: IncidentPolicy
  ) throws(SnapshotFormatError) {
    clicks = try Self.detector(&reader, policy)
    conversions = try Self.detector(&reader, policy)
    binCount = try reader.get(Int64.self)
    let count = try reader.getCount(elementByteCount: 80)
    guard count <= IncidentRow.seriesCountMax, binCount >= count else {
      throw reader.malformed("a key has more bins than are kept")
    }
    for _ in 0..<count {
      let start = try reader.get(Int64.self)
      guard start == policy.floor(start), ring.last.map({ $0.start < start }) ?? true else {
        throw reader.malformed("bins are not in order, or begin at no begin of a bin")
      }
      ring.append(
        Bin(
          start: start,
          counts: IncidentCounts(
            impressions: try reader.get(Int64.self), clicks: try reader.get(Int64.self),
            conversions: try reader.get(Int64.self)),
          expected: try reader.getVector(), variance: try reader.getVector()))
    }
  }

  private static func detector(
    _ reader: inout SnapshotReader, _ policy: IncidentPolicy
  ) throws(SnapshotFormatError) -> RateDetector {
    let bytes = Array(try reader.get(byteCount: Int(try reader.get(UInt32.self))))
    let detector: RateDetector
    do throws(SketchError) {
      detector = try bytes.span.withUnsafeBytes { bytes throws(SketchError) in
        try RateDetector(encoded: bytes)
      }
    } catch {
      throw reader.malformed("a detector: \(error)")
    }
    guard detector.secondsPerBin == policy.bin / 1_000_000, detector.threshold == policy.threshold
    else { throw reader.malformed("a detector has another bin or threshold") }
    return detector
  }
}

extension SnapshotWriter {
  mutating func put(_ value: Double) { put(value.bitPattern) }

  mutating func put(_ vector: SIMD3<Double>) {
    put(vector.x)
    put(vector.y)
    put(vector.z)
  }
}

extension SnapshotReader {
  /// A number that is one, so that sums and orders of them are.
  mutating func getDouble() throws(SnapshotFormatError) -> Double {
    let value = Double(bitPattern: try get(UInt64.self))
    guard value.isFinite else { throw malformed("a number is infinite or none") }
    return value
  }

  mutating func getVector() throws(SnapshotFormatError) -> SIMD3<Double> {
    SIMD3(try getDouble(), try getDouble(), try getDouble())
  }
}
