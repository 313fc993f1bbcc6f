/// k-means: centers so that the points' squared distances to their nearest one are small.
///
/// Lloyd's steps (1982) from seeds by greedy k-means++ (Arthur, Vassilvitskii 2007: each seed is drawn by its
/// squared distance to those before, of 2 + ln k draws the one that helps most), as scikit-learn has it; it ends
/// where the centers move less than a hundredth of a standard deviation together. A cluster that lost all
/// points takes the one that is farthest from its center. The same bits from the same draws.
///
/// Cost: points × clusters × width a step, some 20 to 50 steps. Finds round clusters of like width; depends on
/// the units of the coordinates, so standardise them first (``PointScale``).
public struct KMeans: Sendable, Equatable {
  public private(set) var centers: PointTable
  /// The sum of the squared distances.
  public private(set) var inertia = 0.0
  /// The cluster of each point that it was made from.
  public private(set) var assignments: [Int]
  /// The squared distance of each to its center.
  private var distances: [Double] = []

  public static let stepsMax = 300
  private static let swapSteps = 4
  private static let tolerance = 1e-4

  /// The best of so many solutions from seeds of their own.
  ///
  /// - Parameters:
  ///   - points: at least one.
  ///   - clusters: fewer are found where fewer points differ.
  public static func best(
    of restarts: Int, _ points: PointTable, clusters: Int, _ draws: inout Draws
  ) -> KMeans {
    var best = KMeans(points, from: seeds(points, clusters, &draws))
    for _ in 1..<max(1, restarts) {
      let next = KMeans(points, from: seeds(points, clusters, &draws))
      if next.inertia < best.inertia { best = next }
    }
    return best
  }

  /// A solution that is as good or better: centers are taken away at random and put where points are far from all
  /// others, and that is kept where it helps.
  ///
  /// Random swap (Fränti 2018, "Efficiency of random swap clustering"): it leaves the solutions in which Lloyd's steps
  /// end, of which there are many, with far fewer steps than beginning anew.
  public func improved(_ points: PointTable, swaps: Int, _ draws: inout Draws) -> KMeans {
    var best = self
    let clusters = centers.count
    guard clusters > 1 else { return best }
    for _ in 0..<swaps {
      var total = 0.0
      for distance in best.distances { total += distance }
      guard total > 0 else { break }
      let removed = min(clusters - 1, Int(draws.unit() * Double(clusters)))
      var centers = best.centers
      centers.replace(removed, with: points[Self.draw(best.distances, total, &draws)])
      let tried = KMeans(points, from: centers, stepsMax: Self.swapSteps)
      if tried.inertia < best.inertia { best = tried }
    }
    return KMeans(points, from: best.centers)
  }

  /// The solution that some centers lead to.
  public init(_ points: PointTable, from centers: PointTable, stepsMax: Int = KMeans.stepsMax) {
    self.centers = centers
    assignments = [Int](repeating: 0, count: points.count)
    var variance = 0.0
    for deviation in PointScale(of: points).deviations { variance += deviation * deviation }
    let shiftMin = Self.tolerance * variance / Double(points.width)
    distances = [Double](repeating: 0, count: points.count)
    for _ in 0..<stepsMax {
      let changed = assign(points)
      let shift = move(points)
      if !changed || shift <= shiftMin { break }
    }
    _ = assign(points)
  }

  /// What is known to be a solution, without its points.
  init(centers: PointTable) {
    self.centers = centers
    assignments = []
  }

  /// The nearest center, the first of equal ones.
  public func nearest(_ point: [Double]) -> Int {
    var best = (cluster: 0, distance: Double.infinity)
    for cluster in 0..<centers.count {
      var sum = 0.0
      for (place, value) in centers[cluster].enumerated() {
        let difference = value - point[place]
        sum += difference * difference
      }
      if sum < best.distance { best = (cluster, sum) }
    }
    return best.cluster
  }

  public func nearest(_ points: PointTable) -> [Int] {
    var copy = self
    copy.assignments = [Int](repeating: 0, count: points.count)
    copy.distances = [Double](repeating: 0, count: points.count)
    _ = copy.assign(points)
    return copy.assignments
  }

  // MARK: Steps

