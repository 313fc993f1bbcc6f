import Statistics

/// The simple recommenders that others are measured against: popularity, and the cosine of contents' visitors.
struct RecommendationBaselines {
  static let names = [
    "popularity", "popularity, half-life 7 d", "popularity, half-life 1 d", "item cosine",
    "item cosine, recent history first",
  ]

  private static let day = 86_400.0
  private var counts: [FadingCounts]
  private let size: Int
  /// How many persons looked at both, by pair.
  private var both: [Float]
  private var visits: [Float]
  private var sums: [Float] = []

  init(contents: Int) {
    size = contents
    counts = [1e6 * Self.day, 7 * Self.day, Self.day].map { FadingCounts(halfLife: $0) }
    both = [Float](repeating: 0, count: contents * contents)
    visits = [Float](repeating: 0, count: contents)
  }

  /// - Returns: by name, whether the content is among the first ten that the person has not seen.
  mutating func hits(
    _ content: Int, history: [ContentRecommender.Visit], candidates: [Int], seen: [Bool],
    at time: Double
  ) -> [Bool] {
    var hits = counts.map { counts in
      Self.isHit(content, candidates, seen) { Float(counts.value($0)) }
    }
    for halfLife in [Double.infinity, 7 * Self.day] {
      cosines(history, halfLife: halfLife, at: time)
      hits.append(Self.isHit(content, candidates, seen) { sums[$0] })
    }
    return hits
  }

  private mutating func cosines(
    _ history: [ContentRecommender.Visit], halfLife: Double, at time: Double
  ) {
    sums = [Float](repeating: 0, count: size)
    for visit in history {
      let known = Int(visit.content)
      let weight =
        Float(Elementary.exp((visit.time - time) / halfLife * Elementary.ln2))
        / visits[known].squareRoot()
      let row = known * size
      for other in 0..<size { sums[other] += weight * both[row + other] }
    }
    for other in 0..<size where visits[other] > 0 { sums[other] /= visits[other].squareRoot() }
  }

  static func isHit(
    _ content: Int, _ candidates: [Int], _ seen: [Bool], _ score: (Int) -> Float
  ) -> Bool {
    let own = score(content)
    var above = 0
    for other in candidates where !seen[other] && score(other) > own { above += 1 }
    return above < 10
  }

  mutating func add(_ content: Int, history: [ContentRecommender.Visit], at time: Double) {
    for place in counts.indices { counts[place].add(content, 1, at: time) }
    visits[content] += 1
    for visit in history where Int(visit.content) != content {
      both[Int(visit.content) * size + content] += 1
      both[content * size + Int(visit.content)] += 1
    }
  }
}
