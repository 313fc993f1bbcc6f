import Events
import Testing

@testable import Collector

@Suite("Segment's calls as images")
struct SegmentPixelTests {
  private static let call =
    #"{"writeKey":"dev","userId":"ann","event":"Content Viewed","properties":{"subject":"News & more","campaign_id":"spring"}}"#

  private static func encoded(_ text: String) -> String {
    text.utf8.map { "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  private static let base64 = Base64.encode(Array(call.utf8))

  @Test(
    "The call is in data, in base 64 of either alphabet or plain, or its members are fields",
    arguments: [
      "data=\(encoded(base64))",
      "data=" + base64.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: ""),
      "data=\(encoded(call))",
      "writeKey=dev&userId=ann&event=Content+Viewed&properties.subject=News%20%26%20more&properties.campaign_id=spring",
      "properties=x&properties.campaign_id=spring&properties.subject=News+%26+more&event=Content%20Viewed&userId=ann&k=dev",
    ])
  func forms(query: String) throws {
    for path in ["/v1/pixel/track", "/pixel/v1/track"] {
      let reading = try read(path, query: query)
      let event = try #require(reading.events.first, "\(reading.refused?.detail ?? "")")
      #expect(event.kind == .view && event.name == "Content Viewed")
      #expect(event.source == "segment/dev")
      #expect(event.person == EventIdentity.personKey(site: "default", id: "ann"))
      #expect(try dimensions(event).campaign == "spring")
      let payload = try JSONTree(event.payload)
      #expect(payload["properties"]?["subject"] == .string("News & more"))
      // Neither says when it was nor which: each time that it is shown is one.
      #expect(event.id == "unique-1")
    }
  }

  @Test("Every call has its address", arguments: SegmentEvent.CallType.allCases)
  func calls(type: SegmentEvent.CallType) throws {
    let reading = try read(
      "/v1/pixel/\(type.rawValue)",
      query:
        "writeKey=dev&userId=ann&anonymousId=a1&event=x&messageId=m1&context.page.url=https%3A%2F%2Fe.org"
    )
    let event = try #require(reading.events.first)
    #expect(event.id == "m1" && event.name == (type == .track ? "x" : type.rawValue))
    #expect(event.user == EventIdentity.personKey(site: "default", id: "ann"))
  }

  @Test("A copy of what says when it was is the same event")
  func again() throws {
    let query = "writeKey=dev&userId=ann&event=x&timestamp=2026-11-23T09:00:00Z"
    let ids = try [query, query, query + "&properties.a=b"].map {
      try #require(try read("/v1/pixel/track", query: $0).events.first).id
    }
    #expect(ids[0] == ids[1] && ids[0] != ids[2] && !ids[0].hasPrefix("unique"))
  }

  @Test(
    "What is wrong is refused, and read again from its dead letter",
    arguments: [
      ("writeKey=dev&event=x", "no_identity"),
      ("writeKey=dev&data=%21%21%21", "malformed_query"),
      ("writeKey=dev&data=%7B", "malformed_json"), ("writeKey=dev&data=WzFd", "event_not_object"),
      ("writeKey=dev&userId=%ff&event=x", "malformed_query"),
      (
        "writeKey=dev&userId=u&event=x&a" + String(repeating: ".a", count: 16) + "=1",
        "malformed_query"
      ),
      ("writeKey=dev&userId=u&event=x" + String(repeating: "&a=1", count: 200), "event_too_large"),
      ("writeKey=dev&userId=u&event=x&timestamp=yesterday", "bad_timestamp"),
    ])
  func refused(query: String, code: String) throws {
    let rejection = try #require(try read("/v1/pixel/track", query: query).refused)
    #expect(rejection.code.rawValue == code && text(rejection.body) == query)
    #expect(rejection.place == "/v1/pixel/track")
    let outcome = again(rejection, body: rejection.body)
    guard case .refused(let second) = outcome else {
      Issue.record("\(outcome)")
      return
    }
    #expect(second.code == rejection.code && second.id == rejection.id)
  }

  @Test("What is mended is the event that it would have been")
  func mended() throws {
    let rejection = try #require(
      try read("/v1/pixel/track", query: "writeKey=dev&event=x&messageId=m1").refused)
    let outcome = again(rejection, body: rejection.body + Array("&userId=ann".utf8))
    guard case .accepted(let events) = outcome else {
      Issue.record("\(outcome)")
      return
    }
    #expect(events.map(\.id) == ["m1"])
    #expect(
      events.first?.key == EventIdentity.dedupeKey(site: "default", source: "dev", eventID: "m1"))
  }

  private func again(_ rejection: Rejection, body: [UInt8]) -> DeadLetterReading.Outcome {
    DeadLetterReading(mapping: CompiledMapping(standardMapping)).read(
      DeadLetter(
        code: rejection.code.rawValue, detail: rejection.detail,
        place: "segment \(rejection.place)", body: body),
      site: "default", source: "segment/dev", receivedAt: testNow, uniqueID: "again")
  }

  @Test("An unknown key is told, wherever it stands")
  func unknown() throws {
    for query in ["writeKey=nobody&userId=u&event=x", "userId=u&event=x", "data=%7B", "data=e30"] {
      #expect(try read("/v1/pixel/track", query: query).isUnknownKey, "\(query)")
    }
  }

  @Test("It is answered with the GIF once it is durable")
  func answer() async throws {
    let publisher = ScriptedPublisher.storing
    try await RunningCollector.run(keys: testKeys, publisher: publisher) { port, _ in
      let target = "/v1/pixel/track?writeKey=dev&userId=ann&event=x"
      let answer = try await RawRequest.send("GET", target, port: port)
      #expect(answer.status == 200 && answer.body.hasPrefix("GIF89a"))
      #expect(answer.head.contains("content-type: image/gif"))
      #expect(answer.head.contains("smartcontent-position: 1~"))
      let wrong = try await RawRequest.send(
        "GET", "/v1/pixel/track?writeKey=dev&event=x", port: port)
      #expect(wrong.status == 400 && wrong.body.contains("no_identity"))
    }
    #expect(publisher.frames.count == 2)
  }
}
