/// Whether visitors were shared out as the weights say, read once: Pearson's test.
///
/// For comparison with other tools; ``SampleRatioMonitor`` may be looked at any time and takes weights that
/// changed. Off where an arm expects fewer than five.
public enum ChiSquaredTest {
  /// - Returns: The p-value; 1 without visitors.
  public static func pValue(visitors: [Int], weights: [Double]) throws(ExperimentError) -> Double {
    guard visitors.count == weights.count else {
      throw .armCount(visitors.count, expected: weights.count)
    }
    var total = 0.0
    var weight = 0.0
    for (count, share) in zip(visitors, weights) {
      try ExperimentError.check("visitors", Double(count), count >= 0, "at least 0")
      try ExperimentError.check("weight", share, share >= 0 && share.isFinite, "at least 0")
      total += Double(count)
      weight += share
    }
    guard total > 0, weight > 0, visitors.count > 1 else { return 1 }
    var sum = 0.0
    for (count, share) in zip(visitors, weights) where share > 0 {
      let expected = share / weight * total
      sum += (Double(count) - expected) * (Double(count) - expected) / expected
    }
    return GammaDistribution.chiSquared(degrees: Double(visitors.count - 1)).upper(sum)
  }
}
