import Foundation
import HTTPClient
import Testing

/// Questions about persons on a running system, beside its read models.
@Suite("Persons, from the log itself", .serialized, .endsWhatItStarts)
struct PersonScanProofTests {
  @Test(
    "Conversions are credited as the pipeline attributes them, and a query answers CSV and compares"
  )
  func persons() async throws {
    let system = try await ProofSystem("person-scans")
    try await system.send(events: 2500, seed: 31)
    let client = try HTTPClient()
    func ask(_ path: String, _ query: String, accept: String = "application/json") throws -> String
    {
      let answer = try client.post(
        system.url + path,
        headers: [HTTPHeader("Content-Type", "application/json"), HTTPHeader("Accept", accept)],
        body: Array(query.utf8))
      #expect(answer.status == 200, "\(answer.text)")
      return answer.text
    }
    func object(_ text: String) throws -> [String: Any] {
      try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }
    func isEqual() async throws -> Bool {
      try await eventually(withinMs: 30_000) {
        let counted = try object(
          ask(
            "/v1/query",
            #"{"metrics":["attributed_conversions"],"dimensions":["content"],"date_range":"24h","#
              + #""order_by":[["content","asc"]],"traffic":"all"}"#))
        let rows = (counted["results"] as? [[String: Any]] ?? []).compactMap { row in
          ((row["metrics"] as? [Int])?.first).map {
            ((row["dimensions"] as? [String])?.first ?? "", $0)
          }
        }.filter { $0.1 > 0 }
        let scanned = try object(
          ask("/v1/attribution?wait=20", #"{"date_range":"24h","traffic":"all","limit":10000}"#))
        let credits = (scanned["results"] as? [[String: Any]] ?? []).compactMap { row in
          (row["conversions"] as? Int).map { ((row["dimensions"] as? [String])?.first ?? "", $0) }
        }
        return !rows.isEmpty
          && Dictionary(uniqueKeysWithValues: rows) == Dictionary(uniqueKeysWithValues: credits)
      }
    }
    #expect(try await isEqual())

    let funnel = try ask(
      "/v1/funnels?wait=20",
      #"{"date_range":"24h","within":"1h","steps":[{"kind":"impression"},{"kind":"click"}]}"#)
    let result = try #require((try object(funnel)["results"] as? [[String: Any]])?.first)
    let persons = (result["steps"] as? [[String: Any]] ?? []).compactMap { $0["persons"] as? Int }
    #expect(persons.count == 2 && persons[0] >= persons[1] && persons[1] > 0, "\(funnel)")
    let retention = try ask(
      "/v1/retention?wait=20",
      #"{"date_range":"day","begin":{"kind":"impression"},"return":{"kind":"click"},"period":"day"}"#
    )
    #expect(retention.contains(#"{"results":[{"cohort":""#), "\(retention)")

    let csv = try ask(
      "/v1/query",
      #"{"metrics":["clicks","ctr"],"dimensions":["campaign"],"date_range":"24h","compare":"previous"}"#,
      accept: "text/csv")
    let lines = csv.split(separator: "\r\n")
    #expect(
      lines.first
        == "campaign,clicks,ctr,ctr_low,ctr_high,clicks_before,clicks_change,ctr_before,ctr_before_low,ctr_before_high,ctr_change,ctr_difference_low,ctr_difference_high"
    )
    #expect(lines.count > 1)
    #expect(
      try ask("/v1/query", #"{"metrics":["ctr"],"date_range":"1h"}"#).contains(#""revision":"#))
  }
}
