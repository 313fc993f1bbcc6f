import Analyses
import Dataflow
import Events
import Foundation
import HTTPServer
import Learning
import Logging
import MemoryPorts
import Metrics
import Operators
import Ports
import Statistics
import Synchronization
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

    /// - Parameters:
    ///   - events: person, content, topic.
    ///   - title: of the contents.
    func take(_ events: [(String, String, String)], title: String = "", second: Int64) throws {
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
            payload: Array(
              #"{"properties":{"topic":"\#(event.2)","title":"\#(title)"}}"#.utf8)))
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
    let similar: SimilarContents
    private(set) var routes = Routes()

    init(
      endpoint: EmbeddingEndpoint? = nil, store: (any ContentVectorStore)? = nil
    ) {
      learner = RecommendationLearner(
        registry: registry, keepsTexts: endpoint != nil || store != nil)
      feed = Feed(learner)
      similar = SimilarContents(
        learner, endpoint: endpoint, store: store, registry: registry,
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
      RecommendationRoutes(
        learner, similar: similar, check: { _ in },
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
    for (target, visits) in [
      ("person=p0", 8), ("item=food-1", 0), ("items=food-3,food-1", 0), ("segment=cooks", 8),
      ("limit=5", 0),
    ] {
      let why = try await desk.ask("/why?content=food-0&seen=include&\(target)")
      #expect(why.status == 200 && why.json["content"] as? String == "food-0", "\(why.json)")
      let data = try #require(why.json["visits"] as? [[String: Any]])
      #expect(data.count == visits && data.allSatisfy { $0["position"] is String }, "\(target)")
      let others = try #require(why.json["alternatives"] as? [[String: Any]])
      #expect(others.count == (visits == 0 && target == "limit=5" ? 5 : 10))
      #expect(others.allSatisfy { ($0["odds"] as? Double ?? 0) > 0 })
      let contents = try #require(why.json["contents"] as? [[String: Any]])
      #expect((contents[0]["latest"] as? [[String: Any]])?.count == 5)
      #expect((contents[0]["first"] as? [String: Any])?["position"] as? String == "1~0.1")
    }
    for (target, status) in [
      ("/why?person=p0", 422), ("/why?content=", 422), ("/why?content=none", 404),
      ("/why?content=food-0&person=p0&item=food-1", 422), ("/why?content=food-0&who=p0", 422),
      ("/why?content=food-0&segment=none", 404), ("/why?content=food-0&site_id=other", 404),
    ] {
      let refused = try await desk.ask(target)
      #expect(refused.status == status, "\(target) \(refused.json)")
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

  // MARK: By texts

  /// A store that is told what to answer.
  private final class ScriptedStore: ContentVectorStore {
    final class Writer: ContentVectorWriter {
      let store: ScriptedStore
      init(_ store: ScriptedStore) { self.store = store }

      func stored(
        _ contents: [String], of site: String
      ) throws(ContentVectorError) -> [StoredContentVector] {
        store.rows.withLock { $0.filter { contents.contains($0.content) && $0.site == site } }
      }

      func write(
        _ vectors: [StoredContentVector], readTo: String?
      ) throws(ContentVectorError) {
        store.rows.withLock { rows in
          rows.removeAll { row in
            vectors.contains { ($0.site, $0.content) == (row.site, row.content) }
          }
          rows += vectors
        }
      }
    }

    let rows = Mutex<[StoredContentVector]>([])
    let answer = Mutex<Result<NearestContents, ContentVectorError>>(
      .success(NearestContents(contents: [], readTo: "")))

    func writer() -> any ContentVectorWriter { Writer(self) }

    func nearest(
      to vector: [Float], site: String, count: Int
    ) async throws(ContentVectorError) -> NearestContents {
      try answer.withLock { $0 }.get()
    }
  }

  /// Texts that an endpoint was asked for.
  private final class Asked: Sendable {
    let texts = Mutex<[String]>([])
  }

  private static let titles = [
    ("soup", "Ten soups for autumn"), ("stew", "Autumn soups and stews"), ("rates", "Markets fall"),
  ]

  @Test("Contents near a text, and near a content, are found by their titles")
  func similar() async throws {
    let desk = Desk()
    for (content, title) in Self.titles {
      try desk.feed.take([("p0", content, "all")], title: title, second: 1)
    }
    let text = try await desk.ask("/similar?text=soups&limit=2")
    #expect(Set(text.contents) == ["soup", "stew"])
    let content = try await desk.ask("/similar?content=soup&limit=1")
    #expect(content.contents == ["stew"])
    let meta = try #require(content.json["meta"] as? [String: Any])
    #expect(meta["indexes"] as? [String] == ["exact"])
    #expect(meta["embedding"] as? String == "hashed n-grams" && meta["meaning"] as? Bool == false)
    #expect(try await desk.ask("/similar?content=nothing").contents.isEmpty)
    #expect(try await desk.ask("/similar?text=...").contents.isEmpty)
    #expect(try await desk.ask("/similar?text=a&site_id=nowhere").status == 404)
    for query in [
      "", "?text=a&content=b", "?text=", "?text=" + String(repeating: "a", count: 2_049),
    ] {
      #expect(try await desk.ask("/similar" + query).status == 422)
    }
  }

  @Test("What only the store has is found too, and a store that is away is done without")
  func stored() async throws {
    let store = ScriptedStore()
    let desk = Desk(store: store)
    for (content, title) in Self.titles {
      try desk.feed.take([("p0", content, "all")], title: title, second: 1)
    }
    store.answer.withLock {
      $0 = .success(
        NearestContents(contents: [("old", 0.99), ("soup", 0.5), ("stew", 0.01)], readTo: "1~0.7"))
    }
    let both = try await desk.ask("/similar?content=soup&limit=2")
    #expect(both.contents == ["old", "stew"])
    let meta = try #require(both.json["meta"] as? [String: Any])
    #expect(meta["indexes"] as? [String] == ["exact", "pgvector"])
    #expect(meta["stored_to"] as? String == "1~0.7")
    store.answer.withLock { $0 = .failure(.unavailable("it is away")) }
    let memory = try await desk.ask("/similar?content=soup&limit=2")
    #expect(memory.contents == ["stew", "rates"])
    let text = String(decoding: desk.registry.exposition(.prometheusText), as: UTF8.self)
    #expect(text.contains(#"smartcontent_vector_searches_total{index="pgvector_away"} 1"#))
  }

  @Test("A model's vectors are adopted and stored, and asked for once, over a restart too")
  func meanings() async throws {
    let asked = Asked()
    var routes = Routes()
    // It says of texts with an S that they are alike.
    routes.on(.post, "/v1/embeddings") { request in
      let json = try JSONTree(request.body)
      guard case .array(let texts)? = json["input"] else {
        return HTTPResponse(status: .badRequest)
      }
      var data: [String] = []
      for (index, text) in texts.enumerated() {
        guard case .string(let text) = text else { continue }
        asked.texts.withLock { $0.append(text) }
        data.append(
          #"{"index":\#(index),"embedding":[\#(text.lowercased().contains("s") ? "1,0.1" : "0.1,1"),0]}"#
        )
      }
      return HTTPResponse(
        status: .ok, headers: [],
        body: .bytes(Array(#"{"data":[\#(data.joined(separator: ","))]}"#.utf8)))
    }
    let server = Server(
      ServerParameters(host: "127.0.0.1", port: 0, eventLoops: 1), routes: routes,
      log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let port = try await server.start()
    let endpoint = EmbeddingEndpoint(
      url: "http://127.0.0.1:\(port)/v1/embeddings", model: "letters")
    let store = ScriptedStore()
    for start in 0..<2 {
      let desk = Desk(endpoint: endpoint, store: store)
      store.answer.withLock { $0 = .failure(.unavailable("it is not asked")) }
      desk.similar.start()
      for (content, title) in [("a", "Swift"), ("b", "Glass"), ("c", "Wood")] {
        try desk.feed.take([("p0", content, "all")], title: title, second: 1)
      }
      let (registry, learner) = (desk.registry, desk.learner)
      try await eventually {
        registry.text.contains(
          #"smartcontent_vector_texts_total{outcome="\#(start == 0 ? "embedded" : "known")"} 3"#)
          && store.rows.withLock { $0.count } == 3
      }
      try await eventually { learner.hasMeaning("a", "b", "c") }
      let near = try await desk.ask("/similar?content=a&limit=2")
      #expect(near.contents == ["b", "c"])
      let meta = try #require(near.json["meta"] as? [String: Any])
      #expect(meta["embedding"] as? String == "letters" && meta["meaning"] as? Bool == true)
      desk.similar.stop()
    }
    #expect(asked.texts.withLock { Set($0).count } == 3 && asked.texts.withLock { $0.count } == 3)
    try await server.shutdown(withinMs: 0)
    // The endpoint is away: texts have their words alone, and the answer says so.
    let desk = Desk(endpoint: endpoint)
    try desk.feed.take([("p0", "a", "all")], title: "Swift", second: 1)
    let alone = try await desk.ask("/similar?text=swift")
    #expect(alone.contents == ["a"])
    #expect((alone.json["meta"] as? [String: Any])?["meaning"] as? Bool == false)
  }

  @Test(
    "What is no list of as many vectors is refused",
    arguments: [
      "", "[]", #"{"data":{}}"#, #"{"data":[]}"#, #"{"data":[{"index":0}]}"#,
      #"{"data":[{"index":7,"embedding":[1]}]}"#, #"{"data":[{"index":0,"embedding":[]}]}"#,
    ])
  func unreadable(_ body: String) {
    #expect(throws: EmbeddingError.self) {
      try EmbeddingClient.vectors(in: Array(body.utf8), count: 1)
    }
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

extension MetricRegistry {
  fileprivate var text: String { String(decoding: exposition(.prometheusText), as: UTF8.self) }
}

extension RecommendationLearner {
  /// Whether a model has said of each content what its text means.
  fileprivate func hasMeaning(_ contents: String...) -> Bool {
    contents.allSatisfy { content in
      let question = SimilarQuestion(site: "default", subject: .content(content), count: 1)
      return (similar(question)?.answer.vector.count ?? 0) * 16 == BlendedEmbedding.dimensions
    }
  }
}
