import Events
import Foundation
import HTTPClient
import Testing

@Suite("Profiles on a running system", .serialized, .endsWhatItStarts)
struct ProfileProofTests {
  private static let segments = """
    half_life: 7d
    memory: 30d
    persons: 5000
    currency: USD
    segments:
      here:
        description: did something within two seconds
        when: recency <= 2s
      reader:
        when:
          all: [topic.sport > 0.5, clicks > 0]
    clusters:
      count: 0
      every: 1h

    """

  private let client: HTTPClient

  init() throws { client = try HTTPClient() }

  private func ask(_ url: String, status: Int = 200) throws -> [String: Any]? {
    let answer = try client.get(url)
    guard answer.status == status else { return nil }
    return try JSONSerialization.jsonObject(with: Data(answer.text.utf8)) as? [String: Any]
  }

  /// Seconds since the epoch.
  private static func time(_ value: Any?) throws -> Double {
    let text = try #require(value as? String)
    return Double(try #require(Timestamp.parse(text))) / 1e6
  }

  @Test("a person enters a segment by a click, and leaves when time is over, each within a second")
  func segments() async throws {
    let streams = try TemporaryFolder.make("proof-profiles-streams") + "/Streams"
    try FileManager.default.copyItem(atPath: "\(SDKPython.root)/Streams", toPath: streams)
    try TextFile.write(Self.segments, to: "\(streams)/segments.yaml")
    let system = try await ProofSystem("profiles", streams: streams)
    #expect(
      try await eventually(withinMs: 20_000, everyMs: 50) {
        try ask(system.url + "/v1/segments")?["complete"] as? Bool == true
      })
    #expect(try ask(system.url + "/v1/profiles/ann", status: 404) != nil)

    let body = """
      {"batch":[{"type":"track","event":"Content Clicked","userId":"ann","messageId":"click-1",\
      "properties":{"campaign_id":"hello","content_id":"post-1","channel":"web","topic":"sport"}}]}
      """
    #expect(try system.post("/v1/batch", body) == 200)
    let clicked = ContinuousClock.now
    let profile = system.url + "/v1/profiles/ann"
    func isIn(_ segment: String) throws -> Bool {
      (try ask(profile)?["segments"] as? [String])?.contains(segment) ?? false
    }
    #expect(try await eventually(withinMs: 1_000) { try isIn("here") && isIn("reader") })
    let found = try #require(try ask(profile))
    #expect(((found["clicks"] as? Double ?? 0) - 1).magnitude < 0.01)
    let topics = (found["preferences"] as? [String: [[String: Any]]])?["topic"]
    #expect(topics?.first?["value"] as? String == "sport")

    // Time is the log's, which goes on with what others do.
    var others = 0
    let hasLeft = try await eventually(withinMs: 4_000, everyMs: 50) {
      others += 1
      let other = #"{"type":"track","event":"Seen","userId":"bob","messageId":"bob-\#(others)"}"#
      #expect(try system.post("/v1/batch", #"{"batch":[\#(other)]}"#) == 200)
      return try !isIn("here")
    }
    #expect(hasLeft)
    #expect(clicked.duration(to: .now) >= .seconds(1))
    #expect(try isIn("reader"))
    let here = try #require(try ask(system.url + "/v1/segments/here"))
    // Bob is.
    #expect(here["persons"] as? Int == 1)
    let changes = try #require(here["changes"] as? [[String: Any]])
    #expect(changes.map { $0["change"] as? String } == ["left", "entered", "entered"])
    // By the log's time.
    let last = try Self.time(found["last_seen"])
    let left = try Self.time(changes[0]["at"]) - last
    let entered = try Self.time(changes[2]["at"]) - last
    #expect((0...1).contains(entered) && (2...3).contains(left), "\(entered) \(left)")
  }
}
