import Dataflow
import Events
import Ports
import PostgresClient
import PostgresViews
import Testing
import Views

/// Rows of incidents in a real Postgres, read and told.
@Suite("Incidents in Postgres", .serialized)
struct IncidentLedgerTests {
  /// 2026-11-23 10:15:00 UTC: long over.
  private static let begin: Int64 = 1_795_428_900_000_000

  private static func pipeline(_ name: String) -> PipelineSpec {
    PipelineSpec(name: name, trends: TrendPolicy(), anomalies: IncidentPolicy())
  }

  private static func row(
    _ id: Int64, after minutes: Int64 = 0, site: String = "shop", campaign: String = "spring",
    _ change: (inout IncidentRow) -> Void = { _ in }
  ) -> IncidentRow {
    var row = IncidentRow(
      id: id, site: site, campaign: campaign, content: "", kind: .rateDown,
      begin: begin + minutes * 60_000_000, evidence: 8.25, severity: .warning, observed: 38,
      expected: 100.1, lower: 81.3, upper: 119.7, group: id)
    change(&row)
    return row
  }

  /// Writes rows as the second stage commits them.
  private final class Writer {
    let owner: Owner

    init(_ settings: PostgresSettings, _ pipeline: PipelineSpec) throws {
      owner = try Owner(settings, pipeline, .partials(of: pipeline))
      try owner.claim()
    }

    func write(_ rows: IncidentRow...) throws { try owner.commit { $0.incidents = rows } }
  }

  private static func ledger(
    _ settings: PostgresSettings, _ pipeline: PipelineSpec, _ terms: ReceiverTerms
  ) -> PostgresIncidentLedger {
    PostgresIncidentLedger(settings, terms: terms) { pipeline }
  }

  private static func terms(
    _ name: String, _ severity: IncidentRow.Severity = .info, sites: [String] = [],
    target: String = "https://a"
  ) -> ReceiverTerms {
    ReceiverTerms(name: name, target: target, severity: severity, sites: sites)
  }

