import Events
import Foundation
import Glibc
import HTTPClient
import JetStreamLog
import LocalServers
import NATSClient
import Ports
import PostgresClient
import Testing

/// The commands that prove and repair, on a running system: each as its own process, beside traffic.
@Suite(
  "Verify, trim, rebuild, replay, dead letters and top on a running system", .serialized,
  .endsWhatItStarts)
struct ProofTests {
  @Test("After a trim and a rebuild everything is equal to the log, and a lie is found")
  func proof() async throws {
    let system = try await ProofSystem("proof")
    try await system.send(events: 3000, seed: 1)
    #expect(try await system.run(["verify"]).code == 0)

    // Frames move into the archive; what reads the log does not notice.
    let before = try await system.run(["events", "cat"]).lines
    let trimmed = try await system.run(["streams", "trim", "--before", "0s"])
    #expect(trimmed.code == 0, "\(trimmed.text)")
    #expect(trimmed.text.contains("events-00:"))
    for stream in ["events-00", "events-03", "dead-letters"] {
      let bounds = try system.log.bounds(stream: stream)
      #expect(bounds.first > 1 && bounds.last >= bounds.first, "\(stream)")
    }
    #expect(try await system.run(["events", "cat"]).lines.starts(with: before))
    #expect(try await system.run(["verify"]).code == 0)

    // A version beside the active one, from archive and stream, while events come.
    async let traffic: Void = system.send(events: 2000, seed: 2)
    let rebuilt = try await system.run(["rebuild"])
    try await traffic
    #expect(rebuilt.code == 0, "\(rebuilt.text)")
    #expect(try await system.activeVersion() == 2)
    #expect(try await system.run(["verify"]).code == 0)
    let one = try await system.run(["verify", "--pipeline", "default", "--version", "1"])
    #expect(one.code == 0, "\(one.text)")

    #expect(try await system.run(["rebuild", "--rollback"]).code == 0)
    #expect(try await system.activeVersion() == 1)
    #expect(try await system.run(["rebuild", "--drop", "1"]).code == 1)
    #expect(try await system.run(["rebuild", "--drop", "2"]).code == 0)
    try await system.send(events: 500, seed: 3)
    #expect(try await system.run(["verify"]).code == 0)

    // One number is changed behind the processor's back.
    try await system.execute(
      """
      update p_default_1.metrics_1d set impressions = impressions + 1 where ctid in
        (select ctid from p_default_1.metrics_1d where impressions > 0 limit 1)
      """)
    let lie = try await system.run(["verify", "--pipeline", "default", "--durable-only"])
    #expect(lie.code == 1)
    #expect(lie.text.contains("metrics_1d") && lie.text.contains("first: metrics_1d"))
  }

