/// How many of the conversions of a block fall to one arm where both convert alike.
///
/// Given how many visitors either arm has and how many converted, every assignment of the conversions to
/// the visitors is equally likely (Fisher 1935), whatever the rate. Probabilities by their recurrence from
/// the mode outwards, so that nothing cancels; cut where the tails hold less than 10^−16 together. Cost:
/// the length of the table, at most some 17 standard deviations.
struct Hypergeometric {
  /// Of the first probability.
  let low: Int
  let probabilities: [Double]
  let mean: Double
  let variance: Double

  /// - Parameters:
  ///   - drawn: Visitors of the arm.
  ///   - others: Visitors of the other arm.
  ///   - conversions: Of both.
  init(drawn: Int, others: Int, conversions: Int) {
    let total = Double(drawn + others)
    let m = Double(drawn)
    let k = Double(others)
    let s = Double(conversions)
    mean = s * m / total
    variance = total > 1 ? s * (m / total) * (k / total) * (total - s) / (total - 1) : 0
    let least = max(0, conversions - others)
    let most = min(drawn, conversions)
    let mode = min(most, max(least, Int((s + 1) * (m + 1) / (total + 2))))
    var below: [Double] = []
    var weight = 1.0
    var x = mode
    while x > least, weight > Self.negligible {
      let y = Double(x)
      weight *= y * (k - s + y) / ((m - y + 1) * (s - y + 1))
      below.append(weight)
      x -= 1
    }
    var table = Array(below.reversed())
    low = mode - below.count
    table.append(1)
    weight = 1
    x = mode
    while x < most, weight > Self.negligible {
      let y = Double(x)
      weight *= (m - y) * (s - y) / ((y + 1) * (k - s + y + 1))
      table.append(weight)
      x += 1
    }
    var sum = 0.0
    for value in table { sum += value }
    probabilities = table.map { $0 / sum }
  }

  private static let negligible = 1e-18
}
