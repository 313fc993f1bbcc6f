import Events
import Statistics
import Testing

@testable import Learning

@Suite("Profiles and segments")
struct ProfileLearnerTests {
  private static let day = ProfileStory.day
  private static let start = ProfileStory.start
  private static let policy = ProfilePolicy(
    decay: Decay(halfLife: 7 * day), memory: 60 * day, personsMax: 1_000, currency: "USD",
    segments: [
      SegmentRule(
        id: "active", description: "",
        condition: .all([.compare(.recency, .atMost, 7), .compare(.frequency, .more, 0)])),
      SegmentRule(id: "busy", description: "", condition: .compare(.frequency, .atLeast, 1.5)),
      SegmentRule(
        id: "sport", description: "", condition: .compare(.share(.topic, "sport"), .more, 0.5)),
      SegmentRule(id: "quiet", description: "", condition: .not(.compare(.clicks, .more, 0.5))),
    ],
    clusterCount: 0, clustersEvery: day)

  /// What was handed over, put together.
  private final class Desk {
    var profiles: [Key128: Profile] = [:]
    var names: [String] = []
    var changes: [SegmentChange] = []
    var counts: [Int] = []
    var clusters: ProfileClusters?
    var updates = 0

    func take(_ update: ProfileUpdate) {
      for person in update.removed { profiles[person] = nil }
      for profile in update.changed { profiles[profile.person] = profile }
      names += update.newNames
      changes += update.changes
      counts = update.counts
      clusters = update.clusters ?? clusters
      updates += 1
    }

    func view(_ person: UInt64, at time: Int64) throws -> ProfileView {
      try #require(profiles[ProfileStory.key(person)])
        .view(at: time, ProfileLearnerTests.policy)
    }

    func shares(_ kind: PreferenceKind, of person: UInt64) throws -> [String: Double] {
      let shares = try view(person, at: ProfileLearnerTests.start).shares(kind)
      return Dictionary(
        uniqueKeysWithValues: shares.map {
          (kind == .hour ? "\($0.number)" : names[$0.number], $0.share)
        })
    }
  }

  private static func story(_ policy: ProfilePolicy = policy) -> (ProfileStory, Desk) {
    let desk = Desk()
    return (ProfileStory(ProfileLearner(policy) { desk.take($0) }), desk)
  }

