import Events
import HTTPClient
import Learning
import Testing

@testable import DecisionAPI

/// Decisions as PostHog's SDKs ask for them.
@Suite struct FlagsTests {
  @Test(
    "Each decision of the site is a flag whose variant is the arm, with its token in the payload")
  func flags() async throws {
    var other = DecisionFixture.plan
    other.id = "aside"
    var foreign = DecisionFixture.plan
    foreign.id = "foreign"
    foreign.site = "elsewhere"
    let fixture = try DecisionFixture(plans: [DecisionFixture.plan, other, foreign])
    try fixture.learn([65_536, 0, 0])
    try await fixture.withServer { port in
      let answer = try DecisionFixture.post(
        port, "/flags/?v=4",
        #"{"api_key":"dev","distinct_id":"ann","groups":{},"person_properties":{"hour":9},"geoip_disable":true}"#,
        key: nil)
      #expect(answer.status == 200, "\(answer.text)")
      let json = try JSONTree(answer.body)
      let hero = try #require(json["flags"]?["hero"])
      #expect(hero["variant"]?.string == "a" && hero["value"]?.string == "a")
      #expect(hero["enabled"]?.bool == true && json["errorsWhileComputingFlags"]?.bool == false)
      #expect(json["flags"]?["foreign"] == nil)
      // Nothing is learned of the other one: its default arm.
      #expect(json["flags"]?["aside"]?["variant"]?.string == "b")
      let payload = try #require(hero["metadata"]?["payload"]?.string)
      let token = try fixture.signer.token(try #require(try JSONTree(Array(payload.utf8)).string))
      #expect(token.plan == DecisionFixture.plan.fingerprint)
      // No token where there are several.
      #expect(json["requestId"]?.string?.utf8.count == 32)
    }
    #expect(
      fixture.events.allSatisfy { $0.person == EventIdentity.personKey(site: "default", id: "ann") }
    )
  }

  @Test(
    "SDKs for browsers are told the settings where they ask for them, and old ones in their form")
  func settings() async throws {
    let fixture = try DecisionFixture()
    try fixture.learn([65_536, 0, 0])
    try await fixture.withServer { port in
      func ask(_ path: String) throws -> JSONTree {
        let answer = try DecisionFixture.post(
          port, path, #"{"token":"dev","distinct_id":"ann"}"#, key: nil)
        return try JSONTree(answer.body)
      }
      #expect(try ask("/flags/?v=2")["autocapture_opt_out"] == nil)
      #expect(try ask("/flags/?v=2&config=true")["autocapture_opt_out"]?.bool == false)
      let old = try ask("/decide/?v=3")
      #expect(old["autocapture_opt_out"]?.bool == false)
      #expect(old["featureFlags"]?["hero"]?.string == "a")
      let payload = try #require(old["featureFlagPayloads"]?["hero"]?.string)
      #expect(
        try fixture.signer.token(try #require(try JSONTree(Array(payload.utf8)).string)).chosen == 0
      )
    }
  }

  @Test("Flags that are named are the only ones, and the device is the person where one is sent")
  func named() async throws {
    let fixture = try DecisionFixture()
    try fixture.learn([65_536, 0, 0])
    try await fixture.withServer { port in
      let none = try DecisionFixture.post(
        port, "/flags/?v=4",
        #"{"token":"dev","distinct_id":"ann","flag_keys_to_evaluate":["villain"]}"#, key: nil)
      #expect(
        none.text == #"{"flags":{},"errorsWhileComputingFlags":false,"requestId":""}"#)
      let one = try DecisionFixture.post(
        port, "/flags",
        #"{"token":"dev","distinct_id":"ann","$device_id":"d1","flag_keys_to_evaluate":["hero"]}"#,
        key: nil)
      let id = try #require(try JSONTree(one.body)["requestId"]?.string)
      #expect(try fixture.signer.token(id).chosen == 0)
    }
    #expect(
      fixture.events.map(\.person) == [EventIdentity.personKey(site: "default", id: "d1")])
  }

  @Test(
    "What is no request of theirs is refused",
    arguments: [
      (#"{"api_key":"other","distinct_id":"ann"}"#, "unknown_write_key"),
      (#"{"api_key":"dev"}"#, "no_identity"), ("data=x", "invalid_json"),
      (#"{"api_key":"dev""#, "invalid_json"),
    ])
  func refusals(body: String, code: String) async throws {
    let fixture = try DecisionFixture()
    try await fixture.withServer { port in
      let answer = try DecisionFixture.post(port, "/flags/?v=4", body, key: nil)
      #expect(try JSONTree(answer.body)["code"]?.string == code, "\(answer.text)")
    }
  }
}
