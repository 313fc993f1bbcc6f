import Events
import Testing

@testable import Learning

/// Rules on what was done within a time, on properties and on countries.
@Suite("Segments by counts, properties and countries")
struct SegmentWindowTests {
  private static let day = ProfileStory.day
  private static let start = ProfileStory.start

  private static let policy = ProfilePolicy(
    decay: Decay(halfLife: 7 * day), memory: 60 * day, personsMax: 1_000, currency: "USD",
    segments: [
      rule("clicked", .compare(.within(.kind(.click), 7 * day), .atLeast, 3)),
      rule("rarely", .compare(.within(.any, 2 * day), .less, 2)),
      rule("joined", .compare(.within(.named("Signed Up"), 30 * day), .more, 0)),
      rule("pro", .equals(property: "plan", "pro")),
      rule("adult", .compare(.property("age"), .atLeast, 18)),
      rule("member", .equals(property: "member", "true")),
      rule("spender", .compare(.within(.value, 30 * day), .atLeast, 100)),
      rule("german", .compare(.share(.country, "DE"), .atLeast, 0.5)),
    ], clusterCount: 0, clustersEvery: day)

  private static func rule(_ id: String, _ condition: SegmentExpression) -> SegmentRule {
    SegmentRule(id: id, description: "", condition: condition)
  }

  private final class Desk {
    var changes: [String] = []
    var counts: [Int] = []
    var profile: Profile?

    func take(_ update: ProfileUpdate) {
      changes += update.changes.map {
        "\($0.entered ? "+" : "-")\(SegmentWindowTests.policy.segments[$0.segment].id)"
      }
      counts = update.counts
      profile = update.changed.last ?? profile
    }

    func next() -> [String] {
      defer { changes = [] }
      return changes
    }
  }

  private static func story() -> (ProfileStory, Desk) {
    let desk = Desk()
    return (ProfileStory(ProfileLearner(policy) { desk.take($0) }), desk)
  }

  @Test("what was done often enough within a time counts until the time is over, to the moment")
  func windows() throws {
    let (story, desk) = Self.story()
    for days in [0, 1, 2] as [Int64] {
      try story.store([.init(time: Self.start + days * Self.day)], at: Self.start + days * Self.day)
      story.publish()
    }
    #expect(desk.next() == ["+rarely", "-rarely", "+clicked"])
    // The first of the second two days leaves two days, and of the three clicks seven days after it.
    story.publish(at: Self.start + 3 * Self.day - 1)
    #expect(desk.next() == [])
    story.publish(at: Self.start + 3 * Self.day)
    #expect(desk.next() == ["+rarely"])
    story.publish(at: Self.start + 7 * Self.day - 1)
    #expect(desk.next() == [])
    story.publish(at: Self.start + 7 * Self.day)
    #expect(desk.next() == ["-clicked"])
  }

  @Test("counts within a time are of the set of events, in whatever order they come")
  func orders() throws {
    let acts = (0..<20).map { number in
      ProfileStory.Act(
        kind: number.isMultiple(of: 3) ? .impression : .click,
        time: Self.start - Int64(number * 7 % 20) * Self.day / 2)
    }
    let (click, any) = (
      acts.filter { $0.kind == .click && Self.start - $0.time < 7 * Self.day }.count,
      acts.filter { $0.kind != .impression && Self.start - $0.time < 2 * Self.day }.count
    )
    for order in [acts, acts.reversed(), acts.sorted { $0.time < $1.time }] {
      let (story, desk) = Self.story()
      for act in order { try story.store([act], at: Self.start) }
      story.publish()
      let view = try #require(desk.profile).view(at: Self.start, Self.policy)
      // No more are told apart than rules ask for: three clicks from two, two acts from one.
      #expect(view.sum(of: .kind(.click), within: 7 * Self.day) == Double(min(click, 4)))
      #expect(view.sum(of: .any, within: 2 * Self.day) == Double(min(any, 3)))
    }
  }

