import Events
import HTTPServer
import Metrics
import Statistics
import Testing

@testable import DecisionAPI
@testable import Learning
@testable import QueryAPI

/// `GET /v1/profiles`, `/v1/segments` and `/v1/timing`.
@Suite struct ProfileRoutesTests {
  private static let now: Int64 = 1_763_978_400_000_000
  private static let day: Int64 = 86_400_000_000
  private static let progress = LearningProgress(
    position: Position(generation: 1, sequences: [0: 3]), logTime: now, isCaughtUp: true)
  private static let policy = ProfilePolicy(
    decay: Decay(halfLife: 7 * day), memory: 60 * day, personsMax: 100, currency: "USD",
    segments: [
      SegmentRule(id: "loyal", description: "often", condition: .compare(.frequency, .more, 2))
    ],
    clusterCount: 0, clustersEvery: day)

  private static func board() throws -> ProfileBoard {
    let board = ProfileBoard(policy, registry: MetricRegistry())
    let person = EventIdentity.personKey(site: "shop", id: "ann")
    var profile = Profile(person)
    let decay = policy.decay
    let begun = profile.begin(at: now - 7 * day, decay)
    let (weight, place) = try #require(begun)
    for _ in 0..<8 { profile.add(1, to: .activity, weight, place) }
    profile.add(20_000, to: .value, weight, place)
    for key in [PreferenceKey(.topic, 1), PreferenceKey(.hour, 18)] {
      let isKept = profile.prefer(key, weight, place, decay)
      #expect(isKept)
    }
    profile.segments = 1
    profile.point(
      to: ProfileEvidence(
        at: now - 7 * day, kind: .click,
        place: FramePlace(StreamPlace(generation: 1, partition: 0), sequence: 12)))
    var update = ProfileUpdate(progress: progress, counts: [1], turnedAway: 4)
    update.changed = [profile]
    update.newNames = ["web", "sport"]
    update.changes = [SegmentChange(person: person, segment: 0, entered: true, at: now)]
    board.take(update)
    return board
  }

  private static func routes(
    _ board: ProfileBoard, _ models: TimingModels? = nil
  ) -> Routes {
    var routes = Routes()
    ProfileRoutes(board, check: { _ in }).declare(on: &routes)
    TimingRoutes(models: { models }, check: { _ in }).declare(on: &routes)
    return routes
  }

  private static func get(_ routes: Routes, _ target: String) async throws -> JSONTree {
    let answer = try #require(try await routes.answer(.get, target))
    guard case .bytes(let bytes) = answer.body else { throw DecisionFixture.Malformed() }
    return try JSONTree(bytes)
  }

  @Test("A profile is told with its sums decayed until the log's time, and what it prefers by name")
  func profile() async throws {
    let json = try await Self.get(
      Self.routes(Self.board()), "/v1/profiles/ann?site_id=shop")
    #expect(((json["frequency"]?.number ?? 0) - 4).magnitude < 0.01)
    #expect(((json["value"]?.number ?? 0) - 10).magnitude < 0.01)
    #expect(json["recency_days"]?.number == 7 && json["last_seen"]?.string != nil)
    guard case .array(let topics)? = json["preferences"]?["topic"],
      case .array(let hours)? = json["preferences"]?["hour"],
      case .array(let segments)? = json["segments"]
    else { throw DecisionFixture.Malformed() }
    #expect(topics.map { $0["value"]?.string } == ["sport"])
    #expect(hours.map { $0["value"]?.string } == ["18"] && hours[0]["share"]?.number == 1)
    #expect(segments.map(\.string) == ["loyal"])
    #expect(json["as_of"]?.string == "2025-11-24T10:00:00.000Z")
  }

  @Test("Decisions see the values that profiles are told with")
  func features() throws {
    let board = try Self.board()
    let features = Dictionary(
      uniqueKeysWithValues: board.features(
        of: EventIdentity.personKey(site: "shop", id: "ann")
      ).map { ($0.name, $0.value) })
    #expect(((features["profile.frequency"] ?? 0) - 4).magnitude < 0.01)
    #expect(features["profile.segment.loyal"] == 1 && features["profile.part.evening"] == 1)
    #expect(board.features(of: Key128(low: 1, high: 1)).isEmpty)
  }

  @Test("Segments are listed with their persons, and one with who came and went")
  func segments() async throws {
    let routes = Self.routes(try Self.board())
    let list = try await Self.get(routes, "/v1/segments")
    guard case .array(let segments)? = list["segments"] else { throw DecisionFixture.Malformed() }
    #expect(segments.map { $0["persons"]?.number } == [1] && list["turned_away"]?.number == 4)
    let one = try await Self.get(routes, "/v1/segments/loyal")
    guard case .array(let changes)? = one["changes"] else { throw DecisionFixture.Malformed() }
    #expect(changes.map { $0["change"]?.string } == ["entered"])
  }

