/// Quantiles of positive numbers, each within a relative error that is set beforehand.
///
/// Masson, Rim, Lee 2019 (VLDB): bins that grow by γ = (1 + ε)/(1 − ε), so that the middle of a bin is within
/// ε of all its values. Merging adds counts: commutative and associative, and the union of windows equals the
/// sketch of all of it. The number of bins is bounded: where it is reached the lowest ones are put together,
/// so that low quantiles lose the guarantee and high ones never do; 2,048 bins of 1 % span 17 decades.
/// Zero and numbers below 10^−9 have a bin of their own; negative ones are refused.
///
/// Cost: a logarithm, some 20 ns a value; 8 bytes a bin between the least and the greatest value, and 2 to 3
/// bytes for each bin that has something in it at rest: 1 % of a day's dwell times takes some 0.9 KB, where
/// Apache DataSketches' REQ of the same error on the tails takes several. KLL's error is of ranks: it
/// has no bound on values.
public struct DDSketch: Sendable, Equatable {
  public let relativeError: Double
  public let binsMax: Int
  /// Counts of bins from `first` on; the first and the last are above 0.
  private var bins: [UInt64] = []
  private var first = 0
  public private(set) var zeros: UInt64 = 0
  /// Of all values, zeros too.
  public private(set) var count: UInt64 = 0
  public private(set) var least = Double.infinity
  public private(set) var greatest = -Double.infinity

  private let logGamma: Double

  /// - Parameters:
  ///   - relativeError: 0.001 to 0.5.
  ///   - binsMax: 16 to 65,536.
  public init(relativeError: Double = 0.01, binsMax: Int = 2_048) throws(SketchError) {
    try SketchError.check(
      "relativeError", relativeError, relativeError >= 0.001 && relativeError <= 0.5,
      "0.001 to 0.5")
    try SketchError.check(
      "binsMax", Double(binsMax), binsMax >= 16 && binsMax <= 65_536, "16 to 65,536")
    self.relativeError = relativeError
    self.binsMax = binsMax
    logGamma = Elementary.log1p(2 * relativeError / (1 - relativeError))
  }

  /// Adds a value so many times.
  ///
  /// - Parameter value: At least 0 and finite; below 10^−9 it counts as 0.
  public mutating func insert(_ value: Double, count times: UInt64 = 1) throws(SketchError) {
    try SketchError.check("value", value, value >= 0 && value.isFinite, "at least 0 and finite")
    guard times > 0 else { return }
    count += times
    least = min(least, value)
    greatest = max(greatest, value)
    if value < Self.smallest {
      zeros += times
    } else {
      add(times, to: index(of: value))
    }
  }

  /// Adds what another one counted.
  public mutating func merge(_ other: Self) throws(SketchError) {
    guard other.relativeError == relativeError else { throw .mismatch("relative error") }
    guard other.binsMax == binsMax else { throw .mismatch("number of bins") }
    count += other.count
    zeros += other.zeros
    least = min(least, other.least)
    greatest = max(greatest, other.greatest)
    // From above, so that what is put together is what would have been.
    for (offset, count) in other.bins.enumerated().reversed() where count > 0 {
      add(count, to: other.first + offset)
    }
  }

  /// The value that a share of all is at most; nothing without values.
  ///
  /// - Parameter share: 0 to 1.
  public func quantile(_ share: Double) -> Double? {
    guard count > 0, share >= 0, share <= 1 else { return nil }
    let rank = share * Double(count - 1)
    var below = Double(zeros)
    if rank < below { return 0 }
    for (offset, count) in bins.enumerated() {
      below += Double(count)
      if rank < below { return min(greatest, max(least, value(of: first + offset))) }
    }
    return greatest
  }

  // MARK: Bins

  /// γ^(i−1) < value ≤ γ^i.
  private func index(of value: Double) -> Int {
    Int((Elementary.log(value) / logGamma).rounded(.up))
  }

  /// The middle of a bin in the harmonic sense: within the relative error of both ends.
  private func value(of index: Int) -> Double {
    Elementary.exp(Double(index) * logGamma) * (1 - relativeError)
  }

