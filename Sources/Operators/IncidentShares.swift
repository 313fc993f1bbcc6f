import Events
import Statistics
import Views

/// What share the values of finer dimensions have in a key, usually and now: where a deviation comes from.
///
/// Of each dimension the ``valueCountMax`` largest values are kept, with sums that are forgotten over a day,
/// and over some bins. While the key has an incident the slow ones stand still. Cost: some
/// nanoseconds a value and bin. Fails where very many small values deviate together: then no one of them
/// contributes more than its share.
struct IncidentShares {
  struct Value {
    var dimension: Dimension
    var text: [UInt8]
    /// Impressions, clicks, conversions.
    var slow = SIMD3<Double>()
    var quick = SIMD3<Double>()
    /// Of the bin that is being closed.
    var pending = IncidentCounts()
  }

  static let valueCountMax = 12
  /// In bins.
  private static let quickHalfLife = 3.0
  /// A value that has no more than this share of a deviation beyond its usual one does not explain it.
  private static let excessMin = 0.15
  private static let shareMin = 0.3
  private static let quickKeep = Elementary.exp(-Elementary.ln2 / quickHalfLife)

  /// What identifies a value, beside ``values``, for quick search.
  private var hashes: [UInt64] = []
  private(set) var values: [Value] = []
  /// Values that came with the bin and are not kept.
  private var newcomers: [UInt64: Value] = [:]
  private var slowTotal = SIMD3<Double>()
  private var quickTotal = SIMD3<Double>()
  private var quickExpected = SIMD3<Double>()
  private let slowKeep: Double

  init(policy: IncidentPolicy) {
    slowKeep = Elementary.exp(-Elementary.ln2 * Double(policy.bin) / 86_400_000_000)
  }

  var byteCount: Int { values.count * (MemoryLayout<Value>.stride + 8 + 32) }

  /// - Parameter hash: of dimension and text.
  mutating func add(
    _ counts: IncidentCounts, dimension: Dimension, text: UnsafeRawBufferPointer, hash: UInt64
  ) {
    if let index = hashes.firstIndex(of: hash) {
      values[index].pending += counts
    } else {
      newcomers[hash, default: Value(dimension: dimension, text: Array(text))].pending += counts
    }
  }

  static func hash(_ dimension: Dimension, _ text: UnsafeRawBufferPointer) -> UInt64 {
    var hash = SipHash128()
    hash.update(byte: UInt8(truncatingIfNeeded: dimension.rawValue))
    hash.update(text)
    return hash.finalize().low
  }

  /// Ends a bin.
  ///
  /// - Parameter isUsual: whether the bin tells what is usual.
  mutating func settle(_ counts: IncidentCounts, expected: SIMD3<Double>, isUsual: Bool) {
    admitNewcomers()
    let slow = isUsual ? slowKeep : 1
    let gain = isUsual ? 1.0 : 0.0
    for index in values.indices {
      let vector = values[index].pending.vector
      values[index].slow = values[index].slow * slow + vector * gain
      values[index].quick = values[index].quick * Self.quickKeep + vector
      values[index].pending = IncidentCounts()
    }
    slowTotal = slowTotal * slow + counts.vector * gain
    quickTotal = quickTotal * Self.quickKeep + counts.vector
    quickExpected = quickExpected * Self.quickKeep + expected
  }

  /// The largest newcomers take free places, and those of values that have become smaller than they.
  private mutating func admitNewcomers() {
    if newcomers.isEmpty { return }
    let ordered = newcomers.sorted { a, b in
      let (x, y) = (a.value.pending.sum, b.value.pending.sum)
      return x != y ? x > y : Self.precedes(a.value, b.value)
    }
    newcomers.removeAll(keepingCapacity: true)
    // Dimensions in which the rest is too small.
    var settled: Set<Dimension> = []
    for (hash, value) in ordered where !settled.contains(value.dimension) {
      let own = values.indices.filter { values[$0].dimension == value.dimension }
      if own.count < Self.valueCountMax {
        values.append(value)
        hashes.append(hash)
        continue
      }
      let smallest = own.min { a, b in
        let (x, y) = (Self.weight(values[a]), Self.weight(values[b]))
        return x != y ? x < y : Self.precedes(values[a], values[b])
      }
      guard let smallest, value.pending.sum > Self.weight(values[smallest]) else {
        settled.insert(value.dimension)
        continue
      }
      values[smallest] = value
      hashes[smallest] = hash
    }
  }

  private static func weight(_ value: Value) -> Double {
    value.quick.sum() + value.pending.sum
  }

  static func precedes(_ a: Value, _ b: Value) -> Bool {
    a.dimension != b.dimension
      ? a.dimension.rawValue < b.dimension.rawValue : a.text.lexicographicallyPrecedes(b.text)
  }

  /// The value with the largest share of what a kind deviates by; nil where none has clearly more than usual.
  func contributor(_ kind: IncidentRow.Kind) -> IncidentRow.Contributor? {
    let place = kind.quantity.rawValue
    let deviation = quickTotal[place] - quickExpected[place]
    guard kind.isDown ? deviation < 0 : deviation > 0 else { return nil }
    var best: (share: Double, index: Int)?
    for (index, value) in values.enumerated() {
      let usual = slowTotal[place] > 0 ? value.slow[place] / slowTotal[place] : 0
      let share = (value.quick[place] - usual * quickExpected[place]) / deviation
      guard share >= Self.shareMin, share >= usual + Self.excessMin else { continue }
      if let best, share < best.share { continue }
      if let best, share == best.share, !Self.precedes(value, values[best.index]) { continue }
      best = (share, index)
    }
    guard let best else { return nil }
    return IncidentRow.Contributor(
      dimension: values[best.index].dimension,
      value: String(decoding: values[best.index].text, as: UTF8.self), share: min(1, best.share))
  }

  // MARK: Snapshots

  func write(to writer: inout SnapshotWriter) {
    writer.put(slowTotal)
    writer.put(quickTotal)
    writer.put(quickExpected)
    writer.put(UInt64(values.count))
    for value in values.sorted(by: Self.precedes) {
      writer.put(UInt8(truncatingIfNeeded: value.dimension.rawValue))
      writer.put(UInt16(truncatingIfNeeded: value.text.count))
      value.text.withUnsafeBytes { writer.put($0) }
      writer.put(value.slow)
      writer.put(value.quick)
    }
  }

  mutating func read(_ reader: inout SnapshotReader) throws(SnapshotFormatError) {
    slowTotal = try reader.getVector()
    quickTotal = try reader.getVector()
    quickExpected = try reader.getVector()
    for _ in 0..<(try reader.getCount(elementByteCount: 51)) {
      guard let dimension = Dimension(rawValue: Int(try reader.get(UInt8.self))) else {
        throw reader.malformed("a share of no dimension")
      }
      var value = Value(
        dimension: dimension,
        text: Array(try reader.get(byteCount: Int(try reader.get(UInt16.self)))))
      value.slow = try reader.getVector()
      value.quick = try reader.getVector()
      if let last = values.last, !Self.precedes(last, value) {
        throw reader.malformed("shares are not in order")
      }
      values.append(value)
      hashes.append(value.text.withUnsafeBytes { Self.hash(dimension, $0) })
    }
    let counts = Dictionary(grouping: values, by: \.dimension).mapValues(\.count)
    guard counts.values.allSatisfy({ $0 <= Self.valueCountMax }) else {
      throw reader.malformed("a dimension has more shares than are kept")
    }
  }
}
