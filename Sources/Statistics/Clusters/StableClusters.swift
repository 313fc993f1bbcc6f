/// Clusters that keep their names while what they are made of changes.
///
/// Each refresh solves k-means for a bounded sample (``HashSample``): from the centers of before, and from new seeds,
/// of which the typical solution is taken (``KMeans/typical(of:tie:)``). The old division stays as it is unless it
/// is certain to be worse than the best by more than one percent, each told by points that it was not made from: centers
/// that follow their sample would give one person in twenty another name for nothing. Where it is worse the old centers move, if that is good enough, so that
/// few change names. There is a new choice once there are a quarter more people than there were at the last one: what the
/// first ones looked like says little of those who came later. Names go by members: the new clusters are matched with the old
/// ones so that as many points as possible stay under their name (``MinimalAssignment``); a cluster that shares too little
/// with the one it is matched with is a new one, and has a name that was never used.
///
///     points ─▶ standardised ─▶ old division ──────────────────┐ the first that is good enough
///                            ├▶ from old centers ──────────────┤
///                            └▶ from new seeds ─▶ the typical ─┴▶ one ─▶ matched by members ─▶ names, traits
///
/// Coordinates may be added at the end from one refresh to the next: of them the old centers say nothing.
/// Between refreshes a point belongs to the nearest center. Cost of a refresh: that of k-means (``KMeans``) for the
/// sample, a few times. Fails to name what moves so fast that few members stay between two refreshes.
public struct StableClusters: Sendable, Equatable {
  /// A coordinate that sets a cluster apart.
  public struct Trait: Sendable, Equatable {
    public let feature: Int
    /// Mean of the cluster minus mean of the rest, in standard deviations of all.
    public let difference: Double
    public let mean: Double
    public let meanOfRest: Double
  }

  public struct Cluster: Sendable, Equatable {
    /// From 1, never used again for another one.
    public let name: Int
    /// Of the sample.
    public let members: Int
    /// The mean of its members, in the units of the points.
    public let center: [Double]
    /// The greatest differences first; those that are worth a word.
    public let traits: [Trait]
  }

  /// How many are looked for.
  public let clusterCount: Int
  /// In order of their names.
  public private(set) var clusters: [Cluster] = []
  /// Of the last refresh: the share of its points whose name is what it was with the clusters before; 1 at the
  /// first.
  public private(set) var kept = 1.0
  private var scale: PointScale?
  /// In order of `clusters`, standardised.
  private var solution: KMeans?
  private var lastName = 0
  /// How many people there were when the solution was chosen, and not kept.
  private var chosenAmong = 0
  private var draws: Draws

  private static let restarts = 10
  private static let swaps = 40
  /// Solutions whose inertia differs by less are as good as each other.
  private static let tie = 0.005
  /// By which part of the least inertia the old solution may be above it: names are worth more than a choice.
  private static let stay = 0.01
  /// Standard errors of what is certain.
  private static let certainty = 2.0
  /// With so many times the people that it was chosen among, the solution is chosen anew.
  private static let growth = 1.25
  /// Of two matched clusters together, the part that both have; less is another cluster.
  private static let overlapMin = 0.1
  private static let differenceMin = 0.25
  private static let traitsMax = 5

  public init(clusterCount: Int, seed: UInt64 = 1) {
    precondition(clusterCount >= 1, "there is at least one cluster")
    self.clusterCount = clusterCount
    draws = Draws(seed: seed)
  }

  /// Coordinates of the last refresh; 0 before the first.
  public var width: Int { solution?.centers.width ?? 0 }

  /// The place of a point's cluster in ``clusters``; nil before the first refresh.
  ///
  /// - Parameter point: with as many coordinates as those of the last refresh.
  public func place(of point: [Double]) -> Int? {
    guard let scale, let solution, point.count == width else { return nil }
    return solution.nearest(scale.standardized(point))
  }

  /// How far a point is from each of ``clusters``, in each coordinate, in standard deviations of all; nil before the first
  /// refresh.
  public func deviations(of point: [Double]) -> [[Double]]? {
    guard let scale, let solution, point.count == width else { return nil }
    let own = scale.standardized(point)
    return clusters.indices.map { cluster in
      zip(own, solution.centers[cluster]).map { $0 - $1 }
    }
  }

