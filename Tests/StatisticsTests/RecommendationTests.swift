import Statistics
import Testing

@testable import quality

@Suite struct RecommendationTests {
  private static let hour = 3_600.0
  private static let day = 86_400.0

  // MARK: Text

  @Test("Texts that share words or parts of words are nearer than those that share none")
  func nearness() {
    var embedding = HashedTextEmbedding()
    let titles = [
      "Ten recipes for autumn soups", "A soup recipe for cold evenings", "Markets fall again",
      "Stock markets and what moves them", "How to repair a bicycle",
    ]
    for title in titles { embedding.count(title) }
    let vectors = titles.map(embedding.vector)
    func cosine(_ a: Int, _ b: Int) -> Float {
      HashedTextEmbedding.cosine(vectors[a], vectors[b])
    }
    #expect(cosine(0, 1) > 2 * max(cosine(0, 2), cosine(0, 4)))
    #expect(cosine(2, 3) > 2 * max(cosine(2, 1), cosine(2, 4)))
    for place in titles.indices { #expect(abs(cosine(place, place) - 1) < 1e-5) }
  }

  @Test("A text without letters and digits has no direction, and letters of any script have one")
  func emptyTexts() {
    let embedding = HashedTextEmbedding()
    #expect(embedding.vector("... - !").allSatisfy { $0 == .zero })
    #expect(embedding.vector("").count * 16 == HashedTextEmbedding.dimensions)
    #expect(embedding.vector("новости").contains { $0 != .zero })
    #expect(embedding.vector("ABC") == embedding.vector("abc"))
  }

  // MARK: Fading

  @Test("What comes late has the weight that it would have had in time")
  func lateCounts() {
    var inTime = FadingCounts(halfLife: Self.hour)
    inTime.add(0, 1, at: 100)
    inTime.add(1, 2, at: 100 + Self.hour)
    var late = FadingCounts(halfLife: Self.hour)
    late.add(1, 2, at: 100 + Self.hour)
    late.add(0, 1, at: 100)
    #expect(inTime == late)
    // Weights are kept in millionths.
    let factor = late.factor(at: 100 + 2 * Self.hour)
    #expect(abs(late.value(0) * factor - 0.25) < 1e-6)
    #expect(abs(late.value(1) * factor - 1) < 1e-6)
    #expect(abs(late.sum * factor - 1.25) < 1e-6)
  }

  @Test(
    "What is taken back from counts leaves no trace, also where it is late, and of the epoch before"
  )
  func takenBack() {
    var counts = FadingCounts(halfLife: Self.hour)
    var pairs = CoVisitation(halfLife: Self.hour)
    let kept = (0..<40).map { Double($0 * 7 % 40) * Self.hour }
    for (number, time) in kept.enumerated() {
      counts.add(number % 5, 1, at: time)
      pairs.add(number % 5, then: number % 3 + 5, weight: 0.7, at: time)
    }
    let (expected, expectedPairs) = (counts, pairs)
    let gone = (0..<30).map { (thing: $0 % 7, time: Double($0 * 11 % 40) * Self.hour + 5) }
    for sign in [1.0, -1] {
      for (thing, time) in gone {
        counts.add(thing, sign * 3, at: time)
        pairs.add(thing, then: thing + 1, weight: sign * 0.3, at: time)
      }
      #expect((counts == expected) == (sign < 0) && (pairs == expectedPairs) == (sign < 0))
    }
  }

  @Test("Counts go on over years, far beyond a number's range of powers")
  func longTimes() {
    var counts = FadingCounts(halfLife: Self.hour)
    for number in 0..<4_000 { counts.add(0, 1, at: Double(number) * Self.day) }
    let value = counts.value(0) * counts.factor(at: 3_999 * Self.day)
    #expect(abs(value - 1) < 1e-6)
  }

  @Test(
    "Pairs weigh what a plain sum over all of them says, and the least goes where a row is full")
  func coVisits() {
    var table = CoVisitation(halfLife: Self.day)
    var plain = 0.0
    var draws = Draws(seed: 5)
    let end = 60 * Self.day
    for step in 0..<300 {
      let time = Double(step) / 300 * end
      let weight = draws.unit()
      table.add(1, then: 2, weight: weight, at: time + 1)
      plain += weight * Elementary.exp((time + 1 - end) / Self.day * Elementary.ln2)
    }
    #expect(abs(table.weight(of: 1, then: 2, at: end) - plain) < 1e-4 * plain)
    for other in 0..<CoVisitation.neighboursMax {
      table.add(7, then: 100 + other, weight: other == 3 ? 0.5 : 1, at: end)
    }
    table.add(7, then: 50, weight: 1, at: end)
    #expect(table.weight(of: 7, then: 103, at: end) == 0)
    #expect(abs(table.weight(of: 7, then: 50, at: end) - 1) < 1e-5)
    table.remove { $0 == 50 }
    #expect(table.weight(of: 7, then: 50, at: end) == 0)
  }

  // MARK: Recommender

  /// Persons who look only at contents of one topic, of two.
  private static func twoTopics(contents: Int, visits: Int) -> (
    recommender: ContentRecommender, people: [ContentRecommender.Memory]
  ) {
    var recommender = ContentRecommender()
    for number in 0..<contents {
      _ = recommender.add(.init(topics: [Int32(number % 2)], format: 0, since: 1))
    }
    var people = [ContentRecommender.Memory](repeating: .init(), count: 20)
    var draws = Draws(seed: 3)
    for step in 0..<visits {
      let person = step % people.count
      let content = Int(draws.next() % UInt64(contents / 2)) * 2 + person % 2
      recommender.visit(
        content, by: &people[person], weight: 1, at: Self.day + Double(step) * 60)
    }
    return (recommender, people)
  }

  @Test("Something new of a person's topic is in the list before anybody has looked at it")
  func newContent() {
    var (recommender, people) = Self.twoTopics(contents: 60, visits: 2_000)
    let now = Self.day + 2_000 * 60
    let new = recommender.add(.init(topics: [0], format: 0, since: now))
    var context = RankingContext()
    let mine = recommender.list(
      for: people[0], count: 10, at: now, includesSeen: true, using: &context)
    #expect(mine.allSatisfy { recommender.contents[$0.number].topics == [0] })
    let unseen = recommender.list(for: people[0], count: 40, at: now, using: &context)
    #expect(unseen.contains { $0.number == new })
    #expect(Set(unseen.map(\.number)).isDisjoint(with: people[0].seen.map(Int.init)))
    let others = recommender.list(
      for: people[1], count: 10, at: now, includesSeen: true, using: &context)
    #expect(others.allSatisfy { recommender.contents[$0.number].topics == [1] })
    people[0] = .init()
    let nobody = recommender.list(for: people[0], count: 10, at: now, using: &context)
    #expect(nobody.count == 10)
    #expect(!context.isKnown)
  }

  @Test("A list is that of a sort of all scores, and is the same each time")
  func order() {
    let (recommender, people) = Self.twoTopics(contents: 40, visits: 500)
    var context = RankingContext()
    let now = Self.day + 500 * 60
    let list = recommender.list(
      for: people[3], count: 7, at: now, includesSeen: true, using: &context)
    let all = recommender.contents.indices.map { number in
      (number, recommender.blend.score(recommender.features(of: number, context)))
    }
    let sorted = all.sorted { ($1.1, $0.0) < ($0.1, $1.0) }.prefix(7)
    #expect(list.map(\.number) == sorted.map(\.0))
    #expect(Self.twoTopics(contents: 40, visits: 500).recommender.blend == recommender.blend)
  }

  @Test("Contents that are removed are in no list, and who gets their number starts anew")
  func removal() {
    var (recommender, people) = Self.twoTopics(contents: 40, visits: 500)
    let now = Self.day + 500 * 60
    let removed = Set(recommender.removeLeast(10))
    #expect(recommender.contentCount == 30)
    for place in people.indices { people[place].forget(removed) }
    var context = RankingContext()
    let list = recommender.list(
      for: people[0], count: 40, at: now, includesSeen: true, using: &context)
    #expect(list.count == 30)
    #expect(removed.isDisjoint(with: list.map(\.number)))
    let new = recommender.add(.init(topics: [1], format: 0, since: now))
    #expect(removed.contains(new))
    #expect(recommender.contents[new].visits == 0)
    recommender.visit(new, by: &people[0], weight: 1, at: now)
    #expect(people[0].seen.last == Int32(new))
  }

  @Test(
    "Ten contents hold the next visit as often as asked for, though only a part of the stream is looked at",
    .enabled(if: SharedData.folder != nil, SharedData.absent))
  func stream() throws {
    let tables = try RecommendationQuality.measure(
      try #require(SharedData.folder), visitsMax: 5_000)
    let table = try #require(tables.first { $0.members.contains { $0.contains("contentstream") } })
    let hit = try #require(table.members.first { $0.contains("_hit") }).split(separator: ":").last
    #expect(try #require(hit.flatMap { Double($0) }) >= 12.9, "\(table.members)")
  }
}
