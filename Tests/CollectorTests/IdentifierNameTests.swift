@testable import Collector
import Events
import Foundation
import Testing

@Suite("Ids of persons that become pseudonyms")
struct IdentifierNameTests {
  private static let who = "0123456789abcdef"

  /// A request in which one field has the id.
  private struct Template {
    var address: String
    var query = ""
    var body = ""
  }

  private static let templates: [String: [Template]] = [
    "segment": [
      Template(
        address: "POST /v1/batch",
        body: #"{"batch":[{"type":"track","event":"x","messageId":"1","FIELD":"WHO"}]}"#),
      Template(
        address: "POST /v1/batch",
        body: #"{"batch":[{"type":"alias","messageId":"1","userId":"other","FIELD":"WHO"}]}"#),
    ],
    "ga4": [
      Template(
        address: "POST /mp/collect", query: "measurement_id=dev&api_secret=x",
        body: #"{"FIELD":"WHO","events":[{"name":"click"}]}"#)
    ],
    "snowplow": [Template(address: "GET /i", query: "aid=dev&e=pv&eid=1&FIELD=WHO")],
    "matomo": [Template(address: "GET /matomo.php", query: "idsite=dev&rec=1&FIELD=WHO")],
    "posthog": [
      Template(
        address: "POST /e/", body: #"{"api_key":"dev","event":"click","uuid":"1","FIELD":"WHO"}"#),
      Template(
        address: "POST /e/",
        body:
          #"{"api_key":"dev","event":"$identify","distinct_id":"other","properties":{"FIELD":"WHO"}}"#
      ),
    ],
    "cloudevents": [
      Template(
        address: "POST /v1/cloudevents",
        body: #"{"specversion":"1.0","id":"1","source":"/s","type":"click","FIELD":"WHO"}"#),
      Template(
        address: "POST /v1/cloudevents",
        body:
          #"{"specversion":"1.0","id":"1","source":"/s","type":"click","data":{"FIELD":"WHO"}}"#),
    ],
    "pixel": [Template(address: "GET /p.gif", query: "k=dev&t=view&eid=1&FIELD=WHO")],
    "beacon": [
      Template(address: "POST /v1/e", body: #"{"k":"dev","e":[{"t":"view","FIELD":"WHO"}]}"#)
    ],
  ]

  /// Every word in quotes in the collector's source: whatever a protocol reads is among them.
  private static func words() throws -> Set<String> {
    let tests = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    let folder = tests.joined(separator: "/") + "/Sources/Collector"
    var words: Set<String> = []
    for file in try FileManager.default.contentsOfDirectory(atPath: folder) {
      let text = try String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8)
      for found in text.matches(of: /"([A-Za-z_$][A-Za-z0-9_$]{1,40})"/) {
        words.insert(String(found.1))
      }
    }
    return words
  }

  @Test(
    "Every field that a protocol reads as a person is known as one",
    arguments: [
      ("segment", ["anonymousId", "previousId", "userId"]),
      ("ga4", ["app_instance_id", "client_id", "user_id"]),
      ("snowplow", ["duid", "nuid", "tnuid", "uid"]), ("matomo", ["_id", "cid", "uid"]),
      ("posthog", ["$anon_distinct_id", "$device_id", "$distinct_id", "distinct_id"]),
      (
        "cloudevents",
        ["anonymousId", "anonymous_id", "anonymousid", "userId", "user_id", "userid"]
      ),
      ("pixel", ["aid", "uid"]), ("beacon", ["aid", "uid"]),
    ])
  func read(_ name: String, _ least: [String]) throws {
    let key = EventIdentity.personKey(site: "default", id: Self.who)
    let names = IdentifierNames.names(of: name)
    var found: Set<String> = []
    // An event that names nobody may stand for its person itself, by its own id.
    for word in try Self.words() where !["id", "eid", "uuid", "messageId"].contains(word) {
      for template in try #require(Self.templates[name]) {
        func filled(_ text: String) -> String {
          text.replacing("FIELD", with: word).replacing("WHO", with: Self.who)
        }
        let reading = try CollectorTests.read(
          template.address, query: filled(template.query), body: Array(filled(template.body).utf8),
          authorization: basicDev,
          headers: ["content-type": name == "cloudevents" ? "application/cloudevents+json" : ""])
        guard reading.events.contains(where: { $0.person == key || $0.user == key }) else {
          continue
        }
        found.insert(word)
        #expect(names.contains(PersonalNames.hash(word)), "\(name) \(word)")
      }
    }
    #expect(found.isSuperset(of: least), "\(found)")
  }

  @Test(
    "Ids of persons and of their devices are nowhere in what is kept; other ids stay",
    arguments: [
      (
        "segment/web",
        #"{"traits":{"id":"WHO","plan":{"id":"p1"}},"context":{"traits":{"id":"WHO"},"externalIds":[{"id":"WHO","type":"crm"},{"id":"WHO"}],"device":{"id":"WHO","advertisingId":"WHO","model":"m"}},"properties":{"products":[{"id":"p1"}]}}"#
      ),
      (
        "segment/web",
        #"{"userId":"WHO","anonymousId":"WHO","previousId":"WHO","properties":{"id":"p1"}}"#
      ),
      (
        "ga4/web",
        #"{"client_id":"WHO","app_instance_id":"WHO","user_id":"WHO","params":{"id":"p1"}}"#
      ),
      (
        "snowplow/web",
        #"{"uid":"WHO","duid":"WHO","co":"{\"data\":[{\"data\":{\"appleIdfa\":\"WHO\",\"appleIdfv\":\"WHO\",\"androidIdfa\":\"WHO\",\"openIdfa\":\"WHO\",\"id\":\"p1\"}}]}"}"#
      ),
      ("posthog/web", #"{"distinct_id":"WHO","properties":{"$device_id":"WHO","id":"p1"}}"#),
      (
        "cloudevents/web",
        #"{"id":"p1","userid":"WHO","data":{"userId":"WHO","device":{"id":"WHO"}}}"#
      ),
    ])
  func kept(_ source: String, _ payload: String) throws {
    let tests = PrivacyGateTests()
    let policy = KeyPolicy(identifiers: .pseudonym)
    let text = try tests.scrubbed(
      payload.replacing("WHO", with: Self.who), policy, source: source)
    #expect(text == payload.replacing("WHO", with: tests.key(policy).identify(Self.who)))
    #expect(text.contains(#"id":"p1""#) || text.contains(#"id\":\"p1"#))
    // Without that policy they are ids like any other.
    let plain = payload.replacing("WHO", with: Self.who)
    #expect(try tests.scrubbed(plain, source: source) == plain)
  }
}