  @Test(
    "Why somebody is in a segment is told by its conditions, the others and the events behind it")
  func why() async throws {
    let routes = Self.routes(try Self.board())
    let json = try await Self.get(routes, "/v1/segments/loyal/why?person=ann&site_id=shop")
    #expect(json["in"]?.bool == true && json["rule"]?.string == "frequency > 2")
    guard case .array(let conditions)? = json["conditions"],
      case .array(let events)? = json["events"]
    else { throw DecisionFixture.Malformed() }
    #expect(conditions.map { $0["condition"]?.string } == ["frequency > 2"])
    #expect(((conditions[0]["value"]?.number ?? 0) - 4).magnitude < 0.01)
    #expect(events.map { $0["position"]?.string } == ["1~0.12"])
    // Four are two after a half-life.
    let changes = try #require(json["changes_at"]?.string.flatMap { Timestamp.parse($0) })
    #expect((changes - Self.now - 7 * Self.day).magnitude < 60_000_000)
    for (target, code) in [
      ("/v1/segments/loyal/why", "invalid_request"),
      ("/v1/segments/loyal/why?person=bob&site_id=shop", "unknown_person"),
      ("/v1/segments/cluster-1/why?person=ann&site_id=shop", "unknown_segment"),
    ] {
      let problem = await #expect(throws: Problem.self) { try await routes.answer(.get, target) }
      #expect(problem?.code == code, "\(target)")
    }
  }

  @Test("Why somebody is in a cluster is told by its distance to each")
  func whyCluster() async throws {
    var policy = Self.policy
    policy.clusterCount = 2
    let board = ProfileBoard(policy, registry: MetricRegistry())
    var profiles: [Profile] = []
    for number in 0..<40 {
      var profile = Profile(EventIdentity.personKey(site: "shop", id: "p\(number)"))
      let begun = profile.begin(at: Self.now - Self.day, policy.decay)
      let (weight, place) = try #require(begun)
      for _ in 0..<(number < 10 ? 30 : 1 + number % 2) {
        profile.add(1, to: .activity, weight, place)
      }
      profiles.append(profile)
    }
    let features = ProfileFeatures()
    var points = PointTable(width: features.names.count)
    for profile in profiles { points.append(features.point(profile.view(at: Self.now, policy))) }
    var clusters = StableClusters(clusterCount: 2)
    clusters.refresh(points)
    var update = ProfileUpdate(progress: Self.progress, counts: [0], turnedAway: 0)
    update.changed = profiles
    update.clusters = ProfileClusters(
      clusters: clusters, features: features, at: Self.now, sampled: 40, persons: 40)
    board.take(update)
    let routes = Self.routes(board)
    let answers = try await [
      Self.get(routes, "/v1/segments/cluster-1/why?person=p3&site_id=shop"),
      Self.get(routes, "/v1/segments/cluster-2/why?person=p3&site_id=shop"),
    ]
    #expect(answers.filter { $0["in"]?.bool == true }.count == 1)
    let own = try #require(answers.first { $0["in"]?.bool == true })
    guard case .array(let others)? = own["alternatives"],
      case .array(let parts)? = own["contributions"]
    else { throw DecisionFixture.Malformed() }
    #expect((others[0]["odds"]?.number ?? 1) < 0.5)
    #expect((others[0]["distance"]?.number ?? 0) > (own["distance"]?.number ?? .infinity))
    #expect(parts.contains { $0["feature"]?.string == "frequency" })
  }

