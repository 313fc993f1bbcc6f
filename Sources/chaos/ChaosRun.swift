import Dataflow
import Definitions
import Foundation
import LocalServers
import Logging
import PostgresClient

/// One run: start everything, fault after fault under traffic, judgement, report.
struct ChaosRun {
  struct Settings {
    var seed: UInt64
    var faults: Int
    var minutes: Double?
    var eventsPerSecond: Double
    /// Contents that the load before the faults spreads over: keys in state.
    var keys: Int
    var only: Set<Fault.Kind>
    var freezeSecondsMax: Double
    var togetherShare: Double
    var testbed: Testbed.Settings
    var command: String
  }

  let settings: Settings

  func run() throws -> Report {
    let begunAt = Clock.wall()
    let begun = Clock.steady()
    var logger = Logger(label: "chaos") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = .critical
    say("seed \(settings.seed); servers and processes start in \(settings.testbed.folder)")
    let testbed = try Testbed.start(settings.testbed, logger: logger)
    var records: [Record] = []
    var failures: [String] = []
    var verification = Verification(testbed)
    let ledger = Ledger()
    let traffic = Traffic(
      Traffic.Settings(
        seed: settings.seed, eventsPerSecond: settings.eventsPerSecond, contents: 200),
      collectors: testbed.nodes("collect").map(\.url), ledger: ledger)
    defer { testbed.stop() }
    Interruption.watch()
    var probe = try Probe(testbed, ledger)
    let start = probe.measure()
    guard start.recovered != nil else { throw ChaosError("never ready: \(start.detail)") }
    if settings.keys > 0 {
      say("load of \(settings.keys) keys")
      traffic.load(contents: settings.keys)
      guard probe.measure().recovered != nil else { throw ChaosError("the load is not taken in") }
      try Self.waitForTuples(testbed)
    }
    traffic.start()
    let injector = Injector(testbed: testbed, traffic: traffic)
    say("ready after \(Fault.tenths(Double(Clock.steady() - begun) / 1e6)) s; faults begin")
    do {
      try makeFaults(injector, &probe, begun: begun, &records, &failures)
    } catch {
      failures.append("the run ended early: \(error)")
    }
    injector.liftAll()
    traffic.stop()
    let end = probe.measure()
    if end.recovered == nil { failures.append("not well at the end: \(end.detail)") }
    say("faults are over; verification")
    do {
      try verification.run(ledger)
    } catch {
      failures.append("verification could not be carried out: \(error)")
    }
    failures += verification.failures
    failures += testbed.nodes.flatMap(\.crashes).map { "a process ended by itself: \($0)" }
    failures += Self.halts(testbed.nodes)
    return Report(
      seed: settings.seed, command: settings.command, versions: Self.versions(settings),
      begunAt: begunAt, seconds: Double(Clock.steady() - begun) / 1e6,
      load: Self.load(settings, ledger, testbed), records: records, facts: verification.facts,
      failures: failures, notes: notes(testbed))
  }

  /// Waits until the load's keys are in Postgres: what is written of them for the first time takes longer than a
  /// recovery, with faults or without. Windows of ten seconds close meanwhile.
  private static func waitForTuples(_ testbed: Testbed) throws {
    var count: Int64 = -1
    var since = Clock.steady()
    while !Interruption.isAsked {
      let now = try testbed.tupleCount()
      if now != count { (count, since) = (now, Clock.steady()) }
      if Clock.steady() - since > 15_000_000 { return }
      Clock.pause(ms: 500)
    }
  }

  // MARK: Faults

