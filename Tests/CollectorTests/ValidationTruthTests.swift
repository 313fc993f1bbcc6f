import Events
import Foundation
import Testing

@testable import Collector

/// What `/v1/validate` says of a request, beside what becomes of the same request.
@Suite("Validation says what happens")
struct ValidationTruthTests {
  struct Request: Sendable, CustomStringConvertible {
    var name: String
    var method = "POST"
    var path: String
    var query = ""
    /// Lines that each end with CR LF.
    var headers = ""
    var body: [UInt8] = []

    var description: String { name }
  }

  // MARK: Requests

  /// Those of unmodified clients, where the captures lie beside the project.
  private static let captured: [Request] = {
    guard let folder = Wire.folder else { return [] }
    do {
      return try FileManager.default.contentsOfDirectory(atPath: folder).sorted().filter { name in
        name.hasSuffix(".raw")
          && ["segment-", "snowplow-", "posthog-v", "ce-"].contains { name.hasPrefix($0) }
      }.map { try request($0) }
    } catch {
      return []
    }
  }()

  private static func request(_ name: String) throws -> Request {
    let (head, body) = try Wire.request(name)
    var lines = head.components(separatedBy: "\r\n")
    let words = lines.removeFirst().split(separator: " ").map(String.init)
    let target = words[1].split(separator: "?", maxSplits: 1).map(String.init)
    let own = ["host:", "connection:", "content-length:"]
    var headers = lines.filter { line in !own.contains { line.lowercased().hasPrefix($0) } }
    if name.hasPrefix("ce-") { headers.append("Authorization: \(basicDev)") }
    return Request(
      name: name, method: words[0], path: target[0], query: target.count > 1 ? target[1] : "",
      headers: headers.map { $0 + "\r\n" }.joined(), body: body)
  }

  /// Good and bad events of every protocol, alone and together.
  private static let mixed: [Request] = RefusedSample.all.sorted { $0.key < $1.key }.flatMap {
    name, sample -> [Request] in
    let places: [[Int]] = sample.isBatch ? [[], [0, 2], [0, 1, 2]] : [[], [0]]
    return places.map { places -> Request in
      let words = sample.address.split(separator: " ").map(String.init)
      let text = sample.text(bad: Set(places))
      let isQuery = words[0] == "GET"
      let type =
        name == "cloudevents" ? "Content-Type: application/cloudevents-batch+json\r\n" : ""
      return Request(
        name: "\(name) \(places)", method: words[0], path: words[1],
        query: isQuery ? text : sample.query, headers: type, body: isQuery ? [] : Array(text.utf8))
    }
  }

  private static let phoneBody =
    #""properties":{"email":"ann@example.org","n":[{"call":"+49 170 1234567"}]}"#

