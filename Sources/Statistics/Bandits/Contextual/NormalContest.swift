/// The chance of each of some independent normal variables to be the greatest: Thompson sampling without draws.
///
/// By the distribution functions between points that each variable puts half a deviation apart, so that narrow ones are told
/// apart beside wide ones; a variable's mass between two points counts with the mean chance of all others to lie
/// below. Exact to some 10⁻², and the same for equal variables. At most 33 points: 65 µs for ten, 0.2 ms for 26.
enum NormalContest {
  static func chances(means: [Double], deviations: [Double]) -> [Double] {
    let count = means.count
    guard count > 1 else { return [Double](repeating: 1, count: count) }
    let widest = deviations.max() ?? 0
    let farthest = means.reduce(0) { max($0, $1.magnitude) }
    let narrowest = Self.narrowest * max(widest, farthest)
    guard narrowest > 0, narrowest < .infinity else { return equal(means) }
    let spreads = deviations.map { max($0, narrowest) }
    let points = points(means, spreads)
    var ends = means.indices.map { Normal.lower((points[0] - means[$0]) / spreads[$0]) }
    var chances = [Double](repeating: 0, count: count)
    var masses = chances
    var middles = chances
    for point in points.dropFirst() {
      for index in 0..<count {
        let end = Normal.lower((point - means[index]) / spreads[index])
        middles[index] = (ends[index] + end) / 2
        masses[index] = end - ends[index]
        ends[index] = end
      }
      scaleByOthers(&masses, middles)
      for index in 0..<count { chances[index] += masses[index] }
    }
    let total = chances.reduce(0, +)
    return total > 0 ? chances.map { $0 / total } : equal(means)
  }

  /// In order, from where the greatest can be.
  private static func points(_ means: [Double], _ spreads: [Double]) -> [Double] {
    var low = -Double.infinity
    for index in means.indices { low = max(low, means[index] - reach * spreads[index]) }
    var points = [low]
    for index in means.indices {
      for step in 0...steps {
        let point =
          means[index] + spreads[index] * (Double(step) * (2 * reach / Double(steps)) - reach)
        if point > low { points.append(point) }
      }
    }
    points.sort()
    var distinct: [Double] = []
    for point in points where point != distinct.last { distinct.append(point) }
    // Every so many of them, and the last: still as dense as variables are.
    let stride = (distinct.count + pointsMax - 1) / pointsMax
    return distinct.indices.filter { $0 % stride == 0 || $0 == distinct.count - 1 }.map {
      distinct[$0]
    }
  }

  /// All that have the greatest mean, alike.
  static func equal(_ values: [Double]) -> [Double] {
    let most = values.max() ?? 0
    let best = values.map { $0 == most || !most.isFinite ? 1.0 : 0 }
    let total = best.reduce(0, +)
    return best.map { $0 / max(total, 1) }
  }

  /// Each value times the product of all other factors, without division: factors may be 0.
  private static func scaleByOthers(_ values: inout [Double], _ factors: [Double]) {
    var product = 1.0
    for index in values.indices {
      values[index] *= product
      product *= factors[index]
    }
    product = 1
    for index in values.indices.reversed() {
      values[index] *= product
      product *= factors[index]
    }
  }

  private static let reach = 4.0
  private static let steps = 16
  private static let pointsMax = 32
  /// As a share of the widest: what is known for sure is as good as this narrow.
  private static let narrowest = 1e-9
}

/// Chances by the inverse of how much an arm is behind the best one.
///
/// Abe and Long 1999, Foster and Rakhlin 2020: 1/(K + γ·gap) each, and the best one what is left. Never 0, so whatever is
/// logged can be evaluated off-policy.
enum InverseGap {
  /// - Parameter greed: γ, per unit of reward.
  static func chances(means: [Double], greed: Double) -> [Double] {
    let count = Double(means.count)
    guard let most = means.max(), let best = means.firstIndex(of: most) else { return [] }
    var chances = means.map { 1 / (count + greed * (most - $0)) }
    chances[best] = 0
    chances[best] = 1 - chances.reduce(0, +)
    return chances
  }
}
