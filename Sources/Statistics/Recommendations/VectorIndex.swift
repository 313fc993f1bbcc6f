/// Vectors by number, and which of them are nearest to a given one: by looking at all while there are some thousands,
/// else by a ``NeighbourGraph``.
///
/// The graph grows in steps of the caller's, so that nothing waits for it; what is not in it yet is looked at one by
/// one. Numbers may be given to others: the nodes of those that are gone stay until they are half of the graph, which
/// is then built anew.
public struct VectorIndex: Sendable {
  public struct Found: Sendable, Equatable {
    public var number: Int
    public var cosine: Float
  }

  /// How a search was made.
  public enum Way: String, Sendable {
    case exact
    case graph
  }

  /// From so many vectors on there is a graph: below, looking at all takes less than half a millisecond.
  public static let graphMin = 4_000
  private static let waitingMax = 1_000

  private var vectors: [[SIMD16<Float>]] = []
  private var hashes: [UInt64] = []
  public private(set) var count = 0
  private let graphMin: Int
  private var graph: NeighbourGraph
  /// By number: its node, −1 where it has none.
  private var nodes: [Int32] = []
  /// By node: its number, −1 where that is gone or has another vector by now.
  private var numbers: [Int32] = []
  private var deadCount = 0
  /// Numbers that are to be added to the graph, from `waitingPlace` on.
  private var waiting: [Int32] = []
  private var waitingPlace = 0

  public init(graphMin: Int = graphMin) {
    self.graphMin = graphMin
    graph = NeighbourGraph(width: 1)
  }

  /// Gives a number a vector in the place of its old one; an empty one, or one of zeros, takes it out.
  ///
  /// - Parameter hash: of its name; see ``NeighbourGraph``.
  public mutating func set(_ number: Int, _ vector: [SIMD16<Float>], hash: UInt64) {
    while vectors.count <= number {
      vectors.append([])
      hashes.append(0)
      nodes.append(-1)
    }
    guard vectors[number] != vector else { return }
    remove(number)
    guard vector.contains(where: { $0 != .zero }) else { return }
    vectors[number] = vector
    hashes[number] = hash
    count += 1
    if vector.count > graph.width { startAnew(width: vector.count) } else { wait(number) }
  }

  public mutating func remove(_ number: Int) {
    guard number < vectors.count, !vectors[number].isEmpty else { return }
    vectors[number] = []
    count -= 1
    guard nodes[number] >= 0 else { return }
    numbers[Int(nodes[number])] = -1
    nodes[number] = -1
    deadCount += 1
    if deadCount > graph.count / 2 { startAnew(width: graph.width) }
  }

  private mutating func wait(_ number: Int) {
    waiting.append(Int32(number))
  }

  private mutating func startAnew(width: Int) {
    graph = NeighbourGraph(width: width)
    numbers = []
    deadCount = 0
    waitingPlace = 0
    waiting = vectors.indices.filter { !vectors[$0].isEmpty }.map(Int32.init)
    for number in nodes.indices { nodes[number] = -1 }
  }

  /// Adds what waits to the graph, so many at most: some 100 µs each.
  public mutating func grow(_ most: Int) {
    guard count >= graphMin else { return }
    var left = most
    while left > 0, waitingPlace < waiting.count {
      let number = Int(waiting[waitingPlace])
      waitingPlace += 1
      guard !vectors[number].isEmpty, nodes[number] < 0 else { continue }
      nodes[number] = Int32(graph.add(vectors[number], hash: hashes[number]))
      numbers.append(Int32(number))
      left -= 1
    }
    if waitingPlace == waiting.count { (waiting, waitingPlace) = ([], 0) }
  }

  /// - Parameter isAllowed: by number.
  /// - Returns: the nearest first, of what is as near the least number.
  public func nearest(
    _ vector: [SIMD16<Float>], count wanted: Int, isAllowed: (Int) -> Bool = { _ in true }
  ) -> (found: [Found], way: Way) {
    let isGrown = count >= graphMin && waiting.count - waitingPlace <= Self.waitingMax
    guard isGrown, let found = byGraph(vector, wanted, isAllowed) else {
      return (best(wanted, among: vectors.indices, vector, isAllowed), .exact)
    }
    return (found, .graph)
  }

  /// - Returns: nil where too few of what it found are allowed.
  private func byGraph(
    _ vector: [SIMD16<Float>], _ wanted: Int, _ isAllowed: (Int) -> Bool
  ) -> [Found]? {
    // Others than the best are asked for too, in the place of those that are gone or not allowed.
    let among = graph.nearest(vector, count: 2 * wanted + NeighbourGraph.keptSearching)
      .map { Int(numbers[$0.node]) }.filter { $0 >= 0 }
    let fresh = waiting[waitingPlace...].map(Int.init)
    let found = best(wanted, among: Array(Set(among + fresh)).sorted(), vector, isAllowed)
    return found.count == min(wanted, count) ? found : nil
  }

  private func best(
    _ wanted: Int, among numbers: some Sequence<Int>, _ vector: [SIMD16<Float>],
    _ isAllowed: (Int) -> Bool
  ) -> [Found] {
    var best: [Found] = []
    for number in numbers where !vectors[number].isEmpty && isAllowed(number) {
      let cosine = HashedTextEmbedding.cosine(vectors[number], vector)
      if best.count == wanted {
        guard let last = best.last, cosine > last.cosine else { continue }
        best.removeLast()
      }
      var place = best.count
      while place > 0, best[place - 1].cosine < cosine { place -= 1 }
      best.insert(Found(number: number, cosine: cosine), at: place)
    }
    return best
  }
}
