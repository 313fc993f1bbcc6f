import Events
import HTTPClient
import HTTPServer
import Learning
import Synchronization
import Testing

@testable import DecisionAPI

/// `POST /v1/decide` over HTTP: what is answered, and what is left in the log.
@Suite struct DecideTests {
  private func members(_ answer: HTTPAnswer) throws -> JSONTree { try JSONTree(answer.body) }

  @Test("An arm is drawn with the chances of the model, and the event in the log says all of it")
  func decides() async throws {
    let fixture = try DecisionFixture()
    try fixture.learn([6_536, 0, 59_000])
    try await fixture.withServer { port in
      let answer = try DecisionFixture.post(
        port, "/v1/decide",
        #"{"decision":"hero","person":"ann","context":{"hour":9,"note":"ada@example.org","other":1}}"#
      )
      #expect(answer.status == 200, "\(answer.text)")
      let json = try members(answer)
      let token = try fixture.signer.token(try #require(json["token"]?.string))
      #expect(json["decision_id"]?.string == token.id.description)
      let arm = try #require(json["arm"]?.string)
      #expect(DecisionFixture.plan.arms[token.chosen] == arm && arm != "b")
      #expect(json["policy"]?.string == "thompson")
      #expect(json["probabilities"]?["a"]?.number == 6_536.0 / 65_536)
      #expect(json["model"]?["position"]?.string == "1~0.3")
      let event = try #require(fixture.events.first)
      #expect(event.kind == .decision && event.agent == "test")
      #expect(event.person == EventIdentity.personKey(site: "default", id: "ann"))
      let tuple = event.dimensions.withUnsafeBytes { DimensionTuple(encoded: $0) }
      #expect(
        tuple
          == DimensionTuple(site: "default", campaign: "spring", content: "post-1", variant: arm))
      let logged = try event.payload.withUnsafeBytes {
        try LoggedDecisionEvent(payload: $0, isAuthentic: fixture.signer.isAuthentic)
      }
      #expect(logged.token == token && logged.model.description == "1~0.3" && logged.server == "s1")
      #expect(logged.features["hour"] == .number(9))
      #expect(logged.features["note"] == .text("[mail]"))
      #expect(logged.features["other"] == nil)
    }
  }

