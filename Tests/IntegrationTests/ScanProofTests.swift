import Foundation
import HTTPClient
import Testing

/// Scans of the log on a running system, beside its read models.
@Suite("Questions that are answered from the log itself", .serialized, .endsWhatItStarts)
struct ScanProofTests {
  @Test("A scan counts what the read models have, before and after a trim, and more than they have")
  func scans() async throws {
    let system = try await ProofSystem("scans")
    try await system.send(events: 2500, seed: 11)
    let declared =
      #"{"metrics":["impressions","views","clicks","engagements","conversions","revenue"],"#
      + #""dimensions":["campaign","variant","channel"],"date_range":"24h"}"#
    let scanned = declared.replacing("{\"metrics\"", with: "{\"scan\":true,\"metrics\"")
    func isEqual() async throws -> Bool {
      try await eventually(withinMs: 30_000) {
        let rows = try system.answer(declared)
        return try rows.count > 200 && rows == system.answer(scanned)
      }
    }
    #expect(try await isEqual())

    // All but the last frames are in the archive from here on.
    let trimmed = try await system.run(["streams", "trim", "--before", "0s"])
    #expect(trimmed.code == 0, "\(trimmed.text)")
    let until = ProofSystem.now
    let before = try system.answer(scanned)
    try await system.send(events: 800, seed: 12)
    #expect(try await isEqual())
    #expect(try system.answer(scanned) != before)
    let known = scanned.replacing(
      "{\"scan\":true", with: "{\"as_known_at\":\"\(Self.text(until))\"")
    let after = try system.answer(known)
    #expect(after == before, "\(after.suffix(300)) \(before.suffix(300))")

    // What only the log has: the sum over devices is the whole.
    func clicks(_ query: String) throws -> Int {
      let json =
        try JSONSerialization.jsonObject(
          with: Data((try system.answer(query) + "}").utf8)) as? [String: Any]
      let rows = json?["results"] as? [[String: Any]] ?? []
      return rows.compactMap { ($0["metrics"] as? [Any])?.first as? Int }.reduce(0, +)
    }
    let all = try clicks(#"{"metrics":["clicks"],"date_range":"24h"}"#)
    let devices =
      #"{"metrics":["clicks","uniques"],"dimensions":["device","source"],"date_range":"24h"}"#
    #expect(try all > 0 && clicks(devices) == all)
  }

  @Test("A scan has an address, can be asked for there, and is counted in the metrics")
  func address() async throws {
    let system = try await ProofSystem("scan-address")
    try await system.send(events: 500, seed: 13)
    let client = try HTTPClient()
    let query = #"{"metrics":["uniques"],"date_range":"24h"}"#
    let first = try client.post(
      system.url + "/v1/query?wait=0", headers: [HTTPHeader("Content-Type", "application/json")],
      body: Array(query.utf8))
    // It may be done by then.
    #expect(first.status == 202 || first.status == 200, "\(first.text)")
    if first.status == 202 {
      let path = try #require(first.header("Location"))
      let answer = try client.get(system.url + path + "?wait=20")
      #expect(answer.status == 200 && answer.text.contains(#""scanned":true"#), "\(answer.text)")
    }
    #expect(try client.get(system.url + "/v1/scans/nothing").status == 404)
    let metrics = try client.get(system.url + "/metrics").text
    #expect(metrics.contains(#"smartcontent_scans_total{outcome="done"} "#))
    #expect(metrics.contains("smartcontent_scan_events_total "))
  }

  private static func text(_ micros: Int64) -> String {
    let formatter = ISO8601DateFormatter()
    formatter.formatOptions.insert(.withFractionalSeconds)
    return formatter.string(from: Date(timeIntervalSince1970: Double(micros) / 1_000_000))
  }
}
