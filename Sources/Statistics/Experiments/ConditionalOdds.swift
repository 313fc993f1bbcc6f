/// The likelihood of an odds ratio, given what a block's arms converted together.
///
/// Fisher's noncentral hypergeometric distribution. The sum over the block's possible outcomes starts at
/// its largest term and goes outwards by the ratio of neighbours, so it neither overflows nor misses what
/// lies far from the middle. Cost: some 17 standard deviations of the block.
///
/// Of a block with few possible outcomes, as most are, that sum is a polynomial in the odds ratio whose coefficients
/// are found once: some 15 ns for a ratio with its logarithm, and what all outcomes have in common falls out.
struct ConditionalOdds {
  private let m: Double
  private let k: Double
  private let s: Double
  private let x: Double
  private let logNull: Double
  /// By outcome from the least one, in parts of the likeliest at equal odds; empty where there are many.
  private let ways: [Double]

  /// So few that neither the ratios of ``RateEvidence`` to their number nor the coefficients leave the range of numbers.
  private static let outcomeCountMax = 64.0

  init(_ block: VisitorBlocks.Block) {
    m = Double(block.treatment.visitors)
    k = Double(block.control.visitors)
    s = Double(block.conversions)
    x = Double(block.treatment.conversions)
    ways = min(m, s) - max(0, s - k) < Self.outcomeCountMax ? Self.ways(m: m, k: k, s: s) : []
    logNull =
      ways.isEmpty
      ? Self.logSum(m: m, k: k, s: s, x: x, ratio: 1) : Elementary.log(Self.value(of: ways, at: 1))
  }

  /// ln of the likelihood of the odds ratio e^θ over that of 1.
  func log(_ theta: Double) -> Double { log(theta, ratio: Elementary.exp(theta)) }

  /// The same for who has e^θ already.
  func log(_ theta: Double, ratio: Double) -> Double {
    guard theta != 0 else { return 0 }
    guard ways.isEmpty else {
      return (x - max(0, s - k)) * theta + logNull
        - Elementary.log(Self.value(of: ways, at: ratio))
    }
    return logNull - Self.logSum(m: m, k: k, s: s, x: x, ratio: ratio)
  }

  /// From the likeliest outwards, by the ratio of neighbours.
  private static func ways(m: Double, k: Double, s: Double) -> [Double] {
    let least = max(0, s - k)
    let most = min(m, s)
    let mode = min(most, max(least, ((s + 1) * (m + 1) / (m + k + 2)).rounded(.down)))
    var ways = [Double](repeating: 1, count: Int(most - least) + 1)
    var y = mode
    while y < most {
      ways[Int(y - least) + 1] =
        ways[Int(y - least)] * (m - y) * (s - y) / ((y + 1) * (k - s + y + 1))
      y += 1
    }
    y = mode
    while y > least {
      ways[Int(y - least) - 1] =
        ways[Int(y - least)] * y * (k - s + y) / ((m - y + 1) * (s - y + 1))
      y -= 1
    }
    return ways
  }

  private static func value(of coefficients: [Double], at ratio: Double) -> Double {
    var value = 0.0
    for coefficient in coefficients.reversed() { value = value * ratio + coefficient }
    return value
  }

  /// ln of Σ w(y) r^y / (w(x) r^x) over all outcomes y, w being the number of ways to y.
  private static func logSum(m: Double, k: Double, s: Double, x: Double, ratio: Double) -> Double {
    let least = max(0, s - k)
    let most = min(m, s)
    // The outcome whose term is the largest solves y (k − s + y) = r (m − y) (s − y).
    let a = 1 - ratio
    let b = k - s + ratio * (m + s)
    let c = -ratio * m * s
    let root: Double =
      a.magnitude < 1e-12
      ? -c / b : 2 * -c / (b + max(0, b * b - 4 * a * c).squareRoot())
    let mode = min(most, max(least, root.rounded(.down)))
    var sum = 1.0
    var term = 1.0
    var y = mode
    while y < most, term > 1e-18 {
      term *= ratio * (m - y) * (s - y) / ((y + 1) * (k - s + y + 1))
      sum += term
      y += 1
    }
    term = 1
    y = mode
    while y > least, term > 1e-18 {
      term *= y * (k - s + y) / (ratio * (m - y + 1) * (s - y + 1))
      sum += term
      y -= 1
    }
    return Elementary.log(sum) + logWays(m, mode) + logWays(k, s - mode) - logWays(m, x)
      - logWays(k, s - x) + (mode - x) * Elementary.log(ratio)
  }

  /// ln of the binomial coefficient.
  private static func logWays(_ n: Double, _ j: Double) -> Double {
    guard j > 0, j < n else { return 0 }
    return -GammaFunction.logBeta(j + 1, n - j + 1) - Elementary.log(n + 1)
  }
}
