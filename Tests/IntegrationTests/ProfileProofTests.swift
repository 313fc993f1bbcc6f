import Events
import Foundation
import HTTPClient
import JetStreamLog
import Ports
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
        events: true
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

  private static func system(_ purpose: String) async throws -> ProofSystem {
    let streams = try TemporaryFolder.make("proof-\(purpose)-streams") + "/Streams"
    try FileManager.default.copyItem(atPath: "\(SDKPython.root)/Streams", toPath: streams)
    try TextFile.write(Self.segments, to: "\(streams)/segments.yaml")
    return try await ProofSystem(purpose, streams: streams)
  }

  private func waitUntilRead(_ system: ProofSystem) async throws {
    #expect(
      try await eventually(withinMs: 20_000, everyMs: 50) {
        try ask(system.url + "/v1/segments")?["complete"] as? Bool == true
      })
  }

  @Test("a person enters a segment by a click, and leaves when time is over, each within a second")
  func segments() async throws {
    let system = try await Self.system("profiles")
    try await waitUntilRead(system)
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

  private func click(_ person: String, _ system: ProofSystem) throws {
    let body = """
      {"batch":[{"type":"track","event":"Content Clicked","userId":"\(person)","messageId":"\(person)-1",\
      "properties":{"campaign_id":"hello","content_id":"post-1","channel":"web","topic":"sport"}}]}
      """
    #expect(try system.post("/v1/batch", body) == 200)
  }

  /// The persons of the log's events of segments, with the changes.
  private static func changes(_ system: ProofSystem) throws -> [String] {
    var changes: [String] = []
    let log = try system.log
    for stream in 0..<4 {
      let bounds = try log.bounds(stream: "events-0\(stream)")
      guard bounds.first > 0, bounds.last >= bounds.first else { continue }
      for sequence in bounds.first...bounds.last {
        let frame = try log.frame(stream: "events-0\(stream)", sequence: sequence)
        try withExtendedLifetime(frame) {
          let view = try FrameView(frame.bytes)
          guard view.header.kind == .events else { return }
          for index in 0..<view.count where view.kind(index) == EventKind.segment.rawValue {
            changes.append("\(view.person(index)) \(view.name(index))")
          }
        }
      }
    }
    return changes
  }

  private static func entered(_ person: String) -> String {
    "\(EventIdentity.personKey(site: "default", id: person)) Segment Entered"
  }

  @Test("who enters a segment is an event of the log within a second, once, whoever is killed")
  func events() async throws {
    let system = try await Self.system("segment-events")
    try await waitUntilRead(system)
    func shown() throws -> [[String: Any]] {
      let events = try ask(system.url + "/v1/debug/events")?["events"] as? [[String: Any]] ?? []
      return events.compactMap { $0["event"] as? [String: Any] }
        .filter { $0["kind"] as? String == "segment" }
    }
    #expect(try shown().isEmpty)
    try click("ann", system)
    #expect(try await eventually(withinMs: 1_000, everyMs: 10) { try !shown().isEmpty })
    let event = try #require(try shown().first)
    #expect(event["name"] as? String == "Segment Entered")
    #expect((event["payload"] as? [String: Any])?["segment"] as? String == "reader")

    // One whose event may be on its way.
    try click("bob", system)
    await system.kill()
    try await system.start(isReady: true)
    try await waitUntilRead(system)
    try click("cleo", system)
    #expect(
      try await eventually(withinMs: 10_000) {
        let changes = try Self.changes(system)
        return ["ann", "bob", "cleo"].allSatisfy { changes.contains(Self.entered($0)) }
      })
    #expect(
      try Self.changes(system).sorted() == ["ann", "bob", "cleo"].map { Self.entered($0) }.sorted())
    let scan =
      #"{"metrics":["events"],"dimensions":["event","segment"],"date_range":"24h"}"#
    let counted = try system.answer(scan)
    #expect(
      counted.contains(#"{"dimensions":["Segment Entered","reader"],"metrics":[3]}"#), "\(counted)")
    await system.stop()
  }

  @Test("who is erased is forgotten at once, and stays so when the log is read anew")
  func erased() async throws {
    let system = try await Self.system("erased")
    try await waitUntilRead(system)
    for person in ["ann", "bob"] { try click(person, system) }
    func isKnown(_ person: String) throws -> Bool {
      try ask(system.url + "/v1/profiles/\(person)") != nil
    }
    func isRecommended(_ person: String) throws -> Bool? {
      let answer = try ask(system.url + "/v1/recommendations/persons/\(person)?site_id=default")
      return (answer?["meta"] as? [String: Any])?["known"] as? Bool
    }
    #expect(
      try await eventually(withinMs: 5_000) {
        try isKnown("ann") && isKnown("bob") && isRecommended("ann") == true
      })
    let erased = try await system.run(["person", "erase", "--site", "default", "--person", "ann"])
    #expect(erased.code == 0 && erased.text.contains("is forgotten"), "\(erased.text)")
    #expect(
      try await eventually(withinMs: 1_000, everyMs: 10) {
        try !isKnown("ann") && isRecommended("ann") == false
      })
    #expect(try isKnown("bob") && isRecommended("bob") == true)
    #expect(try ask(system.url + "/v1/segments/reader")?["persons"] as? Int == 1)

    await system.kill()
    try await system.start(isReady: true)
    try await waitUntilRead(system)
    #expect(try !isKnown("ann") && isRecommended("ann") == false && isKnown("bob"))
    #expect(try ask(system.url + "/v1/segments/reader")?["persons"] as? Int == 1)
    await system.stop()
  }
}
