extension KMeans {
  /// Of the solutions that are nearly as good as the best one, the one that the others agree with most.
  ///
  /// Points say little about which of several solutions within half a percent of inertia is the right one: another
  /// sample of them turns the order around. Which divisions seeds come to time and again says more: the medoid of the
  /// near ties by their adjusted Rand indices is closer to the groups that are there, and comes out the same from other
  /// seeds and samples. Cost: one ``AdjustedRand`` for each pair of near ties.
  ///
  /// - Parameters:
  ///   - solutions: of the same points; at least one.
  ///   - tie: by which part of the least inertia they may be above it.
  static func typical(of solutions: [KMeans], tie: Double) -> KMeans {
    let least = solutions.reduce(Double.infinity) { min($0, $1.inertia) }
    let ties = solutions.filter { $0.inertia <= (1 + tie) * least }
    var agreement = [Double](repeating: 0, count: ties.count)
    for first in ties.indices {
      for second in 0..<first {
        let index = AdjustedRand.index(ties[first].assignments, ties[second].assignments)
        agreement[first] += index
        agreement[second] += index
      }
    }
    var best = 0
    for tie in ties.indices where agreement[tie] > agreement[best] { best = tie }
    return ties[best]
  }
}
