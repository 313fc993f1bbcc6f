/// Where a series of counts leaves what was expected of it: the place of one change of level, by maximum likelihood.
///
/// Counts are Poisson with a mean of a ratio times what was expected, so seasons are no changes; the ratio is one before the
/// change and another after it (Hinkley 1970, "Inference about the change-point in a sequence of random variables"). The
/// gain in log likelihood of two ratios over one is divided by how much more counts vary than chance lets them (Wedderburn 1974),
/// estimated with both ratios, so that counts that come in bursts are not full of changes. A change is one where the gain is above
/// what the best of n places comes to by chance. Cost: one pass, n up to some hundred. Fails where there are several changes: it
/// finds the one that explains most.
public struct ChangePoint: Sendable, Equatable {
  /// The first value after the change.
  public let index: Int
  /// Of what was expected.
  public let ratioBefore: Double
  public let ratioAfter: Double
  /// The gain of log likelihood over no change, nats.
  public let evidence: Double

  /// Nats beyond the logarithm of the number of places.
  private static let margin = 2.0

  /// - Parameters:
  ///   - observed: Counts, in order of time.
  ///   - expected: Their means if nothing changes, as many.
  /// - Returns: nil where no change stands out.
  public init?(observed: [Double], expected: [Double]) {
    precondition(observed.count == expected.count, "each count has its expectation")
    let all = (
      count: observed.reduce(0, +), mean: expected.reduce(0) { $0 + max($1, Self.meanMin) }
    )
    guard observed.count >= 2 else { return nil }
    var best: (gain: Double, index: Int, count: Double, mean: Double)?
    var count = 0.0
    var mean = 0.0
    let whole = Self.likelihood(all.count, all.mean)
    for index in 1..<observed.count {
      count += observed[index - 1]
      mean += max(expected[index - 1], Self.meanMin)
      let gain =
        Self.likelihood(count, mean) + Self.likelihood(all.count - count, all.mean - mean) - whole
      if gain > best?.gain ?? 0 { best = (gain, index, count, mean) }
    }
    guard let best else { return nil }
    index = best.index
    ratioBefore = best.count / best.mean
    ratioAfter = (all.count - best.count) / (all.mean - best.mean)
    var squares = 0.0
    for (place, value) in observed.enumerated() {
      let ratio = place < best.index ? ratioBefore : ratioAfter
      let mean = max(expected[place], Self.meanMin) * max(ratio, Self.meanMin)
      squares += (value - mean) * (value - mean) / mean
    }
    evidence = best.gain / max(1, squares / Double(max(1, observed.count - 2)))
    guard evidence >= Elementary.log(Double(observed.count)) + Self.margin else { return nil }
  }

  private static let meanMin = 1e-9

  /// Of the best ratio, without what all ratios have alike.
  private static func likelihood(_ count: Double, _ mean: Double) -> Double {
    count > 0 ? count * Elementary.log(count / mean) - count : 0
  }
}
