import Collector
import Events
import Foundation
import Testing

@Suite(
  "Captured requests of the Snowplow Python tracker",
  .enabled(if: Wire.folder != nil, "SKIPPED: the folder shared/wire is not beside the project"))
struct SnowplowWireTests {
  private func read(_ name: String) throws -> Reading {
    let (head, body) = try Wire.request(name)
    let words = try #require(head.split(separator: "\r\n").first).split(separator: " ")
    let target = words[1].split(separator: "?", maxSplits: 1).map(String.init)
    return try CollectorTests.read(
      "\(words[0]) \(target[0])", query: target.count > 1 ? target[1] : "", body: body)
  }

  @Test(
    "Every sort of event is read alike, with base 64, without, and by get",
    arguments: [
      ["snowplow-post-b64-00.raw"], ["snowplow-post-plain-00.raw"],
      (0..<4).map { "snowplow-get-b64-0\($0).raw" },
    ])
  func everySort(_ names: [String]) throws {
    let readings = try names.map { try read($0) }
    let events = readings.flatMap(\.events)
    #expect(readings.flatMap(\.rejected).isEmpty)
    #expect(events.map(\.name) == ["page_view", "click", "purchase", "page_ping"])
    #expect(events.map(\.kind) == [.view, .click, .custom, .engagement])
    let dimensions = try events.map { try CollectorTests.dimensions($0) }
    #expect(dimensions.map(\.content) == ["c-42", "c-42", "c-42", ""])
    #expect(Set(dimensions.map(\.site)) == ["shop"])
    for event in events {
      #expect(event.person == EventIdentity.personKey(site: "shop", id: "d-uid-1"))
      #expect(event.user == EventIdentity.personKey(site: "shop", id: "user_1"))
      #expect(event.source == "snowplow/app")
      #expect(event.id.utf8.count == 36)
      #expect(event.sentAt >= 1_795_395_808_000_000)
    }
    #expect(events[0].eventTime == 1_790_000_000_000_000, "the true time")
    #expect(events[1].eventTime / 1_000_000 >= 1_795_395_808)
    #expect(events[2].revenueMicros == 0, "no mapping says that a purchase is a conversion")
    #expect(
      text(events[2].payload).contains(
        #"{"schema": "iglu:com.acme/purchase/jsonschema/1-0-0", "data": {"value": 9.99, "#
          + #""currency": "EUR"}}"#))
    #expect(text(events[0].payload).contains(#""contexts":{"schema": "iglu:"#))
    #expect(!text(events[0].payload).contains(#""cx""#))
  }

  @Test(
    "What the tracker sends again has the same identity and the same payload",
    arguments: ["snowplow-post-503-503-200", "snowplow-post-429-ra2"])
  func again(_ name: String) throws {
    let count = name.hasSuffix("200") ? 3 : 2
    let copies = try (0..<count).map { try #require(try read("\(name)-0\($0).raw").events.first) }
    #expect(Set(copies.map(\.key)).count == 1)
    #expect(Set(copies.map(\.person)).count == 1)
    #expect(Set(copies.map(\.payload)).count == 1)
    #expect(Set(copies.map(\.sentAt)).count > 1)
  }

  @Test("Every captured request of the tracker is accepted")
  func all() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: try #require(Wire.folder))
      .filter { $0.hasPrefix("snowplow-") && $0.hasSuffix(".raw") }
    #expect(names.count >= 13)
    for name in names {
      let reading = try read(name)
      #expect(!reading.events.isEmpty && reading.rejected.isEmpty, "\(name)")
    }
  }
}