  private static let others: [Request] = [
    Request(
      name: "an order that breaks its schema", path: "/v1/track", headers: auth,
      body: Array(
        #"{"event":"Order Completed","userId":"u","messageId":"m1","properties":{"revenue":"7"}}"#
          .utf8)),
    Request(
      name: "an order of an older version", path: "/v1/track", headers: auth,
      body: Array(
        #"{"event":"Order Completed","userId":"u","messageId":"m2","properties":{"amount":7}}"#.utf8
      )),
    Request(
      name: "personal data", path: "/v1/batch",
      headers: auth + "User-Agent: Mozilla/5.0 (compatible; Googlebot/2.1)\r\n",
      body: Array(
        #"{"batch":[{"type":"page","userId":"u","messageId":"m3",\#(phoneBody)}]}"#.utf8)),
    Request(
      name: "Matomo without an image", method: "GET", path: "/matomo.php",
      query: "idsite=dev&rec=1&rand=5&_id=a&cdt=1795424400&send_image=0"),
    Request(
      name: "Matomo's form", path: "/matomo.php",
      body: Array("idsite=dev&rec=1&rand=6&_id=a&cdt=1795424400".utf8)),
    Request(
      name: "GA4's debugger", path: "/debug/mp/collect", query: "measurement_id=dev",
      body: Array(#"{"client_id":"c","events":[{"name":7}]}"#.utf8)),
    Request(
      name: "PostHog's v1, all dropped", path: "/i/v1/analytics/events",
      headers: "Authorization: Bearer phc_demo\r\n",
      body: Array(#"{"batch":[{"event":"x","uuid":"7"}]}"#.utf8)),
    Request(
      name: "PostHog's v1, some dropped", path: "/i/v1/analytics/events",
      headers: "Authorization: Bearer phc_demo\r\n",
      body: Array(
        #"{"batch":[{"event":"x","uuid":"8"},{"event":"x","uuid":"9","distinct_id":"u"}]}"#.utf8)),
    Request(
      name: "Segment's pixel", method: "GET", path: "/v1/pixel/track",
      query: "writeKey=dev&userId=u&event=x&messageId=m4"),
    Request(
      name: "a batch of CloudEvents without any", path: "/ce", query: "k=dev",
      headers: "Content-Type: application/cloudevents-batch+json\r\n", body: Array("[]".utf8)),
    Request(name: "no key", path: "/v1/batch", body: Array(#"{"batch":[]}"#.utf8)),
    Request(name: "no JSON", path: "/v1/batch", headers: auth, body: Array("{".utf8)),
    Request(
      name: "no gzip", path: "/v1/batch", headers: auth + "Content-Encoding: gzip\r\n",
      body: Array("{}".utf8)),
    Request(
      name: "another encoding", path: "/v1/batch", headers: auth + "Content-Encoding: br\r\n",
      body: Array("{}".utf8)),
    Request(
      name: "a body beyond the protocol's limit", path: "/v1/e", query: "k=dev",
      body: [UInt8](repeating: 0x20, count: 300_000)),
    Request(
      name: "too many events", path: "/mp/collect", query: "measurement_id=dev",
      body: Array(
        #"{"client_id":"c","events":[\#(Array(repeating: #"{"name":"a"}"#, count: 26).joined(separator: ","))]}"#
          .utf8)),
    Request(
      name: "a request that leads nowhere", method: "GET", path: "/r/c",
      query: "k=dev&u=https%3A%2F%2Felsewhere.example%2F"),
  ]

  private static let auth = "Authorization: \(basicDev)\r\n"

  // MARK: The comparison

  @Test(
    "The answer, and each event as it is stored, refused and why",
    arguments: captured + mixed + others)
  func agrees(_ request: Request) async throws {
    let publisher = ScriptedPublisher.storing
    // One moment for both, which is part of what is stored.
    let clock = ScriptedClock()
    try await RunningCollector.run(
      clock: clock.clock, publisher: publisher,
      routes: { pipeline, registry, routes in
        IngestRoutes(
          keys: testKeys,
          gates: [
            ConsentGate(), PrivacyGate(schemas: SchemaGateTests.schemas),
            BotGate(BotGateTests.rules), SchemaGate(SchemaGateTests.schemas),
          ],
          redirects: RedirectPolicy(isSigned: { _, _, _ in false }, hosts: ["example.org"]),
          pipeline: pipeline, producer: RunningCollector.producer, metrics: registry,
          clock: clock.clock
        ).add(to: &routes)
      }
    ) { port, _ in
      let query = request.query.isEmpty ? "" : "&" + request.query
      let report = try await RawRequest.send(
        "POST", "/v1/validate?path=\(request.path)" + query, headers: request.headers,
        body: request.body, port: port)
      #expect(publisher.frames.isEmpty, "nothing is stored by asking")
      let answer = try await RawRequest.send(
        request.method, request.path + (request.query.isEmpty ? "" : "?" + request.query),
        headers: request.headers, body: request.body, port: port)
      guard report.status == 200 else {
        #expect(report.status == answer.status, "\(report.body)")
        #expect(
          try JSONTree(Array(report.body.utf8))["code"]
            == (try JSONTree(Array(answer.body.utf8))["code"]))
        #expect(publisher.frames.isEmpty)
        return
      }
      let told = try JSONTree(Array(report.body.utf8))
      #expect(told["would_answer"] == .integer(answer.status), "\(report.body)\n\(answer.body)")
      let (events, letters) = try stored(publisher)
      #expect(told["accepted"] == .integer(events.count))
      #expect(told["rejected"] == .integer(letters.count))
      guard case .array(let entries)? = told["events"] else {
        Issue.record("\(report.body)")
        return
      }
      let accepted = entries.filter { $0["outcome"] == .string("accepted") }
      for entry in accepted {
        let event = try #require(entry["event"])
        let found = events.first { $0["id"] == event["id"] }
        #expect(found == event.without("notes"), "\(report.body)")
      }
      #expect(accepted.count == events.count && events.count + letters.count == entries.count)
      let refused = entries.filter { $0["outcome"] == .string("rejected") }
      // In a letter the name of the protocol stands in front.
      let reasons = letters.map { letter in
        [letter.code, String(letter.place.drop { $0 != " " }.dropFirst())].map {
          JSONTree.string($0)
        }
      }
      for entry in refused {
        let reason = [entry["code"], entry["place"]].compactMap(\.self)
        #expect(reasons.contains(reason), "\(report.body)")
      }
      #expect(refused.count == letters.count)
    }
  }

  @Test("Captured requests are among them", .enabled(if: Wire.folder != nil))
  func captures() { #expect(Self.captured.count >= 30) }

  /// Events as they are shown, and dead letters.
  private func stored(
    _ publisher: ScriptedPublisher
  ) throws -> (events: [JSONTree], letters: [DeadLetter]) {
    var events: [JSONTree] = []
    var letters: [DeadLetter] = []
    for frame in publisher.frames {
      try frame.frame.withUnsafeBytes { bytes in
        let view = try FrameView(bytes)
        for index in 0..<view.count {
          let event = IncomingEvent(view, event: index)
          if frame.stream == "dead-letters" {
            letters.append(try event.payload.withUnsafeBytes { try DeadLetter(payload: $0) })
          } else {
            var json = JSONWriter()
            event.writeDescription(to: &json, payload: true)
            events.append(try JSONTree(json.bytes).without("notes"))
          }
        }
      }
    }
    return (events, letters)
  }
}

extension JSONTree {
  /// Notes are for people who look on; they are not stored.
  fileprivate func without(_ name: String) -> JSONTree {
    var tree = self
    tree[name] = nil
    return tree
  }
}
