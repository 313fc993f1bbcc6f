@testable import Collector
import Events
import Foundation
import HTTPServer
import Testing

@Suite(
  "Captured requests of the PostHog Python SDK",
  .enabled(if: Wire.folder != nil, "SKIPPED: the folder shared/wire is not beside the project"))
struct PostHogWireTests {
  private func read(_ name: String) throws -> Reading {
    let (head, body) = try Wire.request(name)
    let plain =
      head.contains("Content-Encoding: gzip")
      ? try body.withUnsafeBytes { try inflate($0, maxBytes: PostHogBody.bytesMax) } : body
    let address = try #require(head.split(separator: " HTTP/").first)
    return try CollectorTests.read(String(address), body: plain)
  }

  @Test("A plain batch of every call is accepted whole")
  func plain() throws {
    let reading = try read("posthog-v0-default-00.raw")
    #expect(reading.rejected.isEmpty)
    #expect(
      reading.events.map(\.name)
        == ["article_viewed", "$set", "$groupidentify", "$create_alias", "$pageview"])
    #expect(reading.events.map(\.kind) == [.custom, .custom, .custom, .alias, .view])
    let first = try #require(reading.events.first)
    #expect(first.id == "0e31815a-c6e1-48c4-8bfb-79036efbe85f")
    #expect(first.eventTime == Timestamp.parse("2026-11-01T12:00:00.000Z"))
    #expect(first.sentAt == Timestamp.parse("2026-11-23T01:03:16.243202Z"))
    #expect(first.source == "posthog/hog")
    #expect(first.person == EventIdentity.personKey(site: "shop", id: "user_1"))
    #expect(text(first.payload).hasPrefix(#"{"properties": {"contentId": "c-42", "#))
    // alias(previous_id="anon_1", distinct_id="user_1")
    let alias = reading.events[3]
    #expect(alias.person == EventIdentity.personKey(site: "shop", id: "anon_1"))
    #expect(alias.user == EventIdentity.personKey(site: "shop", id: "user_1"))
  }

  @Test("A compressed batch has the same form")
  func compressed() throws {
    let reading = try read("posthog-v0-gzip-00.raw")
    #expect(reading.rejected.isEmpty)
    #expect(reading.events.count == 5)
  }

  @Test("What the SDK sends again has the same identity")
  func again() throws {
    let copies = try (0..<3).map { try read("posthog-v0-503-503-200-0\($0).raw") }
    #expect(Set(copies.map { $0.events.map(\.key) }).count == 1)
    #expect(copies[0].events.count == 1)
  }

  @Test("Every captured request of the SDK is accepted")
  func all() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: try #require(Wire.folder))
      .filter { $0.hasPrefix("posthog-v0-") && $0.hasSuffix(".raw") }
    #expect(names.count >= 10)
    for name in names {
      let reading = try read(name)
      #expect(!reading.events.isEmpty && reading.rejected.isEmpty, "\(name)")
    }
  }
}
