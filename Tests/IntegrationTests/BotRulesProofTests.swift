import Foundation
import HTTPClient
import Testing

/// Other rules on bots, over a log that collectors judged by the rules of before.
@Suite("Rules on bots on a running system", .serialized, .endsWhatItStarts)
struct BotRulesProofTests {
  @Test(
    "Bots are apart from people, and new rules correct every number, by a rebuild that verifies")
  func corrected() async throws {
    let streams = try TemporaryFolder.make("proof-bots-streams") + "/Streams"
    try FileManager.default.copyItem(atPath: "\(SDKPython.root)/Streams", toPath: streams)
    let system = try await ProofSystem("bots", streams: streams)
    try await system.send(events: 1000, seed: 8)
    let client = try HTTPClient()
    var sent = 0
    func click(_ campaign: String, _ agent: String, count: Int) throws {
      for _ in 0..<count {
        sent += 1
        let answer = try client.get(
          system.url + "/p.gif?k=dev&t=click&cid=\(campaign)&uid=b\(sent)&eid=b\(sent)",
          headers: [HTTPHeader("User-Agent", agent)])
        #expect(answer.status == 200)
      }
    }
    try click(
      "bots", "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", count: 3)
    try click("bots", "Mozilla/5.0 (compatible; Googlebot/2.1)", count: 5)
    // Nobody knows it yet.
    try click("bots", "Mozilla/5.0 (compatible; Newcomer/1.0)", count: 7)

    func clicks(_ more: String = "") throws -> String {
      try system.answer(
        #"{"metrics":["clicks"],"date_range":"1h","filters":[["is","campaign",["bots"]]]\#(more)}"#)
    }
    func counted(_ people: Int, _ bots: Int) async throws -> Bool {
      var answers: [String] = []
      let isSo = try await eventually(withinMs: 15_000) {
        answers = [
          try clicks(), try clicks(#","traffic":"bots""#), try clicks(#","traffic":"all""#),
        ]
        return answers[0].contains("[\(people)]") && answers[1].contains("[\(bots)]")
          && answers[2].contains("[15]")
      }
      if !isSo { Issue.record("\(answers)") }
      return isSo
    }
    #expect(try await counted(10, 5))
    #expect(
      try clicks(#","dimensions":["traffic"],"order_by":[["clicks","desc"]]"#).contains("bot"))
    #expect(try await system.run(["verify"]).code == 0)
    let metrics = try client.get(system.url + "/metrics").text
    // The demo has crawlers of its own.
    #expect(metrics.contains(#"smartcontent_ingest_verdicts_total{verdict="crawler"}"#))
    #expect(!metrics.contains(#"smartcontent_ingest_verdicts_total{verdict="crawler"} 0"#))

    // The newcomer becomes known, and the other one is taken for people.
    func replace(_ text: String, _ other: String, in file: String) throws {
      let path = "\(streams)/\(file)"
      let before = try TextFile.read(path)
      #expect(before.contains(text), "\(file)")
      try TextFile.write(before.replacing(text, with: other, maxReplacements: 1), to: path)
    }
    try replace("version: 2", "version: 3", in: "bots.yaml")
    try replace("crawler: [googlebot,", "crawler: [newcomer, \"-googlebot\",", in: "bots.yaml")
    try replace("    version: 1\n", "    version: 2\n    bots: 3\n", in: "pipelines.yaml")
    let rebuilt = try await system.run(["rebuild"])
    #expect(rebuilt.code == 0, "\(rebuilt.text)")
    #expect(try await system.activeVersion() == 2)
    #expect(try await counted(8, 7))
    let verified = try await system.run(["verify"])
    #expect(verified.code == 0, "\(verified.text)")

    // Collectors that have not heard of them go on as before; what they store is judged by the new rules.
    try click("bots2", "Mozilla/5.0 (compatible; Newcomer/1.0)", count: 4)
    let bots =
      #"{"metrics":["clicks"],"date_range":"1h","filters":[["is","campaign",["bots2"]]],"traffic":"bots"}"#
    #expect(
      try await eventually(withinMs: 15_000) { try system.answer(bots).contains("[4]") })
    #expect(try await system.run(["verify"]).code == 0)
    #expect(try await system.run(["rebuild", "--rollback"]).code == 0)
    #expect(try await counted(10, 5))
  }
}