  @Test(
    "are read as they were written, the newest first, a page at a time, and by what is asked for")
  func reads() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = Self.pipeline("t_incidents_read")
    let writer = try Writer(settings, pipeline)
    let hostile = "it's \u{0} \"quoted\", {a,b}"
    let whole = Self.row(5, after: 20, site: "blog", campaign: hostile) {
      $0.content = "post-1"
      $0.kind = .conversionUp
      $0.end = Self.begin + 90 * 60_000_000
      $0.severity = .critical
      $0.series = [
        .init(start: Self.begin - 300_000_000, observed: 12, expected: 0.1 + 0.2),
        .init(start: Self.begin, observed: 0, expected: 1e-9),
      ]
      $0.contributor = .init(dimension: .variant, value: hostile, share: 1.0 / 3)
      $0.group = 4
      $0.feedback = .notAnAnomaly
      $0.revision = 12
    }
    try writer.write(
      Self.row(3), Self.row(1), Self.row(4, after: 20), whole,
      Self.row(9, after: 30) { $0.severity = .info })
    let reader = try PostgresViewReader(settings, pipeline: pipeline)
    func ids(_ change: (inout IncidentQuestion) -> Void) async throws -> [Int64] {
      var question = IncidentQuestion(limit: 10)
      change(&question)
      return try await reader.incidents(question).map(\.id)
    }
    #expect(try await reader.incidents(IncidentQuestion(id: 5, limit: 1)) == [whole])
    #expect(try await ids { _ in } == [9, 5, 4, 3, 1])
    #expect(try await ids { $0.limit = 2 } == [9, 5])
    #expect(try await ids { $0.before = .init(begin: whole.begin, id: 5) } == [4, 3, 1])
    #expect(try await ids { $0.isOpen = false } == [5])
    #expect(try await ids { $0.isOpen = true } == [9, 4, 3, 1])
    #expect(try await ids { $0.site = "blog" } == [5])
    #expect(try await ids { $0.campaign = hostile } == [5])
    #expect(try await ids { $0.content = "post-1" } == [5])
    #expect(try await ids { $0.severity = .warning } == [5, 4, 3, 1])
    #expect(try await ids { $0.group = 4 } == [5, 4])
    #expect(try await ids { $0.since = Self.begin + 90 * 60_000_000 } == [9, 5, 4, 3, 1])
    #expect(try await ids { $0.since = Self.begin + 91 * 60_000_000 } == [9, 4, 3, 1])
    #expect(try await reader.incidentCounts() == [.info: 1, .warning: 3, .critical: 1])
  }

  @Test("are owed to a receiver as its terms say, until what it was told is noted")
  func owed() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = Self.pipeline("t_incidents_owed")
    let writer = try Writer(settings, pipeline)
    try writer.write(
      Self.row(1), Self.row(2) { $0.severity = .info }, Self.row(3, site: "blog"),
      Self.row(4) { $0.group = 1 }, Self.row(5) { $0.end = Self.begin + 1 })
    let ledger = Self.ledger(settings, pipeline, Self.terms("owed", .warning, sites: ["shop"]))
    #expect(try ledger.take() == .taken)
    func owed() throws -> [String] {
      try ledger.owed(limit: 10).map {
        "\($0.row.id) \($0.isOpen ? "open" : "over") \($0.told.map { $0.isOpen ? "open" : "over" } ?? "new")"
      }
    }
    // What was over before it was known, members of groups, others' sites and what is less grave are not.
    #expect(try owed() == ["1 open new"])
    try ledger.note(try ledger.owed(limit: 1)[0], sequence: 0)
    #expect(try owed() == [])

    try writer.write(
      Self.row(1) {
        $0.observed = 50
        $0.revision = 2
      },
      Self.row(2) {
        $0.severity = .info
        $0.revision = 2
      })
    #expect(try owed() == [])
    try writer.write(
      Self.row(1) {
        $0.severity = .critical
        $0.revision = 3
      })
    #expect(try owed() == ["1 open open"])
    try ledger.note(try ledger.owed(limit: 1)[0], sequence: 0)
    #expect(try owed() == [])
    try writer.write(
      Self.row(1) {
        $0.severity = .critical
        $0.end = Self.begin + 2
        $0.revision = 4
      })
    #expect(try owed() == ["1 over open"])
    try ledger.note(try ledger.owed(limit: 1)[0], sequence: 0)
    #expect(try owed() == [])
    // One that began and ended while nobody looked.
    try writer.write(Self.row(6) { $0.end = Int64(4_000_000_000_000_000) })
    #expect(try owed() == ["6 over new"])
  }

  @Test("go all into the log of facts, with what it knows of each")
  func everything() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = Self.pipeline("t_incidents_all")
    let writer = try Writer(settings, pipeline)
    try writer.write(
      Self.row(1) { $0.severity = .info }, Self.row(2) { $0.group = 1 },
      Self.row(3) { $0.end = Self.begin + 1 })
    let ledger = Self.ledger(settings, pipeline, .everything(name: "all_facts"))
    #expect(try ledger.take() == .taken)
    for notice in try ledger.owed(limit: 10) {
      try ledger.note(notice, sequence: UInt64(notice.row.id) + 100)
    }
    #expect(try ledger.owed(limit: 10).isEmpty)
    try writer.write(
      Self.row(2) {
        $0.group = 1; $0.feedback = .expected; $0.revision = 2
      })
    let next = try ledger.owed(limit: 10)
    #expect(next.map(\.row.id) == [2])
    #expect(next.first?.told == IncidentNotice.Told(isOpen: true, sequence: 102))
  }

  @Test("are told by one process at a time, and by the next one once that is gone")
  func onlyOne() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = Self.pipeline("t_incidents_one")
    let writer = try Writer(settings, pipeline)
    try writer.write(Self.row(1))
    let second = Self.ledger(settings, pipeline, Self.terms("one"))
    do {
      let first = Self.ledger(settings, pipeline, Self.terms("one"))
      #expect(try first.take() == .taken)
      #expect(try first.take() == .taken)
      #expect(try second.take() == .elsewhere)
      #expect(throws: ViewStoreError.self) { try second.owed(limit: 1) }
      // Another receiver is another's.
      let other = Self.ledger(settings, pipeline, Self.terms("other"))
      #expect(try other.take() == .taken)
      try first.note(try first.owed(limit: 1)[0], sequence: 0)
    }
    let isFree = try await eventuallyTaken(second)
    #expect(isFree)
    #expect(try second.owed(limit: 1).isEmpty)
  }

  private func eventuallyTaken(_ ledger: PostgresIncidentLedger) async throws -> Bool {
    let deadline = ContinuousClock.now.advanced(by: .seconds(5))
    while ContinuousClock.now < deadline {
      if try ledger.take() == .taken { return true }
    }
    return false
  }

  @Test("a session that is lost says so, and the receiver is taken anew with what was noted")
  func lostSession() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = Self.pipeline("t_incidents_lost")
    let writer = try Writer(settings, pipeline)
    try writer.write(Self.row(1))
    var own = settings
    own.applicationName = "ledger-lost"
    let ledger = Self.ledger(own, pipeline, Self.terms("lost"))
    #expect(try ledger.take() == .taken)
    let notice = try ledger.owed(limit: 1)[0]
    try PostgresConnection(settings).execute(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'ledger-lost'"
    )
    #expect(throws: ViewStoreError.self) { try ledger.note(notice, sequence: 0) }
    #expect(throws: ViewStoreError.self) { try ledger.owed(limit: 1) }
    #expect(try await eventuallyTaken(ledger))
    #expect(try ledger.owed(limit: 1) == [notice])
  }

  @Test("a receiver that has ended stays so, until it is at another address")
  func ended() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = Self.pipeline("t_incidents_ended")
    _ = try Writer(settings, pipeline)
    do {
      let ledger = Self.ledger(settings, pipeline, Self.terms("ended"))
      #expect(try ledger.take() == .taken)
      try ledger.end()
      #expect(try ledger.take() == .ended)
    }
    let moved = Self.ledger(settings, pipeline, Self.terms("ended", target: "https://b"))
    #expect(try await eventuallyTaken(moved))
  }

  @Test("a version that has no tables yet owes nothing")
  func noTables() async throws {
    let settings = try await ViewServers.postgres()
    let ledger = Self.ledger(settings, Self.pipeline("t_incidents_none"), Self.terms("none"))
    #expect(try ledger.take() == .taken)
    #expect(try ledger.owed(limit: 1).isEmpty)
  }
}