  /// The places of many points.
  public func places(of points: PointTable) -> [Int]? {
    guard let scale, let solution, points.width == width else { return nil }
    return solution.nearest(scale.standardized(points))
  }

  /// Takes points for what there is, with as many coordinates as before at least. With fewer of them than two for a
  /// cluster nothing changes.
  ///
  /// - Parameter population: of which the points are a sample; nil where they are all.
  public mutating func refresh(_ points: PointTable, of population: Int? = nil) {
    guard points.count >= 2 * clusterCount, points.width >= width else { return }
    let next = PointScale(of: points)
    let standardized = next.standardized(points)
    let centers = oldCenters(points.width, next)
    let warm = centers.map { KMeans(standardized, from: $0) }
    let solutions = solve(standardized) + (warm.map { [$0] } ?? [])
    let population = population ?? points.count
    let hasGrown = Double(population) >= Self.growth * Double(chosenAmong)
    guard let old = places(of: points.narrowed(to: width)) else {
      chosenAmong = population
      let first = KMeans.typical(of: solutions, tie: Self.tie)
      take(first, names: firstNames(first), points, next)
      return
    }
    let least = solutions.reduce(Double.infinity) { min($0, $1.inertia) }
    if let centers, !hasGrown, points.width == width,
      !Self.isWorse(
        Self.distances(standardized, centers, old),
        than: Self.distances(standardized, likeBest: solutions))
    {
      kept = 1
      clusters = Self.described(old, names: clusters.map(\.name), points, next, before: clusters)
      return
    }
    let best: KMeans
    if let warm, !hasGrown, warm.inertia <= (1 + Self.stay) * least {
      best = warm
    } else {
      best = KMeans.typical(of: solutions, tie: Self.tie)
      chosenAmong = population
    }
    let oldNames = clusters.map(\.name)
    let names = matchedNames(best, old: old)
    var same = 0
    for (index, place) in best.assignments.enumerated()
    where names[place] == oldNames[old[index]] {
      same += 1
    }
    kept = Double(same) / Double(points.count)
    take(best, names: names, points, next)
  }

  /// The old centers in a new scale; nil where there are none, or where they are fewer than are looked for.
  private func oldCenters(_ wide: Int, _ next: PointScale) -> PointTable? {
    guard let scale, let solution, solution.centers.count >= clusterCount else { return nil }
    var centers = PointTable(width: wide)
    let restored = scale.restored(solution.centers)
    for index in 0..<restored.count {
      centers.append(Array(restored[index]) + next.means[width...])
    }
    return next.standardized(centers)
  }

  /// Whether squared distances are certain to be greater by more than one percent on average; those of each point are compared.
  private static func isWorse(_ old: [Double], than new: [Double]) -> Bool {
    var (total, difference, squares) = (0.0, 0.0, 0.0)
    for (old, new) in zip(old, new) {
      total += new
      difference += old - new
      squares += (old - new) * (old - new)
    }
    let count = Double(old.count)
    let mean = difference / count
    let error = (max(0, squares / count - mean * mean) / count).squareRoot()
    return mean - certainty * error > stay * total / count
  }

  /// Of each point the squared distance to its center in a division.
  private static func distances(
    _ points: PointTable, _ centers: PointTable, _ division: [Int]
  ) -> [Double] {
    division.enumerated().map { index, cluster in
      zip(points[index], centers[cluster]).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    }
  }

  /// The same in divisions that are made like the best solution, of each half of the points from the other half: what a
  /// solution is better for its own points alone does not count.
  private static func distances(_ points: PointTable, likeBest solutions: [KMeans]) -> [Double] {
    var best = solutions[0]
    for solution in solutions where solution.inertia < best.inertia { best = solution }
    let halves = (0..<2).map { half in
      var table = PointTable(width: points.width)
      for index in stride(from: half, to: points.count, by: 2) { table.append(points[index]) }
      return table
    }
    let found = (0..<2).map { half in
      let made = KMeans(halves[1 - half], from: best.centers)
      return distances(halves[half], made.centers, made.nearest(halves[half]))
    }
    return (0..<points.count).map { found[$0 % 2][$0 / 2] }
  }

  private mutating func solve(_ points: PointTable) -> [KMeans] {
    var solutions: [KMeans] = []
    for _ in 0..<Self.restarts {
      solutions.append(KMeans.best(of: 1, points, clusters: clusterCount, &draws))
    }
    var best = solutions[0]
    for solution in solutions where solution.inertia < best.inertia { best = solution }
    return solutions + [best.improved(points, swaps: Self.swaps, &draws)]
  }

