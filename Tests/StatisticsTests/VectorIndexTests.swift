import Statistics
import Testing

@Suite struct VectorIndexTests {
  // Without optimisation a comparison of two vectors takes a hundred times as long.
  #if DEBUG
    private static let contentCount = 500
  #else
    private static let contentCount = 6_000
  #endif

  private static let words = [
    "ten", "easy", "soups", "autumn", "markets", "fall", "stock", "bicycle", "repair", "garden",
    "winter", "recipes", "moves", "evening", "cold", "city", "travel", "cheap", "train", "music",
    "jazz", "piano", "learn", "code", "swift", "python", "health", "sleep", "run", "marathon",
  ]

  /// Titles of some words, whose vectors are near in groups, as texts are.
  private static func vectors(_ count: Int) -> [[SIMD16<Float>]] {
    var draws = Draws(seed: 7)
    let titles = (0..<count).map { number in
      let chosen = (0..<4).map { _ in Self.words[Int(draws.next() % UInt64(Self.words.count))] }
      return chosen.joined(separator: " ") + " \(number % 97)"
    }
    var embedding = HashedTextEmbedding()
    for title in titles { embedding.count(title) }
    return titles.map(embedding.vector)
  }

  private static func hash(_ number: Int) -> UInt64 {
    HashedTextEmbedding.hash("content-\(number)")
  }

  private static func index(
    _ vectors: [[SIMD16<Float>]], graphMin: Int = 100, grown: Bool = true
  ) -> VectorIndex {
    var index = VectorIndex(graphMin: graphMin)
    for (number, vector) in vectors.enumerated() {
      index.set(number, vector, hash: hash(number))
      if grown { index.grow(2) }
    }
    return index
  }

  @Test("The graph finds at least 95 of 100 of the ten nearest")
  func recall() {
    let vectors = Self.vectors(Self.contentCount)
    let (graph, exact) = (Self.index(vectors), Self.index(vectors, graphMin: .max))
    var found = 0
    let asked = Array(stride(from: 0, to: vectors.count, by: vectors.count / 100))
    for number in asked {
      let (near, way) = graph.nearest(vectors[number], count: 10)
      let (truth, exactWay) = exact.nearest(vectors[number], count: 10)
      #expect(way == .graph && exactWay == .exact)
      // What is as near as the tenth is as good.
      let least = truth[9].cosine - 1e-6
      found += near.count { $0.cosine >= least }
    }
    let recall = Double(found) / Double(10 * asked.count)
    #expect(recall >= 0.95, "recall \(recall)")
  }

  @Test("The same additions give the same graph")
  func repeated() {
    let vectors = Self.vectors(200)
    let (one, other) = (Self.index(vectors), Self.index(vectors))
    for number in stride(from: 0, to: 200, by: 10) {
      #expect(
        one.nearest(vectors[number], count: 5).found
          == other.nearest(vectors[number], count: 5).found)
    }
  }

  @Test("What was removed or changed is not found by what it was, while the graph grows and after")
  func removed() {
    let vectors = Self.vectors(240)
    var index = Self.index(vectors)
    for number in 0..<130 { index.remove(number) }
    #expect(index.count == 110)
    index.set(200, vectors[0], hash: Self.hash(200))
    for steps in [0, 50, 1_000] {
      index.grow(steps)
      let found = index.nearest(vectors[0], count: 110).found
      #expect(found.first?.number == 200)
      #expect(Set(found.map(\.number)) == Set(130..<240))
    }
    let allowed = index.nearest(vectors[0], count: 3) { $0 == 239 }
    #expect(allowed.found.map(\.number) == [239])
  }

  @Test("What is new is found before the graph has it, and zeros never are")
  func waiting() {
    let vectors = Self.vectors(200)
    var index = Self.index(Array(vectors.prefix(150)))
    index.set(150, vectors[199], hash: Self.hash(150))
    index.set(151, [SIMD16<Float>](repeating: .zero, count: 16), hash: Self.hash(151))
    let (found, way) = index.nearest(vectors[199], count: 1)
    #expect(way == .graph && found.map(\.number) == [150])
    #expect(index.count == 151)
  }

  @Test("A meaning and words are one vector of length 1, whose cosine is a quarter words'")
  func blended() {
    let vectors = Self.vectors(2)
    func unit(_ place: Int) -> [Float] { (0..<256).map { $0 == place ? 2 : 0 } }
    let (a, b) = (BlendedEmbedding.meaning(unit(0)), BlendedEmbedding.meaning(unit(1)))
    let own = BlendedEmbedding.blend(words: vectors[0], meaning: a)
    let likeWords = BlendedEmbedding.blend(words: vectors[0], meaning: b)
    let likeMeaning = BlendedEmbedding.blend(words: vectors[1], meaning: a)
    let words = HashedTextEmbedding.cosine(vectors[0], vectors[1])
    #expect(abs(HashedTextEmbedding.cosine(own, own) - 1) < 1e-5)
    #expect(abs(HashedTextEmbedding.cosine(own, likeWords) - 0.25) < 1e-5)
    #expect(abs(HashedTextEmbedding.cosine(own, likeMeaning) - 0.75 - 0.25 * words) < 1e-5)
    // To words alone words count half.
    #expect(abs(HashedTextEmbedding.cosine(own, vectors[0]) - 0.5) < 1e-5)
    #expect(BlendedEmbedding.meaning(in: BlendedEmbedding.numbers(own)).count == a.count)
    #expect(BlendedEmbedding.meaning([0, 0]).isEmpty && BlendedEmbedding.meaning([.nan]).isEmpty)
  }

  @Test("A model's vector of any length keeps its cosines nearly")
  func folded() {
    var draws = Draws(seed: 3)
    func vector(_ base: [Float], _ noise: Float) -> [Float] {
      base.map { $0 + noise * Float(draws.unit() - 0.5) }
    }
    let base = (0..<1_536).map { _ in Float(draws.unit() - 0.5) }
    let other = (0..<1_536).map { _ in Float(draws.unit() - 0.5) }
    func cosine(_ a: [Float], _ b: [Float]) -> Float {
      HashedTextEmbedding.cosine(BlendedEmbedding.meaning(a), BlendedEmbedding.meaning(b))
    }
    #expect(cosine(base, base) > 0.999)
    // Of independent noise of the same deviation: 1/√2.
    #expect(abs(cosine(base, vector(base, 1)) - 0.707) < 0.15)
    #expect(abs(cosine(base, other)) < 0.25)
  }
}