  private mutating func assign(_ points: PointTable) -> Bool {
    let (width, clusters) = (points.width, centers.count)
    var changed = false
    var inertia = 0.0
    points.values.withUnsafeBufferPointer { points in
      centers.values.withUnsafeBufferPointer { centers in
        for index in distances.indices {
          let start = index &* width
          var best = (cluster: 0, distance: Double.infinity)
          for cluster in 0..<clusters {
            let distance = Self.distance(points, start, centers, cluster &* width, width)
            if distance < best.distance { best = (cluster, distance) }
          }
          changed = changed || assignments[index] != best.cluster
          assignments[index] = best.cluster
          distances[index] = best.distance
          inertia += best.distance
        }
      }
    }
    self.inertia = inertia
    return changed
  }

  /// Four sums side by side, which is as fast as the processor's registers are wide, and always the same order.
  @inline(__always)
  private static func distance(
    _ a: UnsafeBufferPointer<Double>, _ i: Int, _ b: UnsafeBufferPointer<Double>, _ j: Int,
    _ width: Int
  ) -> Double {
    var sums = SIMD4<Double>.zero
    var place = 0
    while place &+ 4 <= width {
      let x = SIMD4(a[i &+ place], a[i &+ place &+ 1], a[i &+ place &+ 2], a[i &+ place &+ 3])
      let y = SIMD4(b[j &+ place], b[j &+ place &+ 1], b[j &+ place &+ 2], b[j &+ place &+ 3])
      let difference = x - y
      sums += difference * difference
      place &+= 4
    }
    var sum = (sums[0] + sums[1]) + (sums[2] + sums[3])
    while place < width {
      let difference = a[i &+ place] - b[j &+ place]
      sum += difference * difference
      place &+= 1
    }
    return sum
  }

  /// - Returns: How far the centers moved, squared and added.
  private mutating func move(_ points: PointTable) -> Double {
    let (width, clusters) = (points.width, centers.count)
    var sums = [Double](repeating: 0, count: clusters * width)
    var counts = [Int](repeating: 0, count: clusters)
    for (index, cluster) in assignments.enumerated() {
      counts[cluster] += 1
      let (from, to) = (index * width, cluster * width)
      for place in 0..<width { sums[to + place] += points.values[from + place] }
    }
    var far = distances.indices.sorted {
      distances[$0] != distances[$1] ? distances[$0] < distances[$1] : $0 < $1
    }[max(0, distances.count - clusters)...]
    var shift = 0.0
    for cluster in 0..<clusters {
      var center = Array(sums[cluster * width..<(cluster + 1) * width])
      if counts[cluster] == 0 {
        guard let point = far.popLast() else { continue }
        center = Array(points[point])
      } else {
        for place in 0..<width { center[place] /= Double(counts[cluster]) }
      }
      for (place, value) in centers[cluster].enumerated() {
        shift += (center[place] - value) * (center[place] - value)
      }
      centers.replace(cluster, with: center)
    }
    return shift
  }

  // MARK: Seeds

  private static func seeds(
    _ points: PointTable, _ clusters: Int, _ draws: inout Draws
  ) -> PointTable {
    var seeds = PointTable(width: points.width)
    let first = min(points.count - 1, Int(draws.unit() * Double(points.count)))
    seeds.append(points[first])
    var nearest = distances(points, to: first)
    let trials = 2 + Int(Elementary.log(Double(max(1, clusters))))
    while seeds.count < clusters {
      var total = 0.0
      for distance in nearest { total += distance }
      guard total > 0 else { break }
      var best: (point: Int, nearest: [Double], total: Double)?
      for _ in 0..<trials {
        let point = draw(nearest, total, &draws)
        var next = distances(points, to: point)
        var sum = 0.0
        for index in next.indices {
          next[index] = min(next[index], nearest[index])
          sum += next[index]
        }
        if sum < best?.total ?? .infinity { best = (point, next, sum) }
      }
      guard let best else { break }
      seeds.append(points[best.point])
      nearest = best.nearest
    }
    return seeds
  }

  private static func draw(_ weights: [Double], _ total: Double, _ draws: inout Draws) -> Int {
    var rest = draws.unit() * total
    for (index, weight) in weights.enumerated() {
      rest -= weight
      if rest < 0 { return index }
    }
    return weights.lastIndex { $0 > 0 } ?? 0
  }

  private static func distances(_ points: PointTable, to point: Int) -> [Double] {
    points.values.withUnsafeBufferPointer { values in
      (0..<points.count).map {
        distance(values, $0 * points.width, values, point * points.width, points.width)
      }
    }
  }
}
