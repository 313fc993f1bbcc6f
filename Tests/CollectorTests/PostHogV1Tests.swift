@testable import Collector
import Events
@testable import HTTPServer
import Testing

@Suite("PostHog protocol, answers")
struct PostHogV1Tests {
  private static let path = "POST /i/v1/analytics/events"

  private func send(_ events: String...) throws -> Reading {
    try read(
      Self.path,
      body: Array(
        #"{"created_at":"2026-11-23T09:00:00Z","batch":[\#(events.joined(separator: ","))]}"#.utf8),
      authorization: "Bearer phc_demo")
  }

  private func event(_ id: String, person: String? = "u") -> String {
    let members = person.map { #","distinct_id":"\#($0)""# } ?? ""
    return #"{"event":"click","uuid":"\#(id)","options":{},"properties":{}\#(members)}"#
  }

  /// The answer's body after these events were stored, with those of `reading` and further ones refused.
  private func answer(_ reading: Reading, gates: [RejectedEvent] = []) throws -> String {
    let answer = try #require(reading.reply.stored)
    let rejected = reading.rejected.map {
      RejectedEvent(index: $0.index, code: $0.code.rawValue, message: $0.detail)
    }
    let response = answer(
      StoredAnswer(position: "1~0.1", positionHeader: [], rejected: rejected + gates))
    #expect(response.status == .ok)
    return text(try #require(response.body))
  }

  /// As posthog-python 7.91.1 sends it.
  private static let captured =
    #"{"created_at": "2026-11-29T20:17:46.686672+00:00", "batch": [{"event": "Content Clicked", "#
    + #""uuid": "0192f3d2-0000-7abc-8000-00000000000f", "distinct_id": "u1", "#
    + #""timestamp": "2026-11-29T20:17:46.685977+00:00", "options": {"#
    + #""disable_skew_correction": true}, "properties": {"campaign_id": "x", "$is_server": true}, "#
    + #""session_id": "s1"}, {"event": "$create_alias", "#
    + #""uuid": "bf9c81ac-74ea-4b0a-9575-154d16037ca8", "distinct_id": "anon_1", "#
    + #""timestamp": "2026-11-29T20:17:46.686106+00:00", "options": {}, "#
    + #""properties": {"distinct_id": "anon_1", "alias": "user_1", "$is_server": true}}]}"#

  @Test("A request of the SDK is accepted, and each of its events is named in the answer")
  func captured() throws {
    let reading = try read(
      Self.path, body: Array(Self.captured.utf8), authorization: "Bearer phc_demo",
      headers: ["posthog-request-timestamp": "2026-11-29T20:17:46.686912+00:00"])
    #expect(reading.events.map(\.kind) == [.click, .alias])
    #expect(reading.events.map(\.source) == ["posthog/hog", "posthog/hog"])
    #expect(
      reading.events.map(\.sentAt) == [0, Timestamp.parse("2026-11-29T20:17:46.686912Z")])
    #expect(try dimensions(reading.events[0]).campaign == "x")
    #expect(
      try answer(reading)
        == #"{"results":{"0192f3d2-0000-7abc-8000-00000000000f":{"result":"ok"},"#
        + #""bf9c81ac-74ea-4b0a-9575-154d16037ca8":{"result":"ok"}}}"#)
  }

  @Test("A refused event is a drop with its reason, beside those that were stored")
  func drops() throws {
    let reading = try send(event("a"), event("b", person: nil), "7", event("c"))
    #expect(reading.rejected.map(\.index) == [1, 2])
    #expect(reading.rejected.map(\.place).last == "/i/v1/analytics/events batch[2]")
    #expect(
      try answer(reading)
        == #"{"results":{"a":{"result":"ok"},"b":{"result":"drop","#
        + #""details":"an event has a distinct_id, which names its person"},"#
        + #""c":{"result":"ok"}}}"#)
  }

  @Test("What a gate refuses is a drop too, at its place in the batch")
  func gates() throws {
    let reading = try send(event("a"), event("b", person: nil), event("c"), event("d"))
    let refused = RejectedEvent(index: 2, code: "wrong_field_type", message: "by a schema")
    #expect(
      try answer(reading, gates: [refused]).hasSuffix(
        #""c":{"result":"drop","details":"by a schema"},"d":{"result":"ok"}}}"#))
  }

  @Test("An event whose id cannot be read is left out of the answer")
  func unnamed() throws {
    let reading = try send(
      #"{"event":"click","uuid":7}"#,
      #"{"event":"x","uuid":"\#(String(repeating: "i", count: 300))"}"#,
      event("a"))
    #expect(reading.rejected.count == 2)
    #expect(try answer(reading) == #"{"results":{"a":{"result":"ok"}}}"#)
  }

  @Test("An empty batch has no results; one event without a batch has its own")
  func empty() throws {
    #expect(try answer(try send()) == #"{"results":{}}"#)
    let single = try read(
      Self.path + "/", body: Array(event("a").utf8), authorization: "Bearer phc_demo")
    #expect(try answer(single) == #"{"results":{"a":{"result":"ok"}}}"#)
  }

  @Test("Without its key a request is unknown")
  func unknownKey() throws {
    #expect(try read(Self.path, body: Array(Self.captured.utf8)).isUnknownKey)
    #expect(
      try read(Self.path, body: Array(Self.captured.utf8), authorization: "Bearer nope")
        .isUnknownKey)
  }

  @Test("v0 answers with status 1, whatever was refused")
  func v0() throws {
    let rejected = [RejectedEvent(index: 0, code: "no_identity", message: "m")]
    for rejected in [[], rejected] {
      let response = PostHogProtocol.declaration.answer(
        StoredAnswer(
          position: "1~0.1", positionHeader: HeaderText.line("X", "y"), rejected: rejected))
      #expect(response.status == .ok)
      #expect(text(response.body ?? response.prepared.body) == #"{"status":1}"#)
      #expect(text(response.extraHeaders) == "X: y\r\n")
    }
  }
}
