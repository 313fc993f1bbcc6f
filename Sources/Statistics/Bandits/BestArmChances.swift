/// With which chance each arm's rate is the highest, as far as is believed of each: what Thompson sampling draws from,
/// without the draws. For means see ``NormalContest``.
///
/// P(i) = ∫ fᵢ Π Fⱼ over the others. On one grid for all arms, which has 41 points around the mean of each, as far
/// apart as a third of its standard deviation; densities are summed up to distribution functions by trapezia, so
/// that an arm costs one exponential a point. Error some 10⁻³, without noise: chances rise and fall smoothly with what is
/// learned. Some 0.1 ms for ten arms; grows with the square of their number.
public enum BestArmChances {
  /// - Parameter beta: parameters of each arm's rate, above 0. On the scale of log odds, where every beta density is a
  ///   hill.
  public static func rates(_ beta: [(a: Double, b: Double)]) -> [Double] {
    let grid = grid(
      beta.map { a, b in
        let odds = LogOddsCumulants(a, b)
        return (odds.mean, odds.deviation)
      })
    let logs = grid.map { -Elementary.logSumExp(0, -$0) }
    return chances(grid, arms: beta.count) { arm, point in
      // ln(1 − x) = ln x − ln odds.
      beta[arm].a * logs[point] + beta[arm].b * (logs[point] - grid[point])
    }
  }

  private static func grid(_ beliefs: [(mean: Double, deviation: Double)]) -> [Double] {
    var grid: [Double] = []
    grid.reserveCapacity(beliefs.count * 41)
    for (mean, deviation) in beliefs {
      for step in -20...20 { grid.append(mean + deviation * Double(step) * 0.34) }
    }
    grid.sort()
    var place = 0
    for index in grid.indices where index == 0 || grid[index] > grid[place] {
      if index > 0 { place += 1 }
      grid[place] = grid[index]
    }
    grid.removeLast(grid.count - place - 1)
    return grid
  }

  private static func chances(
    _ grid: [Double], arms: Int, _ logDensity: (_ arm: Int, _ point: Int) -> Double
  ) -> [Double] {
    guard arms > 1, grid.count > 1 else {
      return [Double](repeating: 1 / Double(arms), count: arms)
    }
    let pieces = grid.count - 1
    // Of each arm and piece of the grid: its mass, and what lies below the middle of it.
    var masses = [Double](repeating: 0, count: arms * pieces)
    var below = masses
    var density = [Double](repeating: 0, count: grid.count)
    for arm in 0..<arms {
      var highest = -Double.infinity
      for point in grid.indices {
        density[point] = logDensity(arm, point)
        highest = max(highest, density[point])
      }
      for point in grid.indices { density[point] = Elementary.exp(density[point] - highest) }
      var sum = 0.0
      for piece in 0..<pieces {
        let mass = (density[piece] + density[piece + 1]) * (grid[piece + 1] - grid[piece])
        masses[arm * pieces + piece] = mass
        below[arm * pieces + piece] = sum + mass / 2
        sum += mass
      }
      for piece in arm * pieces..<(arm + 1) * pieces {
        masses[piece] /= sum
        below[piece] /= sum
      }
    }
    return best(masses, below, arms: arms, pieces: pieces)
  }

  private static func best(
    _ masses: [Double], _ below: [Double], arms: Int, pieces: Int
  ) -> [Double] {
    var chances = [Double](repeating: 0, count: arms)
    var after = [Double](repeating: 1, count: arms + 1)
    for piece in 0..<pieces {
      for arm in stride(from: arms - 1, through: 0, by: -1) {
        after[arm] = after[arm + 1] * below[arm * pieces + piece]
      }
      var before = 1.0
      for arm in 0..<arms {
        chances[arm] += masses[arm * pieces + piece] * before * after[arm + 1]
        before *= below[arm * pieces + piece]
      }
    }
    var total = 0.0
    for chance in chances { total += chance }
    // Within a piece of the grid two arms may each be below the other.
    return chances.map { $0 / total }
  }
}
