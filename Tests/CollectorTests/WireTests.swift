@testable import Collector
import Events
import Foundation
import HTTPServer
import Testing

/// Requests of unmodified clients as they came over the wire.
enum Wire {
  /// Beside the project where the captures are kept; elsewhere the tests skip.
  static let folder: String? = {
    let root = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let folder = root.deletingLastPathComponent().appendingPathComponent("shared/wire").path
    return FileManager.default.fileExists(atPath: folder) ? folder : nil
  }()

  static func request(_ name: String) throws -> (head: String, body: [UInt8]) {
    let bytes = [UInt8](
      try Data(contentsOf: URL(fileURLWithPath: try #require(folder) + "/" + name)))
    let split = try #require(
      bytes.indices.first { bytes[$0...].starts(with: [0x0d, 0x0a, 0x0d, 0x0a]) })
    return (text(Array(bytes[..<split])), Array(bytes[(split + 4)...]))
  }
}

@Suite(
  "Captured requests of the Segment Python SDK",
  .enabled(if: Wire.folder != nil, "SKIPPED: the folder shared/wire is not beside the project"))
struct WireTests {
  private func read(_ name: String) throws -> Reading {
    let (head, body) = try Wire.request(name)
    var authorization: String?
    var isCompressed = false
    for line in head.split(separator: "\r\n") {
      let field = line.split(separator: ":", maxSplits: 1).map(String.init)
      if field[0] == "Authorization" { authorization = String(field[1].dropFirst()) }
      if field[0] == "Content-Encoding" { isCompressed = true }
    }
    let plain =
      isCompressed
      ? try body.withUnsafeBytes { try inflate($0, maxBytes: SegmentProtocol.batchBytesMax) } : body
    return try CollectorTests.read("/v1/batch", body: plain, authorization: authorization)
  }

  @Test("A plain batch of every call is accepted whole")
  func plain() throws {
    let reading = try read("segment-plain-00.raw")
    #expect(reading.rejected.isEmpty)
    #expect(
      reading.events.map(\.name)
        == ["Article Viewed", "identify", "page", "screen", "group", "alias", "Link Clicked"])
    #expect(
      reading.events.map(\.kind)
        == [.custom, .identify, .view, .view, .custom, .alias, .custom])
    let first = try #require(reading.events.first)
    #expect(first.id == "fb439f3f-9701-481f-ae5b-caff5d0e3357")
    #expect(first.eventTime == Timestamp.parse("2026-11-01T12:00:00.000Z"))
    #expect(first.sentAt == Timestamp.parse("2026-11-23T01:01:21.405620Z"))
    #expect(first.source == "segment/web")
    #expect(first.person == EventIdentity.personKey(site: "shop", id: "user_1"))
    #expect(
      reading.events.last?.person == EventIdentity.personKey(site: "shop", id: "anon_2"))
    #expect(text(first.payload).hasPrefix(#"{"integrations": {}, "anonymousId": null"#))
  }

  @Test("A compressed batch has the same form")
  func compressed() throws {
    let reading = try read("segment-gzip-00.raw")
    #expect(reading.rejected.isEmpty)
    #expect(reading.events.count == 7)
  }

  @Test("What the SDK sends again has the same identity")
  func again() throws {
    let copies = try (0..<3).map { try read("segment-503-503-200-0\($0).raw") }
    #expect(Set(copies.map { $0.events.map(\.key) }).count == 1)
    #expect(copies[0].events.count == 1)
  }

  @Test("Every captured request of the SDK is accepted")
  func all() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: try #require(Wire.folder))
      .filter { $0.hasPrefix("segment-") && $0.hasSuffix(".raw") }
    #expect(names.count >= 10)
    for name in names {
      let reading = try read(name)
      #expect(!reading.events.isEmpty && reading.rejected.isEmpty, "\(name)")
    }
  }
}
