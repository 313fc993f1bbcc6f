import Dataflow
import Definitions
import Events
import LocalServers
import PostgresClient
import Views

/// The judgement at the end: the log has every acknowledged event, and every read model is what the
/// log says.
struct Verification {
  /// What was looked at, and what was found wrong; none: all is right.
  private(set) var facts: [String] = []
  private(set) var failures: [String] = []
  private let testbed: Testbed

  private static let settleSeconds: Int64 = 60
  private static let shownMax = 5

  init(_ testbed: Testbed) { self.testbed = testbed }

  mutating func run(_ ledger: Ledger) throws {
    let endpoints = testbed.servers.endpoints
    var check = LedgerCheck()
    var recounts = testbed.definitions.pipelines.map { Recount(spec: $0) }
    let frames = try LogScan(nats: endpoints.natsURLWithToken, definitions: testbed.definitions)
      .run { frame in
        check.add(frame)
        for index in recounts.indices { recounts[index].add(frame) }
      }
    facts.append("\(frames) frames with \(check.eventCount) events are in the log")
    let missing = check.missing(ledger)
    if missing.count == 0 {
      facts.append("all \(ledger.eventCount) acknowledged events are in the log")
    } else {
      failures.append(
        "\(missing.count) acknowledged events are not in the log: "
          + missing.first.joined(separator: ", "))
    }
    for surprise in ledger.surprises { failures.append(surprise) }

    let connection = try PostgresConnection(PostgresSettings(connection: endpoints.postgresURL))
    for (pipeline, recount) in zip(testbed.definitions.pipelines, recounts) {
      try compare(pipeline, recount, connection)
      try askTotals(pipeline, recount)
    }
    try runVerify()
  }

  // MARK: Rows

  private mutating func compare(
    _ pipeline: PipelineSpec, _ recount: Recount, _ connection: PostgresConnection
  ) throws {
    let name = "pipeline \(pipeline.name)"
    let deadline = Clock.steady() + Self.settleSeconds * 1_000_000
    var stored = try StoredViews(connection, pipeline)
    while !Self.isSettled(stored, recount) {
      guard Clock.steady() < deadline else {
        failures.append(
          "\(name) has not committed the whole log \(Self.settleSeconds) s after the last event: "
            + Self.lag(stored, recount))
        return
      }
      Clock.pause(ms: 200)
      stored = try StoredViews(connection, pipeline)
    }
    var differences: [String] = []
    for (key, value) in stored.rows where recount.rows[key] != value {
      differences.append(
        "row \(key) is \(value), recounted \(String(describing: recount.rows[key]))")
    }
    var expected = 0
    for (key, value) in recount.rows where Self.mustBeStored(key, stored) {
      expected += 1
      if stored.rows[key] == nil { differences.append("row \(key) is missing, recounted \(value)") }
    }
    for (stream, counted) in recount.streams {
      let kept = stored.streams[stream]
      if kept?.accounting != counted.accounting {
        differences.append(
          "accounting of \(stream) is \(String(describing: kept?.accounting)), recounted "
            + "\(counted.accounting)")
      }
      if kept?.lateCount != counted.lateCount {
        differences.append(
          "\(stream) has \(kept?.lateCount ?? 0) late events, recounted \(counted.lateCount)")
      }
      if !counted.accounting.isConserved {
        differences.append("\(stream): events are not conserved")
      }
    }
    guard differences.isEmpty else {
      failures.append(
        "\(name): \(differences.count) differences of \(stored.rows.count) stored and "
          + "\(expected) expected rows:\n    "
          + differences.sorted().prefix(Self.shownMax).joined(separator: "\n    "))
      return
    }
    let total = recount.streams.values.reduce(into: Accounting()) { $0 += $1.accounting }
    facts.append(
      "\(name): \(stored.rows.count) rows equal their recount with revisions; received "
        + "\(total.received) = on time \(total.onTime) + late \(total.late) + too late "
        + "\(total.tooLate) + duplicate \(total.duplicate) + rejected \(total.rejected)")
  }

  private static func isSettled(_ stored: StoredViews, _ recount: Recount) -> Bool {
    recount.streams.allSatisfy { name, stream in
      guard stream.lastSequence > 0 else { return true }
      guard let kept = stored.streams[name] else { return false }
      // Dead letters have no windows.
      return kept.sequence >= stream.lastSequence
        && (stream.accounting.rejected > 0 || kept.coarseSequence >= stream.lastSequence)
    }
  }

  private static func lag(_ stored: StoredViews, _ recount: Recount) -> String {
    recount.streams.keys.sorted().map { name in
      let kept = stored.streams[name]
      return "\(name) \(kept?.sequence ?? 0)/\(kept?.coarseSequence ?? 0) of "
        + "\(recount.streams[name]?.lastSequence ?? 0)"
    }.joined(separator: ", ")
  }

  /// Final rows within their retention, and those of hours and days.
  private static func mustBeStored(_ key: Recount.Key, _ stored: StoredViews) -> Bool {
    let end = key.start + key.level.length
    guard !key.level.isCoarse else { return true }
    let suffix = (key.partition < 10 ? "-0" : "-") + "\(key.partition)"
    guard let stream = stored.streams.first(where: { $0.key.hasSuffix(suffix) })?.value else {
      return true
    }
    if let retention = key.level.retention, end + retention <= stream.logTime { return false }
    return end <= stream.watermark
  }

  // MARK: Answers

  /// The query API's sums over all time, from both stores, against the recount.
  private mutating func askTotals(_ pipeline: PipelineSpec, _ recount: Recount) throws {
    var expected = 0
    for (key, value) in recount.rows where key.level == .day {
      expected += Int(value.counts.impressions)
    }
    var counted = 0
    for site in Wire.sites {
      let query =
        "{\"metrics\":[\"impressions\"],\"site_id\":\"\(site)\",\"pipeline\":\"\(pipeline.name)\","
        + "\"date_range\":\"all\"}"
      counted += try Self.ask(testbed, query)
    }
    if counted == expected {
      facts.append(
        "pipeline \(pipeline.name): queries answer the \(expected) impressions recounted")
    } else {
      failures.append(
        "pipeline \(pipeline.name): queries answer \(counted) impressions, recounted \(expected)")
    }
  }

  private static func ask(_ testbed: Testbed, _ query: String) throws -> Int {
    let answer = try Probe.post(testbed.nodes("serve")[0].url + "/v1/query", query)
    guard let count = Probe.firstMetric(answer) else {
      throw ChaosError("serve's answer has no number: \(answer.prefix(300))")
    }
    return count
  }

  // MARK: The product's own verification

  private mutating func runVerify() throws {
    let help = try testbed.run(["--help"], name: "help", timeoutMs: 20_000)
    guard help.output.contains("\n  verify ") else {
      facts.append("`smartcontent verify` is not in this build")
      return
    }
    let result = try testbed.run(["verify"], name: "verify")
    if result.status == 0 {
      facts.append("`smartcontent verify` found every read model equal")
    } else {
      failures.append("`smartcontent verify` ended with \(result.status):\n\(result.output)")
    }
  }
}

extension Accounting {
  fileprivate static func += (sum: inout Accounting, part: Accounting) {
    sum.received += part.received
    sum.onTime += part.onTime
    sum.late += part.late
    sum.tooLate += part.tooLate
    sum.duplicate += part.duplicate
    sum.rejected += part.rejected
    sum.clampedFuture += part.clampedFuture
  }
}
