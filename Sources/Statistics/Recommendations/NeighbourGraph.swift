/// Finds vectors near a given one without looking at all of them: a hierarchical navigable small world.
///
///     level 2   a ───────────── e            few nodes, long steps
///     level 1   a ──── c ────── e ── f
///     level 0   a ─ b ─ c ─ d ─ e ─ f ─ g    all nodes; the best found so far are kept and gone on from
///
/// Malkov and Yashunin 2016 ("Efficient and robust approximate nearest neighbor search using HNSW graphs"), with their
/// choice of neighbours that lie in different directions (algorithm 4). A node's level follows from a hash that it
/// is added with, and what is as near goes by number, so that the same additions give the same graph. Vectors have
/// length 1: nearness is the dot product.
///
/// Cost: an addition compares some 2,000 vectors, a search some 1,500 among 20,000, whatever their number but for its
/// logarithm; memory is the vectors and 130 bytes a node. Finds nearly all of the nearest (recall 0.95 and more where
/// texts are alike in groups), and fewer where vectors are random in many dimensions. Nodes stay: what is removed is
/// left out by who asks.
public struct NeighbourGraph: Sendable {
  public struct Found: Sendable, Equatable {
    public var node: Int
    public var cosine: Float
  }

  /// Neighbours of a node on upper levels; twice as many on the lowest.
  static let degree = 16
  /// So many of the best are kept while a node is added, and at least while one is searched.
  static let keptAdding = 80
  public static let keptSearching = 96
  private static let levelMax = 8

  /// Elements of a vector, 16 numbers each.
  public let width: Int
  private var vectors: [SIMD16<Float>] = []
  private var levels: [UInt8] = []
  /// On the lowest level: `2 * degree` places a node, of which `lowestCounts` are taken.
  private var lowest: [Int32] = []
  private var lowestCounts: [UInt8] = []
  /// By node: from level 1 on.
  private var upper: [[[Int32]]] = []
  private var entry = 0

  public init(width: Int) {
    precondition(width >= 1, "a vector has elements")
    self.width = width
  }

  public var count: Int { levels.count }

  /// - Parameters:
  ///   - vector: of length 1; shorter ones end in zeros.
  ///   - hash: evenly distributed, such as that of a name.
  /// - Returns: its node, one more than the last.
  @discardableResult
  public mutating func add(_ vector: [SIMD16<Float>], hash: UInt64) -> Int {
    precondition(vector.count <= width, "the graph has narrower vectors")
    let node = count
    let level = Self.level(hash)
    vectors.append(contentsOf: vector)
    vectors.append(contentsOf: repeatElement(.zero, count: width - vector.count))
    let top = node == 0 ? -1 : Int(levels[entry])
    levels.append(UInt8(level))
    lowest.append(contentsOf: repeatElement(-1, count: 2 * Self.degree))
    lowestCounts.append(0)
    upper.append([[Int32]](repeating: [], count: level))
    if node > 0 {
      var starts = [Found(node: entry, cosine: dot(vector, entry))]
      for above in stride(from: top, to: level, by: -1) {
        starts = search(vector, from: starts, level: above, kept: 1)
      }
      for here in stride(from: min(top, level), through: 0, by: -1) {
        starts = search(vector, from: starts, level: here, kept: Self.keptAdding)
        let chosen = different(starts, count: Self.degree)
        setNeighbours(of: node, level: here, chosen.map { Int32($0.node) })
        for other in chosen { link(other.node, to: node, level: here, cosine: other.cosine) }
      }
    }
    if level > top { entry = node }
    return node
  }

  /// The nodes nearest to a vector, the nearest first.
  public func nearest(_ vector: [SIMD16<Float>], count wanted: Int) -> [Found] {
    guard count > 0, wanted > 0 else { return [] }
    let vector = Array(vector.prefix(width))
    var starts = [Found(node: entry, cosine: dot(vector, entry))]
    for level in stride(from: Int(levels[entry]), to: 0, by: -1) {
      starts = search(vector, from: starts, level: level, kept: 1)
    }
    let found = search(vector, from: starts, level: 0, kept: max(wanted, Self.keptSearching))
    return Array(found.prefix(wanted))
  }

  /// A sixteenth of the nodes of each level are on the next one.
  private static func level(_ hash: UInt64) -> Int {
    let share = (Double(hash >> 11) + 1) * 0x1p-53
    return min(levelMax, Int(-Elementary.log(share) / Elementary.log(Double(degree))))
  }

  // MARK: Search