  @Test("sums halve with each half-life, whatever the order of events")
  func decay() throws {
    let kinds: [EventKind] = [.click, .impression, .conversion]
    let acts = (0..<60).map { number in
      ProfileStory.Act(
        kind: kinds[number % 3],
        time: Self.start - Int64(number * 37 % 60) * Self.day, currency: "USD",
        revenue: number.isMultiple(of: 3) ? 2_500_000 : 0)
    }
    var expected = (clicks: 0.0, impressions: 0.0, value: 0.0)
    for act in acts {
      let days = Double(Self.start - act.time) / Double(Self.day)
      let weight = Halving.of(days / 7)
      switch act.kind {
      case .click: expected.clicks += weight
      case .impression: expected.impressions += weight
      default: break
      }
      expected.value += Double(act.revenue) / 1e6 * weight
    }
    var views: [ProfileView] = []
    for order in [acts, acts.reversed(), acts.sorted { $0.time < $1.time }] {
      let (story, desk) = Self.story()
      for act in order { try story.store([act], at: Self.start) }
      story.publish()
      views.append(try desk.view(1, at: Self.start))
    }
    for view in views {
      #expect((view[.clicks] - expected.clicks).magnitude < 1e-3)
      #expect((view[.impressions] - expected.impressions).magnitude < 1e-3)
      #expect((view[.value] - expected.value).magnitude < 1e-2)
      for total in Profile.Total.allCases { #expect(view[total] == views[0][total]) }
      #expect(view.recency == 0 && view.age == 59 * Self.day)
    }
  }

  @Test("what a person prefers is the share of what it did")
  func preferences() throws {
    let (story, desk) = Self.story()
    try story.store(
      [
        .init(channel: "mail", payload: #"{"properties":{"topics":["sport","art"]}}"#),
        .init(channel: "web", payload: #"{"topic":"sport"}"#, agent: "Chrome 126/Windows/mobile"),
        .init(time: Self.start - 3 * ProfileStory.hour, channel: "web"),
        .init(channel: "web"),
        // Nobody chose to be shown something, and programs have no preferences.
        .init(kind: .impression, channel: "social"),
        .init(channel: "social", traffic: DimensionTuple.bot),
      ], at: Self.start)
    story.publish()
    let channels = try desk.shares(.channel, of: 1)
    #expect(((channels["web"] ?? 0) - 0.75).magnitude < 0.01 && channels["social"] == nil)
    let topics = try desk.shares(.topic, of: 1)
    #expect(((topics["sport"] ?? 0) - 2 / 3.0).magnitude < 0.01)
    let hours = try desk.shares(.hour, of: 1)
    #expect(((hours["7"] ?? 0) - 0.25).magnitude < 0.01)
    #expect(try desk.shares(.device, of: 1) == ["mobile": 1])
  }

  @Test("an event with a user counts for the user")
  func users() throws {
    let (story, desk) = Self.story()
    try story.store([.init(person: 5), .init(person: 5, user: 9)], at: Self.start)
    story.publish()
    #expect(try desk.view(5, at: Self.start)[.clicks].rounded() == 1)
    #expect(try desk.view(9, at: Self.start)[.clicks].rounded() == 1)
  }

  @Test("a person enters by what it does, and leaves when time alone makes the difference")
  func segments() throws {
    let (story, desk) = Self.story()
    try story.store(
      [.init(payload: #"{"topic":"sport"}"#), .init(), .init(person: 2, kind: .impression)],
      at: Self.start)
    story.publish()
    #expect(desk.counts == [1, 1, 1, 1])
    #expect(
      desk.changes.map { "\($0.segment) \($0.entered)" }
        == ["0 true", "1 true", "2 true", "3 true"])

    // Two clicks are one and a half after 2.9 days; then nothing until the seventh day is over.
    desk.changes = []
    story.publish(at: Self.start + 2 * Self.day)
    #expect(desk.changes.isEmpty)
    story.publish(at: Self.start + 3 * Self.day)
    #expect(desk.changes.map { "\($0.segment) \($0.entered)" } == ["1 false"])
    story.publish(at: Self.start + 7 * Self.day)
    #expect(desk.changes.count == 1)
    story.publish(at: Self.start + 7 * Self.day + ProfileStory.second)
    #expect(desk.changes.suffix(1).map(\.segment) == [0])
    #expect(desk.counts == [0, 0, 1, 1])
    // Two clicks are half a one after two half-lives.
    story.publish(at: Self.start + 14 * Self.day + ProfileStory.second)
    #expect(desk.changes.last?.segment == 3 && desk.counts == [0, 0, 1, 2])
  }

  @Test("while the past is read persons come to where they are, and no changes are told")
  func past() throws {
    let (story, desk) = Self.story()
    try story.store([.init()], at: Self.start)
    story.publish(isCaughtUp: false)
    #expect(desk.changes.isEmpty && desk.counts[0] == 1)
  }

  @Test("of too many persons those go who came longest ago")
  func bounded() throws {
    var policy = Self.policy
    policy.personsMax = 10
    let (story, desk) = Self.story(policy)
    for person in 1...30 as ClosedRange<UInt64> {
      try story.store(
        [.init(person: person, time: Self.start + Int64(person))], at: Self.start + Int64(person))
      story.publish()
    }
    #expect(desk.profiles.count == 10 && desk.profiles[ProfileStory.key(30)] != nil)
    #expect(desk.profiles[ProfileStory.key(20)] == nil)
    #expect(desk.counts[0] == 10)
  }

  @Test("persons who do alike are a cluster, named and described")
  func clusters() throws {
    var policy = Self.policy
    policy.clusterCount = 2
    let (story, desk) = Self.story(policy)
    var acts: [ProfileStory.Act] = []
    for person in 1...40 as ClosedRange<UInt64> {
      let isBuyer = person <= 10
      for _ in 0..<(isBuyer ? 12 : 1) {
        acts.append(
          .init(
            person: person, kind: isBuyer ? .conversion : .view,
            channel: isBuyer ? "mail" : "web", currency: "USD",
            revenue: isBuyer ? 20_000_000 : 0))
      }
    }
    try story.store(acts, at: Self.start)
    story.publish()
    let found = try #require(desk.clusters)
    #expect(found.persons == 40 && found.clusters.clusters.map(\.members) == [30, 10])
    let buyers = found.clusters.clusters[1].traits.map { found.features.names[$0.feature] }
    #expect(buyers.contains("value") && buyers.contains("channel.mail"))
    let view = try desk.view(3, at: Self.start)
    #expect(found.clusters.place(of: found.features.point(view)) == 1)

    // Refreshed without change the names are what they were.
    desk.clusters = nil
    story.publish(at: Self.start + 2 * Self.day)
    let next = try #require(desk.clusters)
    #expect(next.clusters.kept == 1 && next.clusters.clusters.map(\.members) == [30, 10])
  }

  @Test(
    "fields are found by their names",
    arguments: [
      ("recency", ProfileField.recency), ("click_share", .clickShare),
      ("topic.sport", .share(.topic, "sport")), ("hour.18", .share(.hour, "18")),
      ("part.evening", .part(3)), ("hour.24", nil), ("hour.07", nil), ("topic.", nil),
      ("part.noon", nil), ("likes", nil), ("shoe.size", nil),
    ])
  func fields(text: String, field: ProfileField?) {
    #expect(ProfileField(text) == field)
  }
}

/// 2^−x by repeated multiplication, apart from what is tested.
private enum Halving {
  static func of(_ times: Double) -> Double {
    var value = 1.0
    for _ in 0..<Int(times) { value /= 2 }
    var (root, rest) = (0.5.squareRoot(), times - times.rounded(.down))
    for _ in 0..<40 {
      rest *= 2
      if rest >= 1 {
        value *= root
        rest -= 1
      }
      root = root.squareRoot()
    }
    return value
  }
}
