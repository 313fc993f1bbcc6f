import Analyses
import Dataflow
import Events
import Foundation
import HTTPServer
import Learning
import Metrics
import Operators
import Testing

@testable import DecisionAPI
@testable import QueryAPI

@Suite struct RecommendationRouteTests {
  /// 2026-11-01T00:00:00Z.
  private static let begin: Int64 = 1_793_491_200_000_000

  /// Hands frames to a learner as a follower of the log does.
  private final class Feed: Analysis {
    let times = Int64.min..<Int64.max
    let learner: RecommendationLearner
    private var judge = StreamJudge(PipelineSpec(name: "test"), groups: 0..<KeyGroup.count)
    private var sequence: UInt64 = 0

    init(_ learner: RecommendationLearner) { self.learner = learner }

    func add(_ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment) {
      learner.add(frame, counted, at: moment, from: StreamPlace(generation: 1, partition: 0))
    }

    func merge(_ other: Feed) {}

    /// - Parameter events: person, content, topic.
    func take(_ events: [(String, String, String)], second: Int64) throws {
      let time = begin + second * 1_000_000
      var encoder = FrameEncoder()
      for (number, event) in events.enumerated() {
        let id = "\(sequence)-\(number)"
        encoder.append(
          IncomingEvent(
            kind: .click,
            key: EventIdentity.dedupeKey(site: "default", source: "test", eventID: id),
            person: EventIdentity.personKey(site: "default", id: event.0), eventTime: time,
            receivedAt: time,
            dimensions: DimensionTuple(site: "default", content: event.1).encoded, id: id,
            name: "Click", source: "test",
            payload: Array(#"{"properties":{"topic":"\#(event.2)"}}"#.utf8)))
      }
      sequence += 1
      let bytes = encoder.seal(
        FrameHeader(
          kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 2), epoch: 0,
          producerSequence: sequence))
      try bytes.withUnsafeBytes {
        try judge.add($0, sequence: sequence, storedAt: time, to: self)
      }
      learner.publish(
        LearningProgress(
          position: Position(generation: 1, sequences: [0: sequence]), logTime: time,
          isCaughtUp: true))
    }
  }

  private struct Answer {
    let status: Int
    let json: [String: Any]

    var contents: [String] {
      ((json["results"] as? [[String: Any]]) ?? []).compactMap { $0["content"] as? String }
    }
  }

  private struct Desk {
    let registry = MetricRegistry()
    let learner: RecommendationLearner
    let feed: Feed
    private(set) var routes = Routes()

    init() {
      learner = RecommendationLearner(registry: registry)
      feed = Feed(learner)
      RecommendationRoutes(
        learner, check: { _ in },
        members: { site, segment in
          segment == "cooks" ? [EventIdentity.personKey(site: site, id: "p0")] : nil
        }
      ).declare(on: &routes)
    }

    func ask(_ target: String) async throws -> Answer {
      let response: HTTPResponse
      do {
        response = try #require(await routes.answer(.get, "/v1/recommendations" + target))
      } catch let problem as Problem {
        response = problem.response
      }
      guard case .bytes(let bytes) = response.body else { return Answer(status: 0, json: [:]) }
      let json = try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any]
      return Answer(status: response.status.code, json: json ?? [:])
    }

    /// 20 persons who look at contents of one topic, of two.
    func fill() throws {
      for step in 0..<200 {
        let topic = step % 2 == 0 ? "food" : "money"
        try feed.take(
          [("p\(step % 20)", "\(topic)-\((step * 7 + step / 20) % 20)", topic)],
          second: Int64(step * 60))
      }
    }
  }