  private mutating func add(_ times: UInt64, to index: Int) {
    if bins.isEmpty {
      bins = [times]
      first = index
      return
    }
    let last = first + bins.count - 1
    if index > last {
      bins.append(contentsOf: repeatElement(0, count: index - last - 1))
      bins.append(times)
      collapse()
    } else if index >= first {
      bins[index - first] += times
    } else {
      let least = max(index, last - binsMax + 1)
      if least < first {
        bins.insert(contentsOf: repeatElement(0, count: first - least), at: 0)
        first = least
      }
      bins[max(0, index - first)] += times
    }
  }

  /// Puts the lowest bins together where there are too many.
  private mutating func collapse() {
    let over = bins.count - binsMax
    guard over > 0 else { return }
    var low: UInt64 = 0
    for count in bins[0...over] { low += count }
    bins.removeFirst(over)
    first += over
    bins[0] = low
  }

  private static let smallest = 1e-9

  // MARK: Bytes

  /// Version 1: `d2 01`, relative error, most bins, zeros, least, greatest, the first bin (zigzag), the
  /// number of bins, and each bin's count; a run of n empty bins as 0 and n − 1.
  public func encoded() -> [UInt8] {
    var writer = SketchWriter(kind: .quantiles, version: Self.version)
    writer.put(relativeError)
    writer.put(UInt64(binsMax))
    writer.put(zeros)
    writer.put(least)
    writer.put(greatest)
    writer.put(UInt64(bitPattern: Int64(first << 1 ^ first >> 63)))
    writer.put(UInt64(bins.count))
    var index = 0
    while index < bins.count {
      writer.put(bins[index])
      var run = index
      while run < bins.count, bins[run] == 0 { run += 1 }
      if run > index { writer.put(UInt64(run - index - 1)) }
      index = max(run, index + 1)
    }
    return writer.bytes
  }

  private static let version: UInt8 = 1

  public init(encoded bytes: UnsafeRawBufferPointer) throws(SketchError) {
    var reader = try SketchReader(
      bytes, kind: .quantiles, name: "a sketch of quantiles", version: Self.version)
    let error = try reader.double("relative error")
    guard error >= 0.001, error <= 0.5 else { throw .damaged(field: "relative error", at: 2) }
    let most = try reader.number("most bins")
    guard most >= 16, most <= 65_536 else { throw .damaged(field: "most bins", at: 10) }
    try self.init(relativeError: error, binsMax: Int(most))
    zeros = try reader.number("zeros")
    guard zeros <= SketchReader.countMax else { throw .damaged(field: "zeros", at: 10) }
    let place = reader.place
    least = try reader.double("least")
    greatest = try reader.double("greatest")
    let zigzag = try reader.number("first bin")
    let binCount = try reader.number("number of bins")
    guard binCount <= most, zigzag < 1 << 20 else {
      throw .damaged(field: "number of bins", at: reader.place)
    }
    first = Int(zigzag >> 1) ^ -Int(zigzag & 1)
    count = zeros
    while bins.count < Int(binCount) {
      let begin = reader.place
      let next = try reader.number("bin")
      var copies = 1
      if next == 0 {
        let more = try reader.number("bin")
        guard more < binCount - UInt64(bins.count) else { throw .damaged(field: "bin", at: begin) }
        copies += Int(more)
      }
      guard next <= SketchReader.countMax, count + next <= SketchReader.countMax else {
        throw .damaged(field: "bin", at: begin)
      }
      count += next
      bins.append(contentsOf: repeatElement(next, count: copies))
    }
    try reader.end()
    let isTrimmed = bins.first != 0 && bins.last != 0 && (binCount > 0 || zigzag == 0)
    let isEmpty = count == 0 && least == .infinity && greatest == -.infinity
    let isFilled =
      count > 0 && least >= 0 && least <= greatest && greatest.isFinite
    guard isTrimmed, isEmpty || isFilled else { throw .damaged(field: "summary", at: place) }
  }
}
