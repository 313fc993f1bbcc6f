import Foundation
import HTTPClient
import LocalServers
import Testing

/// Recommendations on running servers: what is new is in lists within a second of its first event.
@Suite("Recommendations on running servers", .serialized, .endsWhatItStarts)
struct RecommendationProofTests {
  private struct List: Decodable {
    struct Entry: Decodable {
      var content: String
      var topics: [String]
      var reasons: [String]
    }

    struct Meta: Decodable {
      var visits: Int
      var known: Bool
    }

    var results: [Entry]
    var meta: Meta
  }

  private func send(_ events: [String], to system: ProofSystem) throws {
    let answer = try HTTPClient().post(
      system.url + "/v1/e", headers: [HTTPHeader("Content-Type", "application/json")],
      body: Array(#"{"k":"dev","e":[\#(events.joined(separator: ","))]}"#.utf8))
    guard answer.status == 200 else { throw HarnessError("\(answer.status): \(answer.text)") }
  }

  private func click(_ person: Int, _ content: String, _ topic: String) -> String {
    """
    {"t":"click","cid":"spring","cnt":"\(content)","uid":"p\(person)",\
    "eid":"\(person)-\(content)","topics":"\(topic)"}
    """
  }

  /// - Returns: nil while there is no list yet.
  private func list(_ query: String, _ system: ProofSystem) throws -> List? {
    let answer = try HTTPClient().get(system.url + "/v1/recommendations" + query)
    guard answer.status == 200 else {
      guard [404, 503].contains(answer.status) else {
        throw HarnessError("\(answer.status): \(answer.text)")
      }
      return nil
    }
    return try JSONDecoder().decode(List.self, from: Data(answer.body))
  }

  @Test("A new content is in the lists of those who like its topic within a second")
  func newContent() async throws {
    let system = try await ProofSystem("recommendations")
    var events: [String] = []
    for person in 0..<20 {
      for step in 0..<6 {
        let topic = person % 2 == 0 ? "food" : "money"
        events.append(click(person, "\(topic)-\((person * 3 + step * 5) % 30)", topic))
      }
    }
    try send(events, to: system)
    #expect(
      try await eventually(withinMs: 20_000, everyMs: 50) {
        try list("/newcomers", system)?.meta.visits == events.count
      })
    let before = try #require(try list("/persons/p0?limit=10&explore=0", system))
    #expect(before.meta.known)
    #expect(before.results.count == 10)
    #expect(before.results.prefix(3).allSatisfy { $0.topics == ["food"] && !$0.reasons.isEmpty })

    try send([click(2, "food-new", "food")], to: system)
    let sent = ContinuousClock.now
    let isThere = try await eventually(withinMs: 5_000, everyMs: 5) {
      try list("/persons/p0?limit=30&explore=0", system)?.results
        .contains { $0.content == "food-new" } ?? false
    }
    #expect(isThere)
    #expect(ContinuousClock.now - sent < .seconds(1))
    await system.stop()
  }
}
