import Events
import Oracles
import Testing

@testable import Learning
@testable import Statistics

@Suite struct RecommendationBookTests {
  private static let topics = ["food", "money"]

  private static func facts(_ topic: String, _ title: String = "") -> String {
    #"{"properties":{"topics":["\#(topic)"],"title":"\#(title)"}}"#
  }

  /// 20 persons, each of whom looks at contents of one topic, of two.
  private static func twoTopics() throws -> ContentVisits {
    let visits = ContentVisits()
    for step in 0..<600 {
      let side = step % 2
      let number = (step * 7 + step / 20) % 30
      try visits.take([
        ContentVisit(
          person: "p\(step % 20)", content: "\(topics[side])-\(number)", second: Int64(step * 60),
          campaign: number < 10 ? "spring" : "autumn", channel: side == 0 ? "mail" : "web",
          payload: facts(topics[side]))
      ])
    }
    return visits
  }

  @Test("Each person gets contents of the own topic that were not seen, with reasons")
  func persons() throws {
    let visits = try Self.twoTopics()
    for (person, topic) in [("p0", "food"), ("p1", "money")] {
      let answer = try #require(visits.list(ContentVisits.person(person), second: 36_000))
      #expect(answer.isKnown)
      #expect(answer.candidates == 60)
      let first = answer.entries.prefix(5)
      #expect(first.allSatisfy { $0.topics == [topic] })
      #expect(first.allSatisfy { !$0.reasons.isEmpty && !$0.contributions.isEmpty })
      #expect(
        first.contains { $0.reasons.contains { $0.contains("topic \(topic)") } },
        "\(first.map(\.reasons))")
    }
    let seen = try #require(
      visits.list(ContentVisits.person("p0"), second: 36_000) { $0.count = 60 })
    let all = try #require(
      visits.list(ContentVisits.person("p0"), second: 36_000) {
        $0.count = 60
        $0.includesSeen = true
      })
    #expect(seen.entries.count == 50)
    #expect(all.entries.count == 60)
  }

  private static func question(
    _ subject: RecommendationQuestion.Subject
  ) -> RecommendationQuestion {
    RecommendationQuestion(
      site: "shop", subject: subject, now: ContentVisits.begin + 36_000 * 1_000_000)
  }

  @Test(
    "Why says what a score is made of, the odds of the alternatives, and the frames that have a say"
  )
  func reasons() throws {
    let visits = try Self.twoTopics()
    let person = ContentVisits.person("p0")
    let list = try #require(visits.list(person, second: 36_000) { $0.count = 3 })
    let reasons = try list.entries.map {
      try #require(
        visits.book.why($0.content, in: Self.question(person), alternatives: 60))
    }
    #expect(reasons.map(\.rank) == [1, 2, 3])
    let first = reasons[0]
    #expect(first.isKnown && !first.isSeen && first.candidates == 50)
    #expect(first.parts.contains { $0.feature == .topic && $0.contribution > 0 })
    let means = first.parts.map { $0.weight * ($0.value - $0.mean) }
    #expect(zip(means, first.parts).allSatisfy { ($0 - $1.contribution).magnitude < 1e-4 })
    // The chances of all that the list is chosen from add up, and odds are their ratios.
    let chance = try #require(first.chance)
    let odds = first.alternatives.map(\.odds).reduce(1, +)
    #expect(first.alternatives.count == 49 && (chance * odds - 1).magnitude < 1e-4)
    let second = try #require(reasons[1].chance)
    #expect((first.alternatives[0].odds - second / chance).magnitude < 1e-4)
    #expect(first.alternatives.map(\.content).contains(list.entries[1].content))
    // One visit a frame: the person's are every twentieth.
    let sequences: [UInt64] = [441, 461, 481, 501, 521, 541, 561, 581]
    #expect(first.visits.map(\.place.sequence) == sequences)
    let times = sequences.map { ContentVisits.begin + Int64($0 - 1) * 60_000_000 }
    #expect(first.visits.map(\.at) == times)
    let source = try #require(first.sources.first)
    #expect(source.content == list.entries[0].content && source.latest.count == 8)
    #expect(source.visits >= 8 && source.first != nil && source.first == source.facts)
    #expect(first.sources.map(\.content).contains(first.visits.last?.content ?? ""))
    let seen = try #require(
      visits.book.why(
        first.visits[0].content, in: Self.question(person), alternatives: 2))
    #expect(seen.isSeen && seen.chance == nil && seen.rank == nil && seen.alternatives.count == 2)
    #expect(visits.book.why("none", in: Self.question(person), alternatives: 2) == nil)
    for subject in [RecommendationQuestion.Subject.newcomer, .item("food-1"), .session(["food-1"])]
    {
      let other = try #require(
        visits.book.why("food-2", in: Self.question(subject), alternatives: 1))
      #expect(other.visits.isEmpty && other.chance != nil)
    }
    visits.forget("p0")
    let erased = try #require(
      visits.book.why(source.content, in: Self.question(person), alternatives: 1))
    #expect(!erased.isKnown && erased.visits.isEmpty)
    let gone = Set(first.visits.map(\.place.sequence))
    for name in Set(first.visits.map(\.content)) {
      let left = try #require(
        visits.book.why(name, in: Self.question(.newcomer), alternatives: 0))
      #expect(
        left.sources.allSatisfy { source in
          source.latest.allSatisfy { !gone.contains($0.place.sequence) }
        })
    }
  }

  @Test("Of visits that come in any order the latest eight are pointed to")
  func sightings() {
    func sighting(_ number: Int) -> Sighting {
      Sighting(
        content: 1, time: Double(number),
        place: FramePlace(StreamPlace(generation: 1, partition: 2), sequence: UInt64(number)),
        person: .zero)
    }
    var random = SeededGenerator(seed: 3)
    for _ in 0..<20 {
      var all = Sightings()
      for number in (1...30).shuffled(using: &random) { all.add(sighting(number)) }
      #expect(all.all.map(\.time) == (23...30).map(Double.init))
    }
    #expect(sighting(7).place.position.description == "1~2.7")
  }

  @Test(
    "A book that takes another's place asks for no meaning that was said, and tells of new texts")
  func meanings() throws {
    let (old, new) = (ContentVisits(), ContentVisits())
    for visits in [old, new] {
      visits.book = RecommendationBook(keepsTexts: true)
      try visits.take([
        ContentVisit(person: "ann", content: "soup", payload: Self.facts("food", "Ten soups")),
        ContentVisit(person: "ann", content: "bank", payload: Self.facts("money", "Two banks")),
      ])
    }
    let texts = old.book.takeTexts()
    #expect(texts.map(\.content).sorted() == ["bank", "soup"])
    for text in texts {
      let isSoup = text.content == "soup"
      let isAdopted = old.book.adopt(
        BlendedEmbedding.meaning([Float](repeating: 0.25, count: 8) + [isSoup ? 4 : -4]), of: text)
      #expect(isAdopted)
    }
    try new.take([
      ContentVisit(
        person: "ann", content: "stew", second: 1, payload: Self.facts("food", "A stew"))
    ])
    new.book.takeMeanings(from: old.book)
    #expect(new.book.takeTexts().map(\.content) == ["stew"])
    let question = SimilarQuestion(site: "shop", subject: .content("soup"), count: 1)
    let (before, after) = (
      try #require(old.book.similar(question)), try #require(new.book.similar(question))
    )
    #expect(before.entries.map(\.content) == ["bank"])
    // Words weigh by how rare they are among all texts, of which there is one more.
    let distance = zip(before.vector.suffix(16), after.vector.suffix(16)).reduce(Float(0)) {
      sum, pair in
      let difference = pair.0 - pair.1
      return sum + (difference * difference).sum()
    }
    #expect(before.vector.count == after.vector.count && distance < 1e-3)
  }

  @Test("Who is erased gets what a newcomer gets")
  func erased() throws {
    let visits = try Self.twoTopics()
    let person = ContentVisits.person("p0")
    let before = try #require(visits.list(person, second: 36_000))
    visits.forget("p0")
    let after = try #require(visits.list(person, second: 36_000))
    let newcomer = try #require(visits.list(ContentVisits.person("nobody"), second: 36_000))
    #expect(before.isKnown && !after.isKnown)
    #expect(after.entries.map(\.content) == newcomer.entries.map(\.content))
    #expect(after.entries.map(\.content) != before.entries.map(\.content))
  }

  @Test(
    "Of who is erased nothing is left in what is counted: it is that of a book that never saw the person",
    arguments: [1, 2, 3] as [UInt64])
  func erasedCounts(seed: UInt64) throws {
    let (all, others) = (ContentVisits(), ContentVisits())
    var random = SeededGenerator(seed: seed)
    for number in 0..<30 {
      let announced = ContentVisit(
        person: "editor", content: "c\(number)", kind: .custom,
        payload: Self.facts(Self.topics[number % 2]))
      try all.take([announced])
      try others.take([announced])
    }
    for step in 0..<400 {
      let person = ["gone", "device", "p1", "p2", "p3"][random.below(5)]
      // Half of them come late, and from the fourth hour on the device is known to be of the person.
      let second = Int64(step * 120 - random.below(2) * random.below(3_600) + 3_600)
      let visit = ContentVisit(
        person: person, content: "c\(random.below(30))",
        kind: [EventKind.view, .click, .impression][random.below(3)], second: second,
        user: person == "device" && step > 120 ? "gone" : "",
        payload: step % 50 == 49
          ? #"{"properties":{"topics":["new"],"format":"list"}}"#
          : Self.facts(Self.topics[step % 2]))
      try all.take([visit])
      if person.hasPrefix("p") {
        try others.take([visit])
      } else {
        // What an event says of a content is no person's.
        try others.take([
          ContentVisit(
            person: "editor", content: visit.content, kind: .custom, second: second,
            payload: visit.payload)
        ])
      }
    }
    all.forget("gone")
    all.forget("device")
    let (left, right) = (
      try #require(all.book.withSite("shop") { $0 }),
      try #require(others.book.withSite("shop") { $0 })
    )
    let (a, b) = (left.recommender, right.recommender)
    #expect(a.trending == b.trending && a.popular == b.popular)
    // A table is no shorter for what has left it.
    for (counts, plain) in [(a.topicCounts, b.topicCounts), (a.formatCounts, b.formatCounts)] {
      #expect((0..<16).map(counts.value) == (0..<16).map(plain.value) && counts.sum == plain.sum)
    }
    #expect(a.pairs == b.pairs && a.steps == b.steps && a.topicSteps == b.topicSteps)
    #expect(a.contents.map(\.visits) == b.contents.map(\.visits))
    #expect(a.contents.map(\.impressions) == b.contents.map(\.impressions))
    #expect(left.figures.visits == right.figures.visits && left.persons.keys == right.persons.keys)
  }

  @Test("A content that was only announced is in lists at once, by its topic")
  func announced() throws {
    let visits = try Self.twoTopics()
    try visits.take([
      ContentVisit(
        person: "editor", content: "food-new", kind: .custom, second: 36_001,
        payload: Self.facts("food"))
    ])
    let answer = try #require(
      visits.list(ContentVisits.person("p0"), second: 36_002) { $0.count = 30 })
    #expect(answer.entries.contains { $0.content == "food-new" })
    let others = try #require(
      visits.list(ContentVisits.person("p1"), second: 36_002) { $0.count = 10 })
    #expect(!others.entries.contains { $0.content == "food-new" })
  }

  @Test("Beside a content, and within a session, are contents of its topic; it itself is not")
  func sessions() throws {
    let visits = try Self.twoTopics()
    for subject in [
      RecommendationQuestion.Subject.item("money-1"), .session(["money-3", "unknown", "money-1"]),
    ] {
      let answer = try #require(visits.list(subject, second: 36_000) { $0.count = 5 })
      #expect(answer.isKnown)
      #expect(answer.entries.allSatisfy { $0.topics == ["money"] && $0.content != "money-1" })
    }
    #expect(visits.list(.item("nothing"), second: 36_000)?.isKnown == false)
    #expect(visits.list(.newcomer, second: 36_000)?.entries.count == 10)
    #expect(visits.list(.newcomer, second: 36_000, site: "other") == nil)
    let segment = RecommendationQuestion.Subject.persons(
      ["p0", "p2"].map { EventIdentity.personKey(site: "shop", id: $0) })
    let together = try #require(visits.list(segment, second: 36_000) { $0.count = 5 })
    #expect(together.entries.allSatisfy { $0.topics == ["food"] })
  }

  @Test("Filters leave out what is of another campaign or channel, and what is excluded")
  func filters() throws {
    let visits = try Self.twoTopics()
    let spring = try #require(
      visits.list(.newcomer, second: 36_000) {
        $0.count = 100
        $0.campaign = "spring"
        $0.excluded = ["food-1"]
      })
    #expect(spring.entries.count == 19)
    #expect(spring.candidates == 19)
    let mail = try #require(
      visits.list(.newcomer, second: 36_000) {
        $0.count = 100
        $0.channel = "mail"
      })
    #expect(mail.entries.count == 30)
    #expect(mail.entries.allSatisfy { $0.topics == ["food"] })
  }

  @Test("What was shown too often within a day is left out, and comes back a day later")
  func caps() throws {
    let visits = try Self.twoTopics()
    let subject = ContentVisits.person("p19")
    let best = try #require(visits.list(subject, second: 36_000)?.entries.first?.content)
    for second in [36_001, 36_002] as [Int64] {
      try visits.take([
        ContentVisit(person: "p19", content: best, kind: .impression, second: second)
      ])
    }
    func isListed(_ second: Int64, _ most: Int) -> Bool {
      visits.list(subject, second: second) {
        $0.impressionsMax = most
        $0.count = 60
      }?.entries.contains { $0.content == best } ?? false
    }
    #expect(!isListed(36_003, 2))
    #expect(isListed(36_003, 3))
    #expect(isListed(36_003 + 86_400, 2))
  }

  @Test("With diversity a list has more topics, and without it none but the best")
  func diversity() throws {
    let visits = try Self.twoTopics()
    func topics(_ diversity: Double) throws -> Set<String> {
      let answer = try #require(
        visits.list(ContentVisits.person("p0"), second: 36_000) {
          $0.count = 8
          $0.diversity = diversity
        })
      #expect(answer.entries.count == 8)
      return Set(answer.entries.flatMap(\.topics))
    }
    #expect(try topics(0) == ["food"])
    #expect(try topics(0.8) == ["food", "money"])
  }

  @Test("A share of the list goes to contents of which little is known, the same within the hour")
  func exploration() throws {
    let visits = try Self.twoTopics()
    for number in 0..<20 {
      try visits.take([
        ContentVisit(
          person: "editor", content: "new-\(number)", kind: .custom, second: 36_000,
          payload: Self.facts("food"))
      ])
    }
    func explored(_ second: Int64) throws -> [String] {
      let answer = try #require(
        visits.list(ContentVisits.person("p0"), second: second) { $0.exploration = 0.3 })
      #expect(answer.entries.count == 10)
      #expect(Set(answer.entries.map(\.content)).count == 10)
      return answer.entries.filter(\.isExplored).map(\.content)
    }
    let first = try explored(36_060)
    #expect(first.count == 3)
    #expect(try explored(36_120) == first)
  }

  @Test("What somebody did before it was known who that is counts for the user")
  func identities() throws {
    let visits = try Self.twoTopics()
    for (step, content) in ["food-1", "food-2", "food-3", "food-4"].enumerated() {
      try visits.take([
        ContentVisit(person: "anonymous", content: content, second: 36_000 + Int64(step))
      ])
    }
    try visits.take([
      ContentVisit(
        person: "anonymous", content: "", kind: .identify, second: 36_010, user: "anna")
    ])
    for id in ["anna", "anonymous"] {
      let answer = try #require(
        visits.list(ContentVisits.person(id), second: 36_020) { $0.count = 60 })
      #expect(answer.isKnown)
      #expect(answer.entries.count == 56)
      #expect(answer.entries.first?.topics == ["food"])
    }
  }

  @Test("Bots, other sites and kinds that are about no content change nothing")
  func others() throws {
    let visits = try Self.twoTopics()
    let before = visits.book.summaries(now: ContentVisits.begin).map(\.figures)
    try visits.take([
      ContentVisit(person: "p0", content: "food-1", second: 36_000, traffic: "bot"),
      ContentVisit(person: "p0", content: "food-1", kind: .exposure, second: 36_000),
      ContentVisit(person: "p0", content: "food-1", second: 36_000, site: "elsewhere"),
    ])
    let after = visits.book.summaries(now: ContentVisits.begin)
    #expect(after.map(\.site) == ["elsewhere", "shop"])
    #expect(after.last?.figures == before.first)
  }

  @Test("Lists are tested on visits before they are learned, beside what is popular")
  func figures() throws {
    let visits = try Self.twoTopics()
    let summary = try #require(
      visits.book.summaries(now: ContentVisits.begin + 36_000_000_000).first)
    #expect(summary.figures.visits == 600)
    #expect(summary.figures.tests > 5)
    #expect(summary.figures.hitRate > summary.figures.popularHitRate)
    #expect(summary.coverage > 0.3 && summary.coverage <= 1)
  }

  @Test("The same events come to the same lists")
  func repetition() throws {
    let first = try Self.twoTopics().list(ContentVisits.person("p4"), second: 36_000)
    let second = try Self.twoTopics().list(ContentVisits.person("p4"), second: 36_000)
    #expect(first?.entries.map(\.content) == second?.entries.map(\.content))
    #expect(first?.entries.map(\.score) == second?.entries.map(\.score))
  }

  @Test(
    "Facts of contents are found where protocols have them",
    arguments: [
      (#"{"properties":{"title":"A","topics":["x","y","x"],"format":"list"}}"#, "A", "x y", "list"),
      (#"{"data":{"title":"B","topics":"x, y"}}"#, "B", "x y", ""),
      (#"{"context":{"page":{"title":"P"}},"properties":{"topic":"x"}}"#, "P", "x", ""),
      (#"{"properties":{"title":"A"},"context":{"page":{"title":"P"}}}"#, "A", "", ""),
      (#"{"title":"C","format":"quiz","topics":[1,null,"z"]}"#, "C", "z", "quiz"),
      (#"{"other":{"title":"no"},"properties":{"deep":{"title":"no"}}}"#, "", "", ""),
      (#"{"title":"cut"#, "", "", ""), ("[]", "", "", ""), ("", "", "", ""),
    ])
  func facts(_ payload: String, _ title: String, _ topics: String, _ format: String) {
    let facts = Array(payload.utf8).withUnsafeBytes { ContentFacts($0) }
    #expect(facts.title == title)
    #expect(facts.topics.joined(separator: " ") == topics)
    #expect(facts.format == format)
  }
}
