import Dataflow
import Events
import Oracles
import Ports
import Testing
import Verification
import Views

@testable import Runtime

/// Incidents of the past, as a replay gives them.
@Suite struct ReplayedIncidentTests {
  private static let spec = PipelineSpec(
    name: "test", allowedDisorder: 2 * second,
    trends: TrendPolicy(size: 300 * second, slide: 10 * second),
    anomalies: IncidentPolicy(bin: hour, watchesContents: false))

  /// Two days of five-minute frames; one stream is divided into two after 30 hours, and after 36 campaign c1 is gone
  /// for eight hours.
  private struct Log {
    let log: SimulatedLog
    var generations: [LogGeneration]
    /// Stored time of the first frame without c1.
    var gone: Int64 = 0

    init(seed: UInt64) {
      let clock = SimulatedClock()
      log = SimulatedLog(clock: clock)
      var random = SeededGenerator(seed: seed)
      generations = [
        LogGeneration(number: 1, streams: ["events-00"]),
        LogGeneration(number: 2, streams: ["events-g2-00", "events-g2-01"]),
      ]
      var id: UInt64 = 0
      for step in 0..<48 * 12 {
        if step == 36 * 12 { gone = clock.logTime }
        let isFirst = step < 30 * 12
        let campaigns = (36 * 12..<44 * 12).contains(step) ? ["c0"] : ["c0", "c1"]
        for stream in generations[isFirst ? 0 : 1].streams {
          let events = (0..<20).map { _ in
            id += 1
            return TestEvent(
              id: id, time: clock.logTime - random.time(upTo: 20 * second),
              kind: random.once(in: 10) ? .click : .impression, campaign: random.pick(campaigns),
              variant: random.pick(["a", "b"]))
          }
          log.append(LogEntry.events(events, at: clock.logTime).bytes, to: stream)
        }
        clock.advance(micros: 300 * second)
        if step == 30 * 12 - 1 { generations[0].ends = [log.count("events-00")] }
      }
    }

    func replay(until: Int64) throws -> ReplayedViews {
      try LogReplay(
        spec, generations: generations, deadLetters: World.deadLetters, log: log, until: until
      ).run()
    }
  }

  @Test("At any instant they are those of an independent recount, over two generations")
  func recounted() throws {
    for seed in 1...2 as ClosedRange<UInt64> {
      let made = Log(seed: seed)
      for until in [made.gone + 5 * hour, .max] {
        let views = try made.replay(until: until)
        #expect(!views.incidents.isEmpty)
        let report = try Verifier(
          Self.spec, generations: made.generations, log: made.log
        ).verify(ReplayedTables(views))
        #expect(report.tables.contains { $0.table == "incidents" && $0.rowCount > 0 })
        for finding in report.tables {
          #expect(
            finding.differenceCount == 0,
            "seed \(seed) until \(until): \(finding.table): \(finding.first ?? "")")
        }
      }
    }
  }

  @Test("A question is answered as of the instant: open then, over later, not there before")
  func asked() async throws {
    let made = Log(seed: 1)
    var question = IncidentQuestion(site: "shop", campaign: "c1", limit: 10)
    question.since = made.gone
    func answer(until: Int64) async throws -> [IncidentRow] {
      try await made.replay(until: until).incidents(question).filter { $0.kind == .trafficDown }
    }
    #expect(try await answer(until: made.gone - hour).isEmpty)
    let then = try #require(try await answer(until: made.gone + 5 * hour).first)
    #expect(then.end == nil && then.begin <= made.gone + hour)
    let later = try #require(try await answer(until: .max).first { $0.id == then.id })
    #expect((later.end ?? 0) > made.gone + 7 * hour && later.revision > then.revision)
    let views = try made.replay(until: .max)
    for (name, change) in Self.questions(then) {
      var question = IncidentQuestion(limit: 1_000)
      change.ask(&question)
      let found = try await views.incidents(question)
      #expect(
        found.map(\.id) == views.incidents.filter(change.holds).map(\.id).reversed(), "\(name)")
      #expect(!found.isEmpty || name == "site", "\(name)")
    }
    #expect(
      try await views.incidents(IncidentQuestion(limit: 1)).map(\.id) == [views.incidents.last?.id])
    #expect(try await views.incidentCounts().values.reduce(0, +) == Int64(views.incidents.count))
  }

  private typealias Change = (
    ask: (inout IncidentQuestion) -> Void, holds: (IncidentRow) -> Bool
  )

  private static func questions(_ row: IncidentRow) -> [(String, Change)] {
    [
      ("site", ({ $0.site = "none" }, { _ in false })),
      ("campaign", ({ $0.campaign = "c1" }, { $0.campaign == "c1" })),
      ("closed", ({ $0.isOpen = false }, { $0.end != nil })),
      ("severity", ({ $0.severity = .warning }, { $0.severity >= .warning })),
      ("id", ({ $0.id = row.id }, { $0.id == row.id })),
      ("group", ({ $0.group = row.group }, { $0.group == row.group })),
      (
        "before",
        (
          { $0.before = .init(begin: row.begin, id: row.id + 1) },
          { ($0.begin, $0.id) <= (row.begin, row.id) }
        )
      ),
    ]
  }
}
