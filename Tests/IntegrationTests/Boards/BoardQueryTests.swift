import Dataflow
import Foundation
import LocalServers
import PostgresClient
@testable import PostgresViews
import Testing

/// Every query of the boards and the rules, asked of a real Prometheus that scrapes a running system and of that
/// system's Postgres, as the role that Grafana has.
@Suite(
  "Boards under traffic", .serialized, .endsWhatItStarts,
  .enabled(if: PrometheusServer.isInstalled, Comment(rawValue: PrometheusServer.missing)))
struct BoardQueryTests {
  /// Lines and panels that are rightly empty while all is well, and why. That their metrics exist is
  /// checked by TidyTests.
  private static let quiet = [
    "overview: Alerts that fire / Alerts that fire": "nothing is wrong",
    "engine: Streams that move / handed over": "one processor has nobody to hand a stream to",
    "engine: Streams that move / lost by lease": "the only processor renews its lease",
    "engine: Leases / failures": "Postgres answers",
    "ingest: Spools: frames / {{outcome}} per second": "the log was never away",
    "ingest: Erasures and failures / {{reason}}": "every person got its key",
    "anomalies: Engagements of the last hour and what is expected of this one / {{site}} counted":
      "no hour is over",
    "anomalies: Engagements of the last hour and what is expected of this one / {{site}} {{end}}":
      "no hour is over",
    "anomalies: How new values are / {{site}} {{campaign}} {{quantity}} {{currency}}":
      "no five minutes are over",
    "anomalies: Hours in a row outside of it / {{site}} {{campaign}} {{side}}": "no hour is over",
    "learning: Time until they have learned again / median": "nothing is taken back",
    "learning: Time until they have learned again / 99th percentile": "nothing is taken back",
    "learning: Texts of contents / {{outcome}}": "no content has a title",
    "learning: Persons whose cluster kept its name / share": "clusters are refreshed seldom",
  ]

  @Test("every panel shows something, and every rule can be evaluated")
  func panels() async throws {
    let system = try await ProofSystem(
      "boards", streams: try WatchedTraffic.definitions(),
      more: ["SMARTCONTENT_DECISION_SECRET": String(repeating: "5c", count: 32)])
    var traffic = try await WatchedTraffic(system)
    let address = String(system.url.dropFirst("http://".count))
    let prometheus = try await PrometheusServer.start(
      scraping: ["smartcontent-dev": address], shortened: true)
    let postgres = try await readers(of: system)
    try await writeOutage(to: system)

    let boards = try Board.all()
    let names = boards.flatMap { board in
      board.shown.flatMap { panel in
        (panel.targets ?? []).map { "\(board.name): \(panel.title) / \($0.legendFormat ?? "")" }
      }
    }
    for name in Self.quiet.keys { #expect(names.contains(name), "there is no \(name)") }

    var open: [(place: String, ask: () throws -> Bool)] = []
    for board in boards {
      for variable in board.templating.list {
        let place = "\(board.name): variable \(variable.name)"
        open.append((place, { try !values(of: variable, prometheus, postgres).isEmpty }))
      }
      for panel in board.shown {
        for target in panel.targets ?? [] {
          let place = "\(board.name): \(panel.title) / \(target.legendFormat ?? "")"
          open.append(
            (
              place,
              {
                let text = try expand(target.text, of: board, prometheus, postgres)
                guard target.expr != nil else { return try hasValue(text, postgres) }
                return try prometheus.values(text).contains { !$0.isNaN }
              }
            ))
        }
      }
    }
    let count = open.count
    // The log's sizes are asked for every half minute, and growth wants two of them.
    let isFull = try await eventually(withinMs: 120_000, everyMs: 500) {
      try traffic.send()
      open = try open.filter { try !$0.ask() }
      return open.allSatisfy { Self.quiet[$0.place] != nil }
    }
    traffic.stop()
    let empty = open.map(\.place).filter { Self.quiet[$0] == nil }
    #expect(isFull && count > 150, "of \(count) these are empty: \(empty.joined(separator: "; "))")
    #expect(try prometheus.brokenRules() == [])
  }

  /// What a pipeline makes of an outage, whose usual traffic takes longer than a test.
  private func writeOutage(to system: ProofSystem) async throws {
    let traffic = OutageTraffic(now: ProofSystem.now, site: "default")
    let schema = try ViewSchema(
      PipelineSpec(name: "default", version: try await system.activeVersion()))
    let rows = try traffic.incidents(until: traffic.outageEnd)
    let postgres = try PostgresConnection(
      PostgresSettings(connection: try system.environment["SMARTCONTENT_POSTGRES"] ?? ""))
    try postgres.transaction(.durableWrite) { session throws(PostgresError) in
      try IncidentTable.write(rows, logTime: traffic.outageEnd, in: schema, session)
      return .commit(())
    }
  }

  // MARK: Postgres

  /// A session as Grafana has it: the role that Deploy/readers.sql makes.
  private func readers(of system: ProofSystem) async throws -> PostgresConnection {
    let url = try system.environment["SMARTCONTENT_POSTGRES"] ?? ""
    let script = try TextFile.read("\(SDKPython.root)/Deploy/readers.sql")
    let owner = try PostgresConnection(PostgresSettings(connection: url))
    // Twice, as at each start of the compose file: the second password is the one that counts.
    for password in ["before", "now"] {
      try owner.execute("set grafana.password = '\(password)'; \(script)")
    }
    let server = try #require(url.split(separator: "@").last)
    let reader = try PostgresConnection(
      PostgresSettings(connection: "postgresql://grafana:now@\(server)"))
    #expect(throws: PostgresError.self) {
      try reader.execute("create table smartcontent.own (a int)")
    }
    return reader
  }

  /// Whether there is a row with a value in its last column.
  private func hasValue(_ sql: String, _ postgres: PostgresConnection) throws -> Bool {
    let result = try postgres.query(sql)
    return (0..<result.rowCount).contains { !result.isNull($0, result.columnCount - 1) }
  }

  // MARK: Variables

  private func expand(
    _ text: String, of board: Board, _ prometheus: PrometheusServer, _ postgres: PostgresConnection
  ) throws -> String {
    var known: [String: [String]] = [:]
    for variable in board.templating.list {
      known[variable.name] = try values(of: variable, prometheus, postgres)
    }
    return try GrafanaText(values: known).expand(text)
  }

  /// All values of a variable, as it has with "All"; of one that takes one alone, `default` or the first.
  private func values(
    of variable: Board.Variable, _ prometheus: PrometheusServer, _ postgres: PostgresConnection
  ) throws -> [String] {
    if let labels = variable.definition.wholeMatch(of: /label_values\((\w+), (\w+)\)/) {
      return try prometheus.labels(labels.2, of: labels.1)
    }
    let text = try GrafanaText(values: ["site": ["default"]]).expand(variable.definition)
    let result = try postgres.query(text)
    let found = (0..<result.rowCount).map { result.text($0, 0) }
    guard !variable.multi, let first = found.first else { return found }
    return [found.contains("default") ? "default" : first]
  }
}