  /// Goes on from the nearest node that was not gone on from, until all of those kept were.
  private func search(
    _ vector: [SIMD16<Float>], from starts: [Found], level: Int, kept: Int
  ) -> [Found] {
    var isSeen = [UInt64](repeating: 0, count: count / 64 + 1)
    var best = starts
    var isOpen = [Bool](repeating: true, count: best.count)
    for start in starts { isSeen[start.node / 64] |= 1 << UInt64(start.node % 64) }
    var next = 0
    while next < best.count {
      guard isOpen[next] else {
        next += 1
        continue
      }
      isOpen[next] = false
      var first = next
      for place in 0..<neighbourCount(of: best[next].node, level) {
        let node = neighbour(place, of: best[next].node, level)
        let bit = UInt64(1) << UInt64(node % 64)
        guard isSeen[node / 64] & bit == 0 else { continue }
        isSeen[node / 64] |= bit
        let found = Found(node: node, cosine: dot(vector, node))
        if best.count == kept, !Self.isNearer(found, best[kept - 1]) { continue }
        // The node that is gone on from keeps its place, or moves down behind `next`.
        let spot = Self.place(of: found, in: best)
        best.insert(found, at: spot)
        isOpen.insert(true, at: spot)
        if spot <= next { next += 1 }
        first = min(first, spot)
        if best.count > kept {
          best.removeLast()
          isOpen.removeLast()
          if next >= best.count { break }
        }
      }
      next = first
    }
    return best
  }

  private static func isNearer(_ left: Found, _ right: Found) -> Bool {
    left.cosine > right.cosine || (left.cosine == right.cosine && left.node < right.node)
  }

  private static func place(of found: Found, in best: [Found]) -> Int {
    var (low, high) = (0, best.count)
    while low < high {
      let middle = (low + high) / 2
      if isNearer(best[middle], found) { low = middle + 1 } else { high = middle }
    }
    return low
  }

  @inline(__always)
  private func dot(_ vector: [SIMD16<Float>], _ node: Int) -> Float {
    var sum = SIMD16<Float>()
    let start = node * width
    for place in vector.indices { sum += vector[place] * vectors[start + place] }
    return sum.sum()
  }

  private func dot(_ left: Int, _ right: Int) -> Float {
    var sum = SIMD16<Float>()
    let (left, right) = (left * width, right * width)
    for place in 0..<width { sum += vectors[left + place] * vectors[right + place] }
    return sum.sum()
  }

  // MARK: Neighbours

  /// Those that are nearer than to any chosen before, so that they lead to all sides; then the nearest of the others.
  private func different(_ found: [Found], count wanted: Int) -> [Found] {
    guard found.count > wanted else { return found }
    var chosen: [Found] = []
    var others: [Found] = []
    for candidate in found {
      guard chosen.count < wanted else { break }
      if chosen.contains(where: { dot($0.node, candidate.node) > candidate.cosine }) {
        others.append(candidate)
      } else {
        chosen.append(candidate)
      }
    }
    return chosen + others.prefix(wanted - chosen.count)
  }

  private mutating func link(_ node: Int, to other: Int, level: Int, cosine: Float) {
    let most = level == 0 ? 2 * Self.degree : Self.degree
    let count = neighbourCount(of: node, level)
    if count < most {
      if level == 0 {
        lowest[node * 2 * Self.degree + count] = Int32(other)
        lowestCounts[node] += 1
      } else {
        upper[node][level - 1].append(Int32(other))
      }
      return
    }
    var all = (0..<count).map { place in
      let neighbour = neighbour(place, of: node, level)
      return Found(node: neighbour, cosine: dot(node, neighbour))
    }
    all.append(Found(node: other, cosine: cosine))
    all.sort(by: Self.isNearer)
    setNeighbours(of: node, level: level, different(all, count: most).map { Int32($0.node) })
  }

  private mutating func setNeighbours(of node: Int, level: Int, _ neighbours: [Int32]) {
    guard level == 0 else {
      upper[node][level - 1] = neighbours
      return
    }
    for (place, neighbour) in neighbours.enumerated() {
      lowest[node * 2 * Self.degree + place] = neighbour
    }
    lowestCounts[node] = UInt8(neighbours.count)
  }

  @inline(__always)
  private func neighbourCount(of node: Int, _ level: Int) -> Int {
    level == 0 ? Int(lowestCounts[node]) : upper[node][level - 1].count
  }

  @inline(__always)
  private func neighbour(_ place: Int, of node: Int, _ level: Int) -> Int {
    Int(level == 0 ? lowest[node * 2 * Self.degree + place] : upper[node][level - 1][place])
  }
}
