import Collector
import Dataflow
import Events
import HTTPServer
import Learning
import LogFollowing
import Logging
import MemoryPorts
import Metrics
import Synchronization
import Testing

@testable import DecisionAPI

/// A token that comes back with an event, whatever the protocol, makes its decision known: from the bytes of a request
/// to what was learned.
@Suite struct EchoTests {
  /// A request as a client of the protocol sends it, with `TOKEN` where the token belongs.
  struct Way: CustomTestStringConvertible, Sendable {
    var name: String
    var method = "POST"
    var path: String
    var query = ""
    var body = ""

    var testDescription: String { name }
  }

  private static let ways = [
    Way(
      name: "pixel", method: "GET", path: "/p.gif",
      query: "k=dev&t=impression&uid=ann&decision=TOKEN"),
    Way(
      name: "beacon", path: "/v1/e",
      body: #"{"k":"dev","e":[{"t":"impression","aid":"a1","decision":"TOKEN"}]}"#),
    Way(
      name: "segment", path: "/v1/batch",
      body: """
        {"writeKey":"dev","batch":[{"type":"track","event":"Content Impression","userId":"ann","messageId":"m1",\
        "properties":{"decision":"TOKEN"}}]}
        """),
    Way(
      name: "posthog", path: "/batch/",
      body: """
        {"api_key":"dev","batch":[{"event":"Content Impression","distinct_id":"ann","uuid":"u1","properties":\
        {"decision":"TOKEN"}}]}
        """),
    Way(
      name: "posthog flag of one", path: "/batch/",
      body: """
        {"api_key":"dev","batch":[{"event":"$feature_flag_called","distinct_id":"ann","uuid":"u1","properties":\
        {"$feature_flag":"hero","$feature_flag_response":"a","$feature_flag_request_id":"TOKEN"}}]}
        """),
    Way(
      name: "posthog flag of many", path: "/batch/",
      body: #"""
        {"api_key":"dev","batch":[{"event":"$feature_flag_called","distinct_id":"ann","uuid":"u1","properties":\#
        {"$feature_flag":"hero","$feature_flag_response":"a","$feature_flag_payload":"\"TOKEN\"",\#
        "$feature_flag_request_id":"00000000000000000000000000000001"}}]}
        """#),
    Way(
      name: "ga4", path: "/mp/collect", query: "measurement_id=dev",
      body: #"{"client_id":"c1","events":[{"name":"view_item","params":{"decision":"TOKEN"}}]}"#),
    Way(
      name: "cloudevents", path: "/v1/cloudevents", query: "k=dev",
      body: """
        {"specversion":"1.0","id":"1","source":"/cms","type":"org.example.content.impression","subject":"p",\
        "data":{"userId":"ann","decision":"TOKEN"}}
        """),
    Way(
      name: "matomo", method: "GET", path: "/matomo.php",
      query: "idsite=dev&rec=1&uid=ann&url=https%3A%2F%2Fexample.org%2F&decision=TOKEN"),
    Way(
      name: "snowplow", path: "/com.snowplowanalytics.snowplow/tp2",
      body: #"""
        {"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4","data":[{"e":"pv","aid":"dev",\#
        "duid":"d1","eid":"e1","url":"https://example.org/","decision":"TOKEN"}]}
        """#),
  ]

  private static let start = DecisionFixture.start

  private func events(_ way: Way, token: String) throws -> [IncomingEvent] {
    let endpoint = try #require(
      ProtocolCatalog.all.flatMap(\.endpoints).first {
        $0.path == way.path && $0.method.name == way.method
      })
    let key = WriteKey(
      key: "dev", site: "default",
      mapping: CompiledMapping(
        EventMapping(
          names: ["Content Impression": .impression], calls: [:], properties: [:], revenue: [],
          currency: [], defaultCurrency: "USD")))
    let query = Array(way.query.replacing("TOKEN", with: token).utf8)
    let body = Array(way.body.replacing("TOKEN", with: token).utf8)
    let reading = query.withUnsafeBytes { query in
      body.withUnsafeBytes { body in
        endpoint.read(
          IngestInput(
            query: query, body: body, header: { _ in nil }, keys: WriteKeyTable([key]),
            receivedAt: Self.start, uniqueID: { "unique" }))
      }
    }
    guard case .events(let events, _, _, _) = reading else {
      Issue.record("\(way.name) is read as \(reading)")
      return []
    }
    return events
  }

  @Test("An impression by any protocol brings its decision into the model", arguments: ways)
  func echoed(way: Way) async throws {
    var plan = DecisionFixture.plan
    plan.activation = .echoed(wait: 3_600_000_000)
    let signer = try DecisionSigner(secret: Array(0..<32))
    let propensities = try #require(Propensities(parts: [16_384, 0, 49_152]))
    let token = DecisionToken(
      id: DecisionID(Key128(low: 1, high: 2)), plan: plan.fingerprint,
      timeMs: Self.start / 1_000 - 5, chosen: 2, propensities: propensities, version: plan.version,
      features: 0, flags: [])
    let events = try events(way, token: signer.text(of: token))
    try #require(events.count == 1)
    let log = MemoryEventLog()
    log.append(events, to: "events-00", storedAt: Self.start)
    let board = ModelBoard<DecisionModels>()
    let follower = LogFollower(
      FollowedLog(
        spec: PipelineSpec(name: "default"),
        generations: { [LogGeneration(number: 1, streams: ["events-00"])] }, log: log),
      registry: MetricRegistry(), clock: { Self.start },
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
      learners: { [plan] in
        [
          DecisionLearner(
            [plan], isAuthentic: { signer.isAuthentic($0, $1) }, publish: { board.publish($0) })
        ]
      })
    follower.start()
    defer { follower.stop() }
    try await eventually { board.current?.progress.isCaughtUp == true }
    #expect(board.current?.plans["hero"]?.arms.map(\.trials) == [0, 0, 1])
  }
}
