import Testing

@testable import Statistics
@testable import quality

@Suite("Clusters")
struct ClusterTests {
  /// Points around some centers, in turn.
  private static func points(
    _ centers: [[Double]], of count: Int, spread: Double = 0.1, seed: UInt64 = 1
  ) -> PointTable {
    var draws = Draws(seed: seed)
    var table = PointTable(width: centers[0].count)
    for index in 0..<count {
      table.append(centers[index % centers.count].map { $0 + spread * draws.normal() })
    }
    return table
  }

  private static let corners = [[0.0, 0], [10, 0], [0, 10], [10, 10]]

  @Test("k-means finds groups that lie apart, the same ones from the same draws")
  func groups() {
    let points = Self.points(Self.corners, of: 200)
    var draws = Draws(seed: 3)
    let found = KMeans.best(of: 3, points, clusters: 4, &draws)
    for index in 0..<200 { #expect(found.assignments[index] == found.assignments[index % 4]) }
    #expect(Set(found.assignments).count == 4)
    #expect(found.inertia < 0.1 * 0.1 * 2 * 200 * 1.3)
    var again = Draws(seed: 3)
    #expect(KMeans.best(of: 3, points, clusters: 4, &again) == found)
    #expect(found.nearest([9.6, 0.2]) == found.assignments[1])
  }

  @Test("a solution is where each center is the mean of the points that are nearest to it")
  func fixedPoint() {
    let points = Self.points(Self.corners, of: 300, spread: 4)
    var draws = Draws(seed: 5)
    let found = KMeans.best(of: 1, points, clusters: 5, &draws)
    for cluster in 0..<5 {
      let own = found.assignments.indices.filter { found.assignments[$0] == cluster }
      for place in 0..<2 {
        let mean = own.reduce(0) { $0 + Array(points[$1])[place] } / Double(own.count)
        #expect((mean - Array(found.centers[cluster])[place]).magnitude < 0.2)
      }
    }
    #expect(found.nearest(points) == found.assignments)
  }

  @Test("of fewer different points than clusters each is one")
  func fewPoints() {
    let points = PointTable(width: 1, values: [1, 1, 2, 2, 1])
    var draws = Draws(seed: 1)
    let found = KMeans.best(of: 2, points, clusters: 4, &draws)
    #expect(found.centers.count == 2 && found.inertia == 0)
  }

  @Test("an assignment costs as little as the best of all permutations")
  func assignment() {
    var draws = Draws(seed: 9)
    for _ in 0..<50 {
      let costs = (0..<4).map { _ in (0..<5).map { _ in (20 * draws.unit() - 10).rounded() } }
      func least(_ row: Int, _ used: Set<Int>) -> Double {
        guard row < 4 else { return 0 }
        return (0..<5).filter { !used.contains($0) }
          .map { costs[row][$0] + least(row + 1, used.union([$0])) }.min() ?? 0
      }
      let columns = MinimalAssignment.columns(costs)
      #expect(Set(columns).count == 4)
      #expect(columns.enumerated().reduce(0) { $0 + costs[$1.0][$1.1] } == least(0, []))
    }
    #expect(MinimalAssignment.columns([]).isEmpty)
  }

  @Test("a sample is those with the smallest hashes, whatever the order")
  func sample() {
    var draws = Draws(seed: 2)
    let all = (0..<500).map { (hash: draws.next(), place: $0) }
    let expected = all.sorted { $0.hash < $1.hash }.prefix(40).map(\.place)
    for order in [all, all.reversed(), all.sorted { $0.hash % 7 < $1.hash % 7 }] {
      var sample = HashSample(countMax: 40)
      for member in order { sample.offer(hash: member.hash, place: member.place) }
      #expect(sample.members.map(\.place) == expected)
    }
  }

  @Test("clusters keep their names while they move, and a new one has a new name")
  func names() {
    var clusters = StableClusters(clusterCount: 4)
    #expect(clusters.place(of: [0, 0]) == nil)
    clusters.refresh(Self.points(Self.corners, of: 400))
    #expect(clusters.clusters.map(\.name) == [1, 2, 3, 4])
    func name(_ point: [Double]) -> Int? {
      clusters.place(of: point).map { clusters.clusters[$0].name }
    }
    let names = Self.corners.map(name)
    clusters.refresh(
      Self.points(Self.corners.map { [$0[0] + 1, $0[1] - 0.5] }, of: 400, seed: 2))
    #expect(Self.corners.map { name([$0[0] + 1, $0[1] - 0.5]) } == names)
    #expect(clusters.kept == 1)

    // One group is gone, and two are beyond where one was: one of them has its name.
    let others = [[1, -0.5], [11, -0.5], [30, 40], [60, 20]]
    clusters.refresh(Self.points(others, of: 400, seed: 3))
    #expect(others.prefix(2).map(name) == Array(names.prefix(2)))
    #expect(Set(others.suffix(2).map(name)) == [names[3], 5])
  }

  @Test(
    "nobody changes names for another sample of the same people, and what is said is of the sample")
  func otherSample() {
    // Groups that run into each other: where the border lies is a matter of the sample.
    let centers = [[0.0, 0], [3, 0], [0, 3], [3, 3], [1.5, 1.5]]
    let all = Self.points(centers, of: 4_000, spread: 1)
    var clusters = StableClusters(clusterCount: 5)
    func sample(_ begin: Int) -> PointTable {
      var table = PointTable(width: 2)
      for index in stride(from: begin, to: 4_000, by: 4) { table.append(all[index]) }
      return table
    }
    clusters.refresh(sample(0), of: 4_000)
    func names() -> [Int] { clusters.places(of: all)?.map { clusters.clusters[$0].name } ?? [] }
    let (before, first) = (names(), clusters.clusters)
    for begin in 1...3 {
      clusters.refresh(sample(begin), of: 4_000)
      #expect(names() == before && clusters.kept == 1)
      #expect(clusters.clusters.map(\.center) != first.map(\.center))
      #expect(clusters.clusters.map(\.members).reduce(0, +) == 1_000)
    }
    // Where people move, so does the division: each name goes along.
    var moved = PointTable(width: 2)
    for index in 0..<1_000 { moved.append(all[index].map { $0 * 1.5 + 2 }) }
    clusters.refresh(moved, of: 4_000)
    #expect(names() != before && clusters.kept < 1)
    #expect(clusters.clusters.map(\.name).prefix(4).allSatisfy { (1...5).contains($0) })
  }

  @Test("what was chosen among few people stays, until there are a quarter more of them")
  func growth() {
    // First the third coordinate goes with the first one; then nothing tells which of two ways to divide.
    let first = Self.corners.map { $0 + [$0[0]] }
    var draws = Draws(seed: 2)
    var later = PointTable(width: 3)
    for index in 0..<400 {
      let corner = Self.corners[index % 4].map { $0 + 0.1 * draws.normal() }
      later.append(corner + [5 + 5 * draws.normal()])
    }
    func dividesByFirst(_ clusters: StableClusters) -> Bool {
      clusters.place(of: [0, 0, 5]) == clusters.place(of: [0, 10, 5])
    }
    let runs = (1...10 as ClosedRange<UInt64>).map { seed -> (stayed: Bool, grown: Bool) in
      var clusters = StableClusters(clusterCount: 2, seed: seed)
      clusters.refresh(Self.points(first, of: 400), of: 400)
      var grown = clusters
      clusters.refresh(later, of: 499)
      grown.refresh(later, of: 500)
      return (dividesByFirst(clusters), dividesByFirst(grown))
    }
    #expect(runs.allSatisfy { $0.stayed })
    #expect(runs.contains { !$0.grown })
  }

  @Test(
    "of solutions that are nearly as good as the best, the one that most others agree with is taken"
  )
  func typical() {
    let points = PointTable(width: 1, values: [0, 1, 9, 10])
    func solution(_ centers: [Double]) -> KMeans {
      KMeans(points, from: PointTable(width: 1, values: centers), stepsMax: 0)
    }
    let (low, high) = (solution([0, 10]), solution([0.1, 9.9]))
    let odd = solution([0, 1])
    #expect(low.inertia == 2 && odd.inertia > 100)
    #expect(KMeans.typical(of: [odd, odd, low], tie: 0.005) == low)
    #expect(KMeans.typical(of: [low, high], tie: 0.005).inertia < 2)
    let pair = PointTable(width: 2, values: [0, 0, 0, 1, 1.001, 0, 1.001, 1])
    let (across, down) = (
      KMeans(pair, from: PointTable(width: 2, values: [0, 0.5, 1.001, 0.5])),
      KMeans(pair, from: PointTable(width: 2, values: [0.5, 0, 0.5, 1]))
    )
    #expect(across.inertia < down.inertia && across.assignments != down.assignments)
    #expect(KMeans.typical(of: [across, down, down], tie: 0.005) == down)
    #expect(KMeans.typical(of: [across, down, down], tie: 0.0005) == across)
  }

  @Test("what sets a cluster apart is said in standard deviations from the rest")
  func traits() throws {
    var clusters = StableClusters(clusterCount: 2)
    clusters.refresh(Self.points([[0, 5, 1], [0, 5, 9], [0, 5, 9]], of: 300, spread: 0.01))
    let small = try #require(clusters.clusters.first { $0.members == 100 })
    let trait = try #require(small.traits.first)
    #expect(small.traits.count == 1 && trait.feature == 2)
    #expect((trait.mean - 1).magnitude < 0.1 && (trait.meanOfRest - 9).magnitude < 0.1)
    // Of a share of a third, in standard deviations of all: 8 of 8 × √2 / 3.
    #expect((trait.difference + 2.121).magnitude < 0.05)
  }

  @Test("a coordinate more leaves the names as they are")
  func widened() {
    var clusters = StableClusters(clusterCount: 2)
    clusters.refresh(Self.points([[0, 0], [9, 9]], of: 200))
    let first = clusters.place(of: [0, 0]).map { clusters.clusters[$0].name }
    clusters.refresh(Self.points([[0, 0, 1], [9, 9, 1]], of: 200, seed: 4))
    #expect(clusters.width == 3 && clusters.kept == 1)
    #expect(clusters.place(of: [0, 0, 1]).map { clusters.clusters[$0].name } == first)
    #expect(clusters.place(of: [0, 0]) == nil)
  }

  @Test(
    "the adjusted Rand index is that of scikit-learn's documentation",
    arguments: [
      ([0, 0, 1, 1], [0, 0, 1, 1], 1.0), ([0, 0, 1, 1], [1, 1, 0, 0], 1.0),
      ([0, 0, 1, 2], [0, 0, 1, 1], 0.571_428), ([0, 0, 0, 0], [0, 1, 2, 3], 0.0),
      ([0, 0, 1, 1], [0, 1, 0, 1], -0.5),
    ])
  func adjustedRand(first: [Int], second: [Int], expected: Double) {
    #expect((AdjustedRand.index(first, second) - expected).magnitude < 1e-6)
  }
}