  // MARK: Names

  /// The largest has the first name.
  private mutating func firstNames(_ solution: KMeans) -> [Int] {
    let sizes = Self.sizes(solution)
    let order = sizes.indices.sorted { sizes[$0] != sizes[$1] ? sizes[$0] > sizes[$1] : $0 < $1 }
    var names = [Int](repeating: 0, count: sizes.count)
    for (rank, cluster) in order.enumerated() { names[cluster] = rank + 1 }
    lastName = sizes.count
    return names
  }

  /// - Parameter old: the place in ``clusters`` of each point until now.
  private mutating func matchedNames(_ solution: KMeans, old: [Int]) -> [Int] {
    let new = solution.centers.count
    let size = max(new, clusters.count)
    var common = [[Double]](
      repeating: [Double](repeating: 0, count: size), count: size)
    var oldSizes = [Double](repeating: 0, count: size)
    let newSizes = Self.sizes(solution)
    for (index, cluster) in solution.assignments.enumerated() {
      common[cluster][old[index]] += 1
      oldSizes[old[index]] += 1
    }
    let columns = MinimalAssignment.columns(common.map { $0.map { -$0 } })
    return (0..<new).map { cluster in
      let before = columns[cluster]
      if before < clusters.count {
        let both = common[cluster][before]
        let either = Double(newSizes[cluster]) + oldSizes[before] - both
        if both > 0, both >= Self.overlapMin * either { return clusters[before].name }
      }
      lastName += 1
      return lastName
    }
  }

  private mutating func take(
    _ solution: KMeans, names: [Int], _ points: PointTable, _ scale: PointScale
  ) {
    let order = names.indices.sorted { names[$0] < names[$1] }
    var centers = PointTable(width: points.width)
    for cluster in order { centers.append(solution.centers[cluster]) }
    var placeOf = [Int](repeating: 0, count: order.count)
    for (place, cluster) in order.enumerated() { placeOf[cluster] = place }
    clusters = Self.described(
      solution.assignments.map { placeOf[$0] }, names: order.map { names[$0] }, points, scale)
    self.scale = scale
    self.solution = KMeans(centers: centers)
  }

  /// What clusters look like by the points that are in them; of one that has none, what it looked like before.
  ///
  /// - Parameters:
  ///   - division: of each point the place of its cluster.
  ///   - names: rising.
  private static func described(
    _ division: [Int], names: [Int], _ points: PointTable, _ scale: PointScale,
    before: [Cluster] = []
  ) -> [Cluster] {
    var sums = [[Double]](
      repeating: [Double](repeating: 0, count: points.width), count: names.count)
    var sizes = [Int](repeating: 0, count: names.count)
    for (index, cluster) in division.enumerated() {
      sizes[cluster] += 1
      for (place, value) in points[index].enumerated() { sums[cluster][place] += value }
    }
    return names.indices.map { place in
      let size = sizes[place]
      let center =
        size > 0 || place >= before.count
        ? sums[place].map { $0 / Double(max(1, size)) } : before[place].center
      return Cluster(
        name: names[place], members: size, center: center,
        traits: traits(center, share: Double(size) / Double(points.count), scale))
    }
  }

  private static func sizes(_ solution: KMeans) -> [Int] {
    var sizes = [Int](repeating: 0, count: solution.centers.count)
    for cluster in solution.assignments { sizes[cluster] += 1 }
    return sizes
  }

  /// The mean of the rest follows from those of the cluster and of all.
  private static func traits(_ center: [Double], share: Double, _ scale: PointScale) -> [Trait] {
    guard share < 1 else { return [] }
    let traits = center.enumerated().map { feature, mean in
      let rest = (scale.means[feature] - share * mean) / (1 - share)
      return Trait(
        feature: feature, difference: (mean - rest) / scale.deviations[feature], mean: mean,
        meanOfRest: rest)
    }
    let worthy = traits.filter { $0.difference.magnitude >= differenceMin }
    return Array(
      worthy.sorted { a, b in
        let (x, y) = (a.difference.magnitude, b.difference.magnitude)
        return x != y ? x > y : a.feature < b.feature
      }.prefix(traitsMax))
  }
}