  @Test(
    "money within a time is that of the currency that counts, to the moment that a payment leaves it"
  )
  func money() throws {
    let (story, desk) = Self.story()
    for (days, currency) in [(0, "USD"), (0, "EUR"), (10, "USD")] as [(Int64, String)] {
      let time = Self.start + days * Self.day
      try story.store(
        [.init(kind: .conversion, time: time, currency: currency, revenue: 60_000_000)], at: time)
      story.publish()
      #expect(desk.counts[6] == (days == 10 ? 1 : 0))
    }
    story.publish(at: Self.start + 30 * Self.day - 1)
    #expect(desk.counts[6] == 1)
    story.publish(at: Self.start + 30 * Self.day)
    #expect(desk.counts[6] == 0)
  }

  @Test("an event is counted by its name, whatever it means to the metrics")
  func names() throws {
    let (story, desk) = Self.story()
    try story.store(
      [
        .init(kind: .custom, name: "Signed Up"), .init(person: 2, kind: .custom, name: "Signed In"),
      ],
      at: Self.start)
    story.publish()
    #expect(desk.counts[2] == 1)
    story.publish(at: Self.start + 30 * Self.day)
    #expect(desk.counts[2] == 0)
  }

  @Test("the latest word on a property counts, also what an identify call says, and in any order")
  func properties() throws {
    let told: [ProfileStory.Act] = [
      .init(payload: #"{"properties":{"plan":"free","age":17}}"#),
      .init(
        kind: .identify, time: Self.start + ProfileStory.hour,
        payload: #"{"traits":{"plan":"pro","age":"18","member":true}}"#),
      .init(
        kind: .custom, time: Self.start + 2 * ProfileStory.hour,
        payload: #"{"properties":{"$set":{"member":false}}}"#),
    ]
    for order in [told, told.reversed()] {
      let (story, desk) = Self.story()
      for act in order { try story.store([act], at: Self.start + 3 * ProfileStory.hour) }
      story.publish()
      #expect(Array(desk.counts[3...5]) == [1, 1, 0])
    }
    let (story, desk) = Self.story()
    try story.store(Array(told.prefix(1)), at: Self.start)
    story.publish()
    #expect(Array(desk.counts[3...5]) == [0, 0, 0])
    // Of whom nothing is known no comparison holds.
    try story.store([.init(person: 2)], at: Self.start)
    story.publish()
    #expect(Array(desk.counts[3...5]) == [0, 0, 0])
  }

  @Test("where somebody is is a preference, as devices are")
  func countries() throws {
    let (story, desk) = Self.story()
    try story.store(
      [
        .init(payload: #"{"country":"DE"}"#), .init(payload: #"{"country":"FR"}"#),
        .init(person: 2, payload: #"{"country":"FR"}"#),
      ], at: Self.start)
    story.publish()
    #expect(desk.counts[7] == 1)
  }

  @Test("the latest events are pointed to, wherever they stand")
  func evidence() throws {
    let (story, desk) = Self.story()
    for hour in [3, 1, 2, 9, 5, 7] as [Int64] {
      try story.store(
        [.init(time: Self.start + hour * ProfileStory.hour)],
        at: Self.start + 10 * ProfileStory.hour)
    }
    story.publish()
    let latest = try #require(desk.profile).latest
    #expect(latest.map { ($0.at - Self.start) / ProfileStory.hour } == [2, 3, 5, 7, 9])
    #expect(latest.map(\.place.sequence) == [3, 1, 5, 6, 4])
  }

  @Test("rules are written as they were read")
  func texts() {
    #expect(
      Self.policy.segments.map(\.condition.text) == [
        "clicks in 7d >= 3", "frequency in 2d < 2", "event.Signed Up in 30d > 0",
        "property.plan = pro", "property.age >= 18", "property.member = true",
        "value in 30d >= 100",
        "country.DE >= 0.5",
      ])
    let nested = SegmentExpression.all([
      .compare(.recency, .atMost, 1.5), .not(.any([.compare(.value, .more, 2.5)])),
    ])
    #expect(nested.text == "all: [recency <= 36h, not: any: [value > 2.5]]")
  }
}