  @Test("A replay answers what the query API answered then, of every read model")
  func replay() async throws {
    let system = try await ProofSystem("replay")
    try await system.send(events: 1500, seed: 4)
    let old = (ProofSystem.now - 7_200_000_000) / 1000
    #expect(try system.post("/p.gif?k=dev&t=click&cid=old&uid=late&eid=late&ts=\(old)", "") == 200)
    let rest = #""dimensions":["campaign"],"date_range":"24h","order_by":[["campaign","asc"]]}"#
    let queries = [
      #"{"metrics":["impressions","clicks","revenue"],"# + rest,
      #"{"metrics":["sessions","bounces","attributed_clicks","attributed_conversions"],"# + rest,
    ]
    let targets = [
      "/v1/trends?by=campaign&metric=views", "/v1/accounting", "/v1/accounting?pipeline=recent",
    ]
    func ask() throws -> [String] { try queries.map(system.answer) + targets.map(system.get) }
    let then = try await system.settled(ask)
    let until = Timestamp.format(then.until)
    try await system.send(events: 1500, seed: 5)
    for (now, then) in zip(try ask(), then.answers) { #expect(now != then) }

    var options = queries.map { ["--query", $0] } + targets.map { ["--get", $0] }
    options[4] += ["--pipeline", "recent"]
    for (option, then) in zip(options, then.answers) {
      let replayed = try await system.run(["replay", "--until", until] + option)
      #expect(replayed.code == 0, "\(replayed.text)")
      #expect(ProofSystem.results(replayed.text) == then)
    }
    let rows = try await system.run(["replay", "--until", until])
    for table in ["metrics_1d", "outcomes_1d", "trends", "accounting"] {
      #expect(rows.lines.contains { $0.hasPrefix(#"{"table":"\#(table)""#) }, "\(table)")
    }
    let recent = try await system.run(["replay", "--until", until, "--pipeline", "recent"])
    let late = recent.lines.filter { $0.hasPrefix(#"{"table":"late_events""#) }
    #expect(late.contains { $0.contains(#""kind":"click""#) && $0.contains(#""campaign":"old""#) })
    #expect(then.answers[4].contains(#""too_late":\#(late.count),"#))
    let nowhere = try await system.run(["replay", "--until", until, "--get", "/v1/nowhere"])
    #expect(nowhere.code == 1 && nowhere.text.contains("GET /v1/trends"), "\(nowhere.text)")
  }

  @Test("Dead letters are sent again once what refused them is mended, each event once")
  func resend() async throws {
    let system = try await ProofSystem("resend")
    // A way in that is wrong for now: the time is no time.
    let bad =
      #"{"type":"track","event":"Content Viewed","userId":"ann","messageId":"m1","#
      + #""timestamp":"yesterday","properties":{"campaign_id":"spring"}}"#
    #expect(try system.post("/v1/track", bad) == 400)
    #expect(try system.post("/p.gif?k=dev&t=nonsense&cid=spring&uid=ann&eid=e1", "") == 400)
    // The pixel's letter is mended by a collector that is not: refused again, and it stays.
    let dry = try await system.run(["dead-letters", "retry", "--all", "--dry-run"])
    #expect(dry.code == 0 && dry.text.contains("0 would be sent again"), "\(dry.text)")
    #expect(dry.text.contains("refused again: bad_timestamp"))
    let listed = try await system.run(["dead-letters", "list"])
    #expect(listed.code == 0 && listed.text.contains("2 dead letters"), "\(listed.text)")
    let one = try await system.run([
      "dead-letters", "list", "--protocol", "segment", "--since", "1h", "--key", "dev",
      "--output", "json",
    ])
    let line = try #require(one.lines.first { $0.contains("bad_timestamp") }, "\(one.text)")
    #expect(one.lines.filter { $0.hasPrefix("{") }.count == 1)
    let name = try #require(line.split(separator: "\"").dropFirst(3).first.map(String.init))
    let shown = try await system.run(["dead-letters", "show", name])
    #expect(shown.code == 0 && shown.text.contains("yesterday"), "\(shown.text)")
    #expect(shown.text.contains("segment /v1/track"))
    #expect(try await system.run(["dead-letters", "show", "999.0"]).code == 1)
    #expect(
      try await system.run(["dead-letters", "retry", name]).text.contains(
        "1 refused again: bad_timestamp"))
    #expect(try await system.run(["dead-letters", "retry"]).code == 64)

    // A letter whose reason is gone: stored as a collector of before would have.
    try system.store(
      letter: DeadLetter(
        code: "unknown_kind", detail: "a kind of before", place: "segment /v1/track",
        body: Array(bad.replacing(#""timestamp":"yesterday","#, with: "").utf8)))
    let first = try await system.run(["dead-letters", "retry", "--code", "unknown_kind"])
    #expect(first.code == 0 && first.text.contains("1 sent again"), "\(first.text)")
    let again = try await system.run(["dead-letters", "retry", "--code", "unknown_kind"])
    #expect(again.text.contains("0 sent again") && again.text.contains("1 were sent again before"))
    #expect(
      try await eventually(withinMs: 10_000) {
        try system.answer(#"{"metrics":["views"],"date_range":"1h"}"#).contains("[1]")
      })
  }

  @Test("An order that broke its schema counts once the schema is mended and it is sent again")
  func mendedSchema() async throws {
    let streams = try TemporaryFolder.make("proof-mended-streams") + "/Streams"
    try FileManager.default.copyItem(atPath: "\(SDKPython.root)/Streams", toPath: streams)
    let system = try await ProofSystem("mended", streams: streams)
    let order =
      #"{"type":"track","event":"Order Completed","userId":"ann","messageId":"m1","#
      + #""properties":{"order_id":[1],"revenue":9.5,"currency":"EUR","campaign_id":"spring"}}"#
    #expect(try system.post("/v1/track", order) == 400)
    let listed = try await system.run(["dead-letters", "list", "--code", "schema_violation"])
    #expect(listed.text.contains("1 dead letter"), "\(listed.text)")
    let refused = try await system.run(["dead-letters", "retry", "--code", "schema_violation"])
    #expect(refused.text.contains("1 refused again: schema_violation"), "\(refused.text)")

    let schema = streams + "/schemas/order-completed.json"
    let text = try TextFile.read(schema)
    let mended = text.replacing(
      #""order_id": {"type": ["string", "number"], "maxLength": 256}"#, with: #""order_id": {}"#)
    #expect(mended != text)
    try TextFile.write(mended, to: schema)
    for (sent, before) in [(1, 0), (0, 1)] {
      let retried = try await system.run(["dead-letters", "retry", "--code", "schema_violation"])
      #expect(retried.code == 0 && retried.text.contains("\(sent) sent again"), "\(retried.text)")
      if before > 0 { #expect(retried.text.contains("1 were sent again before")) }
    }
    let query =
      #"{"metrics":["conversions","revenue"],"date_range":"1h","filters":[["is","campaign",["spring"]]]}"#
    var answer = ""
    let isCounted = try await eventually(withinMs: 10_000) {
      answer = try system.answer(query)
      return answer.contains("[1,") && answer.contains("9.5")
    }
    #expect(isCounted, "\(answer)")
  }

  @Test(
    "A frame that can be read again after its stream has ended gives its events to the next one")
  func resendSealed() async throws {
    let system = try await ProofSystem("sealed")
    let divided = try await system.run(["streams", "repartition", "--partitions", "2"])
    #expect(divided.code == 0, "\(divided.text)")
    let event = IncomingEvent(
      kind: .view, key: Key128(low: 1, high: 1), person: Key128(low: 2, high: 2),
      eventTime: ProofSystem.now, receivedAt: ProofSystem.now,
      dimensions: DimensionTuple(site: "default", campaign: "spring").encoded, id: "e1",
      name: "Content Viewed", source: "segment/dev", payload: Array("{}".utf8))
    // A heartbeat in a stream that has ended is of no use to anybody.
    let frames = [
      ProofSystem.frame(.heartbeat, []), ProofSystem.frame(.events, [event]), [1, 2, 3],
    ]
    for (number, frame) in frames.enumerated() {
      try system.store(
        letter: DeadLetter(
          code: "poison_frame", detail: "written by a later program",
          place: "events-00 frame \(number + 1)", body: frame))
    }
    let sent = try await system.run(["dead-letters", "retry", "--all"])
    #expect(sent.code == 0 && sent.text.contains("1 sent again"), "\(sent.text)")
    #expect(sent.text.contains("2 refused again: poison_frame"), "\(sent.text)")
    let again = try await system.run(["dead-letters", "retry", "--all"])
    #expect(again.code == 0 && again.text.contains("1 were sent again before"), "\(again.text)")
    #expect(
      try await eventually(withinMs: 20_000) {
        try system.answer(#"{"metrics":["views"],"date_range":"1h"}"#).contains("[1]")
      })
    #expect(try await system.run(["verify"]).code == 0)
  }

  @Test("A frame that cannot be read becomes a dead letter with its place, and stops nothing")
  func poison() async throws {
    let system = try await ProofSystem("poison")
    try system.store(frame: [1, 2, 3, 4, 5, 6, 7, 8, 9], in: "events-01", id: "poison")
    #expect(
      try await eventually(withinMs: 10_000) {
        try await system.run(["events", "cat", "--stream", "dead-letters"]).text.contains(
          "events-01 frame")
      })
    try await system.send(events: 500, seed: 6)
    #expect(try await system.run(["verify"]).code == 0)
    let letters = try await system.run(["events", "cat", "--stream", "dead-letters"]).lines
    #expect(letters.filter { $0.contains("poison_frame") }.count == 1)
    let top = try await system.run(["top", "--once"])
    #expect(top.code == 0 && top.text.contains("default/events-01"), "\(top.text)")
    #expect(top.lines.first?.contains("busy") == true && top.lines.count > 10)
  }

  @Test("A log that went backwards halts its processor, which names the commands that lead out")
  func wentBack() async throws {
    let system = try await ProofSystem("back")
    try await system.send(events: 1000, seed: 7)
    await system.stop()
    // The log is lost and begins anew.
    try system.loseLog()
    try await system.start(isReady: false)
    func readiness() throws -> String { try HTTPClient().get(system.url + "/health/ready").text }
    // Of each pipeline in turn.
    for pipeline in ["default", "recent"] {
      var text = ""
      let hasHalted = try await eventually(withinMs: 15_000) {
        text = try readiness()
        return text.contains("went back in time") && text.contains("--pipeline \(pipeline)")
      }
      try #require(hasHalted, "\(text)")
      let commands = text.matches(of: /`smartcontent ([^`]+)`/).map(\.1)
      #expect(
        commands == ["rebuild --pipeline \(pipeline)", "rebuild --pipeline \(pipeline) --drop 1"])
      for command in commands {
        let done = try await system.run(command.split(separator: " ").map(String.init))
        #expect(done.code == 0, "\(command): \(done.text)")
      }
    }
    #expect(
      try await eventually(withinMs: 15_000) {
        try HTTPClient().get(system.url + "/health/ready").status == 200
      })
    #expect(try await system.activeVersion() == 2)
    try await system.post(count: 300)
    let verified = try await system.run(["verify"])
    #expect(verified.code == 0, "\(verified.text)")
  }
}