  @Test(
    "What somebody else has decided is kept with the chance that they say, and its token is as any other"
  )
  func made() async throws {
    let fixture = try DecisionFixture()
    try fixture.learn([6_536, 0, 59_000])
    try await fixture.withServer { port in
      func ask(_ made: String) throws -> HTTPAnswer {
        try DecisionFixture.post(
          port, "/v1/decide", #"{"decision":"hero","person":"ann","context":{"hour":9},\#(made)}"#)
      }
      let answer = try ask(#""made":{"arm":"b","probability":0.5}"#)
      #expect(answer.status == 200, "\(answer.text)")
      let json = try members(answer)
      let token = try fixture.signer.token(try #require(json["token"]?.string))
      #expect(token.flags == .elsewhere && token.chosen == 1)
      #expect(token.propensities == Propensities([1, 2, 1]))
      #expect(json["arm"]?.string == "b" && json["default"]?.bool == false)
      let event = try #require(fixture.events.first)
      let logged = try event.payload.withUnsafeBytes {
        try LoggedDecisionEvent(payload: $0, isAuthentic: fixture.signer.isAuthentic)
      }
      #expect(logged.token == token && logged.features["hour"] == .number(9))
      for (made, code) in [
        (#""made":{"arm":"z","probability":0.5}"#, "unknown_arm"),
        (#""made":{"arm":"b","probability":0}"#, "invalid_value"),
        (#""made":{"arm":"b","probability":1e-9}"#, "invalid_value"),
        (#""made":{"arm":"b"}"#, "invalid_value"), (#""made":"b""#, "invalid_value"),
        (#""made":{"arm":"b","probability":0.5},"slots":2"#, "invalid_value"),
      ] {
        let refused = try ask(made)
        #expect(refused.status == 400, "\(made)")
        #expect(refused.text.contains(code), "\(refused.text)")
      }
      #expect(fixture.events.count == 1)
    }
  }

  @Test("What nothing is to be learned from is an event in the log")
  func retracts() async throws {
    let fixture = try DecisionFixture()
    let id = DecisionID(Key128(low: 1, high: 2))
    try await fixture.withServer { port in
      for (body, subject) in [
        (#"{"decision_id":"\#(id)"}"#, .decision(id)),
        (
          #"{"person":"ann"}"#, .person(EventIdentity.personKey(site: "default", id: "ann"))
        ),
      ] as [(String, LoggedRetractionEvent.Subject)] {
        let answer = try DecisionFixture.post(port, "/v1/retractions", body)
        #expect(answer.status == 200 && answer.text == #"{"position":"1~0.7"}"#, "\(answer.text)")
        let event = try #require(fixture.events.last)
        #expect(event.kind == .decision && event.name == LoggedRetractionEvent.eventName)
        let logged = try event.payload.withUnsafeBytes { try LoggedRetractionEvent(payload: $0) }
        #expect(logged?.subject == subject)
      }
      for body in [
        "{}", #"{"decision_id":"7"}"#, #"{"person":""}"#, #"{"person":"a","decision_id":"\#(id)"}"#,
      ] {
        let refused = try DecisionFixture.post(port, "/v1/retractions", body)
        #expect(refused.status == 400 && refused.text.contains("invalid_value"), "\(body)")
      }
      #expect(fixture.events.count == 2)
      #expect(try DecisionFixture.post(port, "/v1/retractions", "{}", key: nil).status == 400)
      let closed = try DecisionFixture.post(port, "/v1/retractions", #"{"person":"a"}"#, key: nil)
      #expect(closed.status == 401)
    }
  }

  @Test("What is logged is what was drawn from: the same request makes the same decision again")
  func again() async throws {
    let fixture = try DecisionFixture()
    try fixture.learn([20_000, 20_000, 25_536])
    try await fixture.withServer { port in
      for _ in 0..<50 {
        _ = try DecisionFixture.post(port, "/v1/decide", #"{"decision":"hero","person":"bob"}"#)
      }
    }
    let model = try #require(fixture.board.current?.plans["hero"])
    #expect(fixture.events.count == 50)
    for event in fixture.events {
      let logged = try event.payload.withUnsafeBytes {
        try LoggedDecisionEvent(payload: $0, isAuthentic: fixture.signer.isAuthentic)
      }
      let request = DecisionRequest(
        id: logged.token.id, person: event.person, time: event.eventTime,
        features: logged.features)
      #expect(model.decide(request).token == logged.token)
    }
  }

  @Test(
    "Without a model that knows the log it is the default arm, for certain and marked",
    arguments: [nil, false] as [Bool?])
  func fallback(isCaughtUp: Bool?) async throws {
    let fixture = try DecisionFixture()
    if let isCaughtUp { try fixture.learn([65_536, 0, 0], isCaughtUp: isCaughtUp) }
    try await fixture.withServer { port in
      let json = try members(
        try DecisionFixture.post(port, "/v1/decide", #"{"decision":"hero","person":"ann"}"#))
      #expect(json["arm"]?.string == "b" && json["probability"]?.number == 1)
      #expect(json["default"]?.bool == true)
      let token = try fixture.signer.token(try #require(json["token"]?.string))
      #expect(token.flags == .fallback)
    }
    #expect(fixture.events.count == 1)
    #expect(
      fixture.metric(#"smartcontent_decisions_total{plan="hero",reason="fallback"}"#) == "1.0")
  }

  @Test("Candidates are chosen among alone, and without one that is known it is the default arm")
  func candidates() async throws {
    let fixture = try DecisionFixture()
    try fixture.learn([30_000, 30_000, 5_536])
    try await fixture.withServer { port in
      let one = try members(
        try DecisionFixture.post(
          port, "/v1/decide", #"{"decision":"hero","person":"ann","candidates":["c","x"]}"#))
      #expect(one["arm"]?.string == "c" && one["probability"]?.number == 1)
      #expect(one["default"]?.bool == false)
      let none = try members(
        try DecisionFixture.post(
          port, "/v1/decide", #"{"decision":"hero","person":"ann","candidates":["x"]}"#))
      #expect(none["arm"]?.string == "b" && none["default"]?.bool == true)
    }
  }

  @Test("Several slots get different arms, each with a token and an event of its own")
  func slots() async throws {
    let fixture = try DecisionFixture()
    try fixture.learn([30_000, 30_000, 5_536])
    try await fixture.withServer { port in
      let json = try members(
        try DecisionFixture.post(
          port, "/v1/decide", #"{"decision":"hero","person":"ann","slots":5}"#))
      guard case .array(let slots)? = json["slots"], case .array(let arms)? = json["arms"] else {
        Issue.record("slots and arms are lists")
        return
      }
      #expect(Set(arms.compactMap(\.string)) == ["a", "b", "c"] && slots.count == 3)
      let tokens = try slots.compactMap { $0["token"]?.string }.map { try fixture.signer.token($0) }
      #expect(Set(tokens.map(\.id)).count == 3)
      #expect(tokens.last?.propensities[tokens.last?.chosen ?? 0] == 1)
    }
    #expect(fixture.events.count == 3)
  }

  @Test("Whoever asks gets an answer, whatever becomes of the event")
  func logAway() async throws {
    let fixture = try DecisionFixture()
    try fixture.learn([65_536, 0, 0])
    fixture.storage.withLock { $0 = .unavailable }
    try await fixture.withServer { port in
      let answer = try DecisionFixture.post(
        port, "/v1/decide", #"{"decision":"hero","person":"ann"}"#)
      #expect(answer.status == 200)
      let nobody = try DecisionFixture.post(
        port, "/v1/decide", #"{"decision":"hero","person":"nobody"}"#)
      #expect(nobody.status == 200)
    }
    #expect(fixture.events.count == 1)
    #expect(
      fixture.metric(#"smartcontent_decision_events_total{outcome="unavailable"}"#) == "1.0")
    #expect(fixture.metric(#"smartcontent_decision_events_total{outcome="kept_out"}"#) == "1.0")
  }

  @Test(
    "What cannot be decided is refused with the reason",
    arguments: [
      (#"{"decision":"hero","person":"ann","k":"other"}"#, "unknown_write_key"),
      (#"{"decision":"villain","person":"ann"}"#, "unknown_decision"),
      (#"{"decision":"hero"}"#, "missing_member"),
      (#"{"person":"ann"}"#, "missing_member"),
      (#"{"decision":"hero","person":7}"#, "invalid_value"),
      (#"{"decision":"hero","person":"ann","slots":0}"#, "invalid_value"),
      (#"{"decision":"hero","person":"ann","slots":1.5}"#, "invalid_value"),
      (#"{"decision":"hero","person":"ann","candidates":"a"}"#, "invalid_value"),
      (#"{"decision":"hero","person":"ann","context":[]}"#, "invalid_value"),
      (#"{"decision":"hero","person":"ann","arms":[]}"#, "unknown_member"),
      (#"{"decision":"hero","person":"ann""#, "invalid_json"),
      ("", "invalid_json"),
    ])
  func refusals(body: String, code: String) async throws {
    let fixture = try DecisionFixture()
    try await fixture.withServer { port in
      let isOther = body.contains("other")
      let answer = try DecisionFixture.post(
        port, "/v1/decide", body, key: isOther ? nil : "dev")
      #expect(try members(answer)["code"]?.string == code, "\(answer.text)")
      #expect((400..<500).contains(answer.status))
    }
    #expect(fixture.events.isEmpty)
    #expect(
      fixture.metric(#"smartcontent_decision_requests_refused_total{code="\#(code)"}"#) == "1.0")
  }

  @Test("A token that was changed in any byte is not taken for one of ours")
  func forged() async throws {
    let fixture = try DecisionFixture()
    try fixture.learn([65_536, 0, 0])
    try await fixture.withServer { port in
      let json = try members(
        try DecisionFixture.post(port, "/v1/decide", #"{"decision":"hero","person":"ann"}"#))
      let text = try #require(json["token"]?.string)
      let other = try DecisionSigner(secret: Array(1...32))
      #expect(throws: DecisionTokenError.notAuthentic) { try other.token(text) }
      for index in text.indices {
        let replacement = text[index] == "A" ? "B" : "A"
        let changed = text.replacingCharacters(at: index, with: replacement)
        #expect(throws: DecisionTokenError.self) { try fixture.signer.token(changed) }
      }
    }
  }

  @Test("A reward is an event of its decision, durable before the answer")
  func reward() async throws {
    let fixture = try DecisionFixture()
    let id = DecisionID(Key128(low: 5, high: 6))
    try await fixture.withServer { port in
      let path = "/v1/decisions/\(id)/reward"
      let answer = try DecisionFixture.post(port, path, #"{"value":0.5,"event_id":"order-7"}"#)
      #expect(answer.status == 200)
      #expect(answer.text == #"{"decision_id":"\#(id)","value":0.5,"position":"1~0.7"}"#)
      _ = try DecisionFixture.post(port, path, #"{"value":0.5,"event_id":"order-7"}"#)
      for (path, body, status) in [
        (path, #"{"value":2}"#, 400), (path, "{}", 400), (path, #"{"value":1,"x":1}"#, 400),
        ("/v1/decisions/seven/reward", #"{"value":1}"#, 404),
      ] {
        #expect(try DecisionFixture.post(port, path, body).status == status, "\(body)")
      }
      fixture.storage.withLock { $0 = .refused }
      let refused = try DecisionFixture.post(port, path, #"{"value":1}"#)
      #expect(refused.status == 503)
    }
    let events = fixture.events
    #expect(events.count == 3 && events[0].key == events[1].key && events[0].key != events[2].key)
    let reward = try events[0].payload.withUnsafeBytes { try LoggedRewardEvent(payload: $0) }
    #expect(reward == LoggedRewardEvent(decision: id, value: 0.5))
  }
}

extension JSONTree {
  var string: String? {
    if case .string(let text) = self { text } else { nil }
  }

  var number: Double? {
    if case .number(let number, _) = self { number } else { nil }
  }

  var bool: Bool? {
    if case .bool(let flag) = self { flag } else { nil }
  }
}

extension String {
  fileprivate func replacingCharacters(at index: Index, with text: String) -> String {
    String(self[..<index]) + text + String(self[self.index(after: index)...])
  }
}