  @Test("Hours are told with their gain, and chances that add up to 1")
  func timing() async throws {
    let posts = (0..<80).map { number in
      let evening = number.isMultiple(of: 2)
      return TimingLearner.SettledPost(
        key: .init(site: "shop", content: "c\(number)", channel: "mail"),
        at: Self.now + Int64(evening ? 9 : 21) * 3_600_000_000 + Int64(number) * Self.day,
        audience: "", window: "any", reach: 1, engagements: evening ? 30 : 10,
        position: Position(generation: 1, sequences: [0: UInt64(number + 1)]))
    }
    let models = TimingFit(
      posts, progress: Self.progress, pending: 2, undrawn: 3, turnedAway: 0
    ).models()
    let routes = Self.routes(try Self.board(), models)
    let json = try await Self.get(
      routes, "/v1/timing?site_id=shop&channel=mail&from=1-12&hours=24&limit=3")
    guard case .array(let slots)? = json["slots"],
      case .object(let chances)? = json["propensities"]
    else { throw DecisionFixture.Malformed() }
    // Posts went out at 19 and at 7 o'clock.
    #expect(slots.count == 3 && chances.count == 24)
    #expect(chances.reduce(0) { $0 + ($1.value.number ?? 0) } == 1)
    func chance(_ hour: String) -> Double { chances.first { $0.name == hour }?.value.number ?? 0 }
    #expect(chance("1-19") > chance("2-07"))
    #expect(json["learned_from"]?["posts"]?.number == 80)
    #expect(json["learned_from"]?["posts_not_drawn"]?.number == 3)
    let why = try await Self.get(
      routes, "/v1/timing/why?site_id=shop&channel=mail&from=1-12&hours=24&hour=1-19")
    guard case .array(let contributions)? = why["contributions"],
      case .array(let alternatives)? = why["alternatives"], case .array(let behind)? = why["posts"]
    else { throw DecisionFixture.Malformed() }
    let product = contributions.reduce(1) { $0 * ($1["factor"]?.number ?? 0) }
    let rate = try #require(why["engagements"]?.number)
    #expect((product - rate).magnitude < 1e-6 * rate, "\(product) \(rate)")
    let ofHour = contributions.first { $0["feature"]?.string == "hour_of_day" }
    #expect((ofHour?["factor"]?.number ?? 0) > 1)
    #expect(alternatives.count == 23)
    let odds = try #require(why["propensity"]?.number)
    let sum = alternatives.reduce(odds) { $0 + ($1["odds"]?.number ?? 0) * odds }
    #expect((sum - 1).magnitude < 1e-9)
    // Each Monday at 19 o'clock: one in seven of those of the evening.
    #expect(!behind.isEmpty && behind.count < 8)
    #expect(behind.allSatisfy { $0["engagements"]?.number == 30 })
    #expect(behind.first?["position"]?.string?.hasPrefix("1~0.") == true)
    for target in ["/v1/timing/why?site_id=shop", "/v1/timing/why?site_id=shop&hour=9-01"] {
      let problem = await #expect(throws: Problem.self) { try await routes.answer(.get, target) }
      #expect(problem?.code == "invalid_request", "\(target)")
    }
  }

  @Test("Each model has a card of what it was learned from, and how it did")
  func cards() async throws {
    let fixture = try DecisionFixture()
    try fixture.learn([6_536, 0, 59_000])
    var routes = Routes()
    ModelCards(
      plans: [DecisionFixture.plan], decisions: { [fixture] in fixture.board.current },
      recommendations: nil, profiles: try Self.board(), timing: { nil }, check: { _ in }
    ).declare(on: &routes)
    let json = try await Self.get(routes, "/v1/models")
    guard case .array(let cards)? = json["models"] else { throw DecisionFixture.Malformed() }
    #expect(cards.map { $0["model"]?.string } == ["decision", "profiles"])
    #expect(cards[0]["learned_from"]?["decisions"]?.number == 30)
    #expect(cards[0]["did"]?["rewards_per_decision"]?.number == 0.1)
    #expect(cards[0]["position"]?.string == "1~0.3" && cards[0]["complete"]?.bool == true)
    #expect(cards[1]["learned_from"]?["persons"]?.number == 1)
    #expect(cards[1]["memory_seconds"]?.number == 5_184_000)
    let paths = try #require(try JSONTree(Array(OpenAPIDocument.text.utf8))["paths"])
    #expect(paths["/v1/models"] != nil)
  }

  @Test("What is asked wrongly is refused by name, and nothing is said before the log was read")
  func refusals() async throws {
    let routes = Self.routes(try Self.board())
    let unread = Self.routes(ProfileBoard(Self.policy, registry: MetricRegistry()))
    for (routes, target, code) in [
      (routes, "/v1/profiles/bob?site_id=shop", "unknown_person"),
      (routes, "/v1/profiles/ann", "unknown_person"),
      (routes, "/v1/profiles/ann?sight=shop", "invalid_request"),
      (routes, "/v1/segments/none", "unknown_segment"),
      (routes, "/v1/timing", "learning_unavailable"),
      (routes, "/v1/timing?from=1-8", "invalid_request"),
      (routes, "/v1/timing?hours=169", "invalid_request"),
      (unread, "/v1/segments", "learning_unavailable"),
      (unread, "/v1/profiles/ann", "learning_unavailable"),
    ] {
      let problem = await #expect(throws: Problem.self) { try await routes.answer(.get, target) }
      #expect(problem?.code == code, "\(target)")
    }
  }

  @Test("The OpenAPI document has each of these routes")
  func documented() throws {
    let routes = Self.routes(try Self.board())
    let paths = try #require(try JSONTree(Array(OpenAPIDocument.text.utf8))["paths"])
    guard case .object(let members) = paths else { throw DecisionFixture.Malformed() }
    let known = members.filter { path in
      ["/v1/profiles", "/v1/segments", "/v1/timing"].contains { path.name.hasPrefix($0) }
    }
    #expect(known.map { "GET \($0.name)" }.sorted() == routes.paths.sorted())
  }
}