  private func makeFaults(
    _ injector: Injector, _ probe: inout Probe, begun: Int64, _ records: inout [Record],
    _ failures: inout [String]
  ) throws {
    let testbed = injector.testbed
    var shape = FaultPlan.Shape(
      collectors: settings.testbed.collectors, processors: settings.testbed.processors,
      nodes: testbed.nodes.map(\.name),
      hasSmallDisks: testbed.hasSmallDisks)
    shape.only = settings.only
    shape.freezeSecondsMax = settings.freezeSecondsMax
    shape.togetherShare = settings.togetherShare
    var plan = FaultPlan(seed: settings.seed, shape: shape)
    let deadline = settings.minutes.map { begun + Int64($0 * 60_000_000) } ?? .max
    while records.count < settings.faults, Clock.steady() < deadline, !Interruption.isAsked {
      Clock.pause(ms: plan.gapMs())
      let faults = plan.next()
      Self.waitForStreams(of: faults, testbed)
      let isAlone = faults.count == 1 && !testbed.nodes.contains(where: \.isFrozen)
      let times = try faults.map { try injector.inject($0) }
      let outcome = probe.measure()
      // Of several at once the last one's end counts.
      let lifted = times.map(\.lifted).max() ?? 0
      func since(_ time: Int64?) -> Double? { time.map { Double($0 - lifted) / 1e6 } }
      for (fault, times) in zip(faults, times) {
        let record = Record(
          fault: fault, at: Double(times.began - begun) / 1e6,
          lasted: Double(max(0, times.lifted - times.began)) / 1e6,
          queryable: since(outcome.queryable), recovered: since(outcome.recovered),
          note: [times.note, outcome.detail].filter { !$0.isEmpty }.joined(separator: "; "),
          isAlone: isAlone)
        records.append(record)
        say(
          "\(fault.number) at \(Fault.tenths(record.at)) s: \(fault): "
            + (record.recovered.map { "well after \(Fault.tenths($0)) s" } ?? "NOT WELL")
            + (record.note.isEmpty ? "" : " (\(record.note))"))
        if record.recovered.map({ $0 > record.goal }) ?? true {
          for wait in outcome.waits where wait.seconds > 0.2 {
            say("    \(Fault.tenths(wait.seconds)) s: \(wait.what.isEmpty ? "well" : wait.what)")
          }
        }
      }
      for node in testbed.nodes { node.measureMemory() }
      try checkConservation(testbed, &failures)
      if outcome.recovered == nil {
        failures.append(
          "after \(faults.map(\.description).joined(separator: ", ")): not well again: "
            + outcome.detail)
        if failures.count > 5 { throw ChaosError("too many failures") }
      }
    }
  }

  /// A processor that has just been started owns nothing yet: killing it would show nothing.
  private static func waitForStreams(of faults: [Fault], _ testbed: Testbed) {
    for fault in faults where fault.kind == .killProcess {
      let node = testbed.nodes("process")[fault.index]
      while node.upSeconds < secondsToStreams, !Interruption.isAsked { Clock.pause(ms: 20) }
    }
  }

  /// Streams move to a new process after three seconds, and need some to move.
  private static let secondsToStreams = 5.0

  private func checkConservation(_ testbed: Testbed, _ failures: inout [String]) throws {
    var settings = PostgresSettings(connection: testbed.servers.endpoints.postgresURL)
    // After a fault the server may still be busy with its recovery.
    settings.connectTimeoutMs = 20_000
    let connection = try PostgresConnection(settings)
    for pipeline in testbed.definitions.pipelines {
      for stream in try StoredViews.unconserved(connection, pipeline) {
        failures.append("events of \(pipeline.name)/\(stream) are not conserved")
      }
    }
  }

  // MARK: Report

  /// Partitions that stopped for good say so in the logs.
  private static func halts(_ nodes: [Node]) -> [String] {
    nodes.compactMap { node in
      guard let data = FileManager.default.contents(atPath: node.log) else { return nil }
      let lines = String(decoding: data, as: UTF8.self).split(separator: "\n").filter {
        $0.contains(" critical ") || $0.contains("Fatal error")
      }
      guard let first = lines.first else { return nil }
      return "\(node.name) logged \(lines.count) critical lines, the first: \(first)"
    }
  }

  private static func load(
    _ settings: Settings, _ ledger: Ledger, _ testbed: Testbed
  ) -> [String] {
    let memory = testbed.nodes.map { "\($0.name) \($0.peakMebibytes) MiB" }
    return [
      "\(settings.testbed.collectors) collect, \(settings.testbed.processors) process, 1 serve; "
        + "nats-server's store is a file system in memory",
      "\(Int(settings.eventsPerSecond)) events/s asked for; \(ledger.eventCount) acknowledged, "
        + "\(ledger.copyCount) sent again, \(ledger.malformedCount) malformed; "
        + "\(Wire.sites.count) sites; \(settings.keys) keys loaded before",
      "attempts without a 200: "
        + ledger.refusals.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        .joined(separator: ", "),
      "largest resident memory: " + memory.joined(separator: ", "),
      "\(sysconf(Int32(_SC_NPROCESSORS_ONLN))) processors, shared with whatever else ran: load average "
        + "\(Self.loadAverage()) at the end",
    ]
  }

  /// Of the last 15 minutes.
  private static func loadAverage() -> String {
    var averages = [0.0, 0.0, 0.0]
    return getloadavg(&averages, 3) == 3 ? Fault.tenths(averages[2]) : "unknown"
  }

  private static func versions(_ settings: Settings) -> [(name: String, version: String)] {
    LocalServer.allCases.map { server in
      do {
        return (server.program, "\(try ServerProgram.find(server).version)")
      } catch {
        return (server.program, "not found: \(error)")
      }
    }
  }

  private func notes(_ testbed: Testbed) -> [String] {
    testbed.hasSmallDisks ? [] : ["`mount` is not permitted here: full disks were left out"]
  }

  private func say(_ text: String) {
    print(text)
    fflush(nil)
  }
}
