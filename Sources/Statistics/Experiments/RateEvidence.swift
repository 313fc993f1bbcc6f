/// Evidence that two rates differ, valid at any look and for any level at once.
///
/// An e-process: in each block of visitors (see ``VisitorBlocks``) the likelihood of an odds ratio e^θ over
/// that of equal odds, given the block's conversions, has the mean 1 where the arms convert alike, whatever
/// the rate. The product over blocks, mixed over θ, is a non-negative martingale: it reaches 1/α ever with
/// a chance of at most α (Ville), so its inverse is a p-value at any time (Grünwald, de Heide, Koolen 2024;
/// Turner, Ly, Grünwald 2024 for tables of two arms). θ is mixed over ±5 % to e^±1, evenly on its logarithm:
/// effects of all sizes are as likely.
///
/// The likelihood on a grid of θ from −1.5 to 1.5 also gives a confidence sequence of the odds ratio: the θ
/// whose likelihood is not below α times the mixture's (Robbins 1970). Between points of the grid the
/// likelihood, which is log-concave, is bounded from above by the chords beside, so the sequence is never
/// too narrow.
///
/// Where only one level counts, ``SequentialRateTest`` decides a few per cent sooner. Evidence is for what
/// has no level, as p-values and several segments, and for allocations that follow outcomes, as a bandit's
/// do: each block's mean is 1 whatever was before. Cost: 201 points × the width of a block's distribution,
/// some 50 µs a block; state 1.6 KB. Fails where arms see different people in one block, or visitors are
/// counted before their outcome is known; odds ratios beyond 4.5 get an infinite end.
public struct RateEvidence: Sendable, Equatable {
  private var blocks = VisitorBlocks()
  /// ln of the likelihood of each θ over that of 0.
  private var logLikelihoods = [Double](repeating: 0, count: Self.grid.count)
  private var highest = 0.0

  public init() {}

  public var control: ArmCounts { blocks.control }
  public var treatment: ArmCounts { blocks.treatment }

  /// Counts that came since the last call, of both arms.
  public mutating func add(
    control moreControl: ArmCounts, treatment moreTreatment: ArmCounts
  ) throws(ExperimentError) {
    guard let block = try blocks.add(control: moreControl, treatment: moreTreatment) else { return }
    take(block)
  }

  /// Ends a stratum, as where the allocation changes: nobody after it is compared with anybody before it.
  public mutating func endStratum() {
    if let block = blocks.end() { take(block) }
  }

  private mutating func take(_ block: VisitorBlocks.Block) {
    guard block.isInformative else { return }
    let likelihood = ConditionalOdds(block)
    for index in Self.grid.indices {
      logLikelihoods[index] += likelihood.log(Self.grid[index], ratio: Self.ratios[index])
    }
    highest = max(highest, logValue)
  }

  /// ln of the evidence now; above ln 20 is significant at 5 %.
  public var logValue: Double { Self.mixture(of: logLikelihoods) }

  /// ln of the evidence that the treatment converts more, of its half of the mixture.
  public var logValueOfMore: Double {
    Self.mixture(of: logLikelihoods, where: { $0 > 0 }) + Elementary.ln2
  }

  public var logValueOfLess: Double {
    Self.mixture(of: logLikelihoods, where: { $0 < 0 }) + Elementary.ln2
  }

  /// Valid at any time: the inverse of the highest evidence so far.
  public var pValue: Double { Elementary.exp(-highest) }

  /// Odds ratios, of the treatment over the control, that are not excluded at this level now.
  public func oddsRatios(alpha: Double) -> (lower: Double, upper: Double) {
    let floor = logValue + Elementary.log(alpha)
    let upper = Self.end(of: logLikelihoods, floor: floor)
    let lower = Self.end(of: logLikelihoods.reversed(), floor: floor)
    return (Elementary.exp(-lower), Elementary.exp(upper))
  }

  /// ln of the evidence of pairs of one visitor each, of which so many had one conversion, so many more of
  /// them the treatment's than the control's.
  public static func logValue(discordant: Int, lead: Int) -> Double {
    let half = 0.5 * Double(lead)
    let pairs = Double(discordant)
    return mixture(of: zip(grid, logHalfCosh).map { $0 * half - pairs * $1 })
  }

  // MARK: Grid

  /// θ, with 0 in the middle.
  private static let grid = (-100...100).map { Double($0) * 0.015 }
  private static let ratios = grid.map { Elementary.exp($0) }
  private static let logHalfCosh = grid.map {
    0.5 * $0 + Elementary.log1p(Elementary.exp(-$0)) - Elementary.ln2
  }

  /// ln of the prior of each θ.
  private static let logWeights: [Double] = {
    let weights = grid.map { 0.05...1 ~= $0.magnitude ? 1 / $0.magnitude : 0 }
    let sum = weights.reduce(0, +)
    return weights.map { $0 > 0 ? Elementary.log($0 / sum) : -.infinity }
  }()

  private static func mixture(
    of values: [Double], where takes: (Double) -> Bool = { _ in true }
  ) -> Double {
    var terms: [Double] = []
    terms.reserveCapacity(values.count)
    for (index, value) in values.enumerated()
    where logWeights[index] > -.infinity && takes(grid[index]) {
      terms.append(value + logWeights[index])
    }
    return Elementary.logSumExp(terms)
  }

  /// The largest θ at which the likelihood may be as high as the floor; infinite at the end of the grid.
  private static func end(of values: [Double], floor: Double) -> Double {
    let last = values.count - 1
    guard let index = values.lastIndex(where: { $0 >= floor }) else {
      // A peak between two points: the likelihood is as high as the mixture somewhere.
      let peak = values.indices.max { values[$0] < values[$1] } ?? last
      return peak == last ? .infinity : grid[peak + 1]
    }
    guard index < last else { return .infinity }
    // Beyond the last point that is high enough, by the chord that ends there.
    let step = 0.015
    let slope = index > 0 ? (values[index] - values[index - 1]) / step : 0
    guard slope < 0 else { return grid[index + 1] }
    return grid[index] + min(step, (floor - values[index]) / slope)
  }

  // MARK: Bytes

  /// Version 1: `e2 01`, blocks, the highest evidence, and the likelihoods on the grid.
  public func encoded() -> [UInt8] {
    var writer = SketchWriter(kind: .evidence, version: Self.version)
    blocks.put(into: &writer)
    writer.put(highest)
    writer.put(logLikelihoods)
    return writer.bytes
  }

  private static let version: UInt8 = 1

  public init(encoded bytes: UnsafeRawBufferPointer) throws(SketchError) {
    var reader = try SketchReader(
      bytes, kind: .evidence, name: "evidence of rates", version: Self.version)
    blocks = try VisitorBlocks(from: &reader)
    let begin = reader.place
    highest = try reader.finite("highest evidence")
    logLikelihoods = try reader.finite("likelihoods", count: Self.grid.count...Self.grid.count)
    try reader.end()
    guard highest >= 0 else { throw .damaged(field: "highest evidence", at: begin) }
  }
}