  @Test("Each kind of list is answered with reasons, and says how far the log was read")
  func lists() async throws {
    let desk = Desk()
    try desk.fill()
    for target in [
      "/persons/p0?limit=5&explore=0", "/items/food-1?limit=5&explore=0",
      "/sessions?items=food-3,food-1&limit=5&explore=0", "/segments/cooks?limit=5&explore=0",
    ] {
      let answer = try await desk.ask(target)
      #expect(answer.status == 200, "\(answer.json)")
      #expect(answer.contents.count == 5)
      #expect(answer.contents.allSatisfy { $0.hasPrefix("food") }, "\(target) \(answer.contents)")
      let entry = try #require((answer.json["results"] as? [[String: Any]])?.first)
      #expect((entry["reasons"] as? [String])?.isEmpty == false)
      #expect((entry["contributions"] as? [String: Double])?.isEmpty == false)
      let meta = try #require(answer.json["meta"] as? [String: Any])
      #expect(meta["known"] as? Bool == true)
      #expect(meta["visits"] as? Int == 200)
      #expect(
        meta["position"] as? String == Position(generation: 1, sequences: [0: 200]).description)
    }
    let newcomer = try await desk.ask("/newcomers?limit=100&exclude=food-1,money-2")
    #expect(newcomer.contents.count == 38)
    #expect(!newcomer.contents.contains("food-1"))
  }

  @Test("A content is in lists as soon as its first event was read")
  func newContent() async throws {
    let desk = Desk()
    try desk.fill()
    try desk.feed.take([("p2", "food-new", "food")], second: 12_001)
    let answer = try await desk.ask("/persons/p0?limit=20")
    #expect(answer.contents.contains("food-new"))
  }

  @Test("Before the log was read, and of a site that nobody knows, it is said what is missing")
  func missing() async throws {
    let desk = Desk()
    #expect(try await desk.ask("/newcomers").status == 503)
    #expect(try await desk.ask("").status == 503)
    try desk.fill()
    #expect(try await desk.ask("/newcomers?site_id=nowhere").status == 404)
    #expect(try await desk.ask("/segments/nowhere").status == 404)
    #expect(try await desk.ask("/persons/nobody").contents.count == 10)
  }

  @Test(
    "What is wrong with a request is said with its place",
    arguments: [
      ("/newcomers?limit=0", "?limit"), ("/newcomers?limit=101", "?limit"),
      ("/newcomers?diversity=2", "?diversity"), ("/newcomers?explore=x", "?explore"),
      ("/newcomers?seen=maybe", "?seen"), ("/newcomers?impressions_max=0", "?impressions_max"),
      ("/newcomers?other=1", "?other"), ("/newcomers?limit=1&limit=2", "?limit"),
      ("/sessions", "?items"), ("/sessions?items=", "?items"),
      ("/persons/p0?items=a", "?items"),
      ("/sessions?items=" + String(repeating: "a,", count: 51), "?items"),
    ])
  func refusals(_ target: String, _ path: String) async throws {
    let desk = Desk()
    let answer = try await desk.ask(target)
    #expect(answer.status == 422)
    #expect(answer.json["path"] as? String == path)
  }

  @Test("What was learned is told by site, and as metrics")
  func models() async throws {
    let desk = Desk()
    try desk.fill()
    let answer = try await desk.ask("")
    let site = try #require((answer.json["sites"] as? [[String: Any]])?.first)
    #expect(site["site_id"] as? String == "default")
    #expect(site["contents"] as? Int == 40)
    #expect(site["persons"] as? Int == 20)
    #expect((site["tests"] as? Int ?? 0) > 5)
    #expect((site["weights"] as? [String: Double])?.count == 13)
    _ = try await desk.ask("/newcomers")
    let text = String(decoding: desk.registry.exposition(.prometheusText), as: UTF8.self)
    #expect(text.contains(#"smartcontent_recommendation_contents{site="default"} 40"#))
    #expect(text.contains(#"smartcontent_recommendation_hit_ratio{site="default"}"#))
    #expect(text.contains("smartcontent_recommendation_seconds_count 1"))
  }

  @Test("The OpenAPI document has each of the routes that are declared, and no other")
  func documented() throws {
    let paths = try #require(try JSONTree(Array(OpenAPIDocument.text.utf8))["paths"])
    guard case .object(let members) = paths else {
      Issue.record("paths are no object")
      return
    }
    let documented = members.map { "GET \($0.name)" }.filter { $0.contains("/v1/recommendations") }
    #expect(Set(documented) == Set(Desk().routes.paths))
  }

  @Test("A person is a segment of the address, and its parts are told apart by the route")
  func addresses() async throws {
    let desk = Desk()
    try desk.fill()
    let named = try await desk.ask("/persons/p%30")
    #expect(named.contents == (try await desk.ask("/persons/p0")).contents)
  }
}
