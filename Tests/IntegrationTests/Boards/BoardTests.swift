import Foundation
import Testing

/// What can be said of the boards without running them.
@Suite("Boards")
struct BoardTests {
  private static let sources: Set<Board.Source> = [
    Board.Source(type: "prometheus", uid: "smartcontent-prometheus"),
    Board.Source(type: "grafana-postgresql-datasource", uid: "smartcontent-postgres"),
  ]

  @Test("are those that Grafana is given, each with a name of its own and links to the others")
  func names() throws {
    let boards = try Board.all()
    #expect(
      Set(boards.map(\.name)) == [
        "overview", "campaign", "experiment", "anomalies", "ingest", "engine", "stores",
        "learning",
      ])
    #expect(Set(boards.map(\.title)).count == boards.count)
    for board in boards {
      #expect(board.schemaVersion == 39 && !board.editable && !board.description.isEmpty)
      #expect(board.tags == ["smartcontent"])
      #expect(board.links.contains { $0.type == "dashboards" && $0.tags == ["smartcontent"] })
    }
    let compose = try TextFile.read("\(SDKPython.root)/docker-compose.yml")
    #expect(compose.contains("HOME_DASHBOARD_PATH: /etc/grafana/dashboards/overview.json"))
  }

  @Test("have panels that lie side by side, each with a description, a unit and a query")
  func panels() throws {
    for board in try Board.all() {
      #expect(Set(board.panels.map(\.id)).count == board.panels.count, "\(board.name)")
      #expect(
        Set(board.shown.map(\.title)).count == board.shown.count, "\(board.name): a title twice")
      var taken: Set<[Int]> = []
      for panel in board.panels {
        let place = panel.gridPos
        #expect(place.x + place.w <= 24, "\(board.name): \(panel.title) is too wide")
        for x in place.x..<place.x + place.w {
          for y in place.y..<place.y + place.h {
            #expect(
              taken.insert([x, y]).inserted, "\(board.name): \(panel.title) covers another panel")
          }
        }
      }
      for panel in board.shown {
        let name = "\(board.name): \(panel.title)"
        #expect(panel.description?.hasSuffix(".") == true, "\(name) does not say what it shows")
        #expect(panel.fieldConfig?.defaults.unit.isEmpty == false, "\(name) has no unit")
        let targets = panel.targets ?? []
        #expect(!targets.isEmpty, "\(name) shows nothing")
        #expect(Set(targets.map(\.refId)).count == targets.count, "\(name)")
        for target in targets {
          #expect(target.datasource == panel.datasource, "\(name)")
          #expect((target.expr == nil) != (target.rawSql == nil), "\(name)")
          if target.format == "time_series", let sql = target.rawSql {
            #expect(
              sql.contains(" as time") || sql.contains("$__timeGroupAlias")
                || sql.contains("select time"), "\(name) has no column time")
          }
        }
      }
    }
  }

  @Test("ask only data sources that are provisioned")
  func sources() throws {
    let folder = "\(Board.folder)/grafana/provisioning/datasources"
    var provisioned: Set<Board.Source> = []
    for file in try FileManager.default.contentsOfDirectory(atPath: folder) {
      let text = try TextFile.read("\(folder)/\(file)")
      let uid = try #require(text.firstMatch(of: /uid: (\S+)/)?.1)
      let type = try #require(text.firstMatch(of: /type: (\S+)/)?.1)
      provisioned.insert(Board.Source(type: String(type), uid: String(uid)))
    }
    #expect(provisioned == Self.sources)
    for board in try Board.all() {
      for source in board.shown.compactMap(\.datasource) + board.templating.list.map(\.datasource) {
        #expect(provisioned.contains(source), "\(board.name) asks \(source.uid)")
      }
    }
  }

  @Test("define every variable that they use, and use every one that they define")
  func variables() throws {
    for board in try Board.all() {
      let defined = board.templating.list.map(\.name)
      let texts =
        board.shown.flatMap { $0.targets ?? [] }.map(\.text)
        + board.templating.list.map(\.definition)
      let used = texts.reduce(into: Set<String>()) { $0.formUnion(GrafanaText.variables(in: $1)) }
      #expect(used == Set(defined), "\(board.name) defines \(defined)")
    }
  }

  @Test("are as Dashboards/boards makes them")
  func generated() async throws {
    let python = SDKPython.path ?? "/usr/bin/python3"
    let run = try ProgramRun(python, ["\(Board.folder)/boards/generate.py", "--check"])
    let code = try await run.end(withinMs: 30_000)
    let text = try run.text
    #expect(code == 0, "\(text)")
  }

  @Test("what Grafana replaces in a query is replaced by what its manual says")
  func expansion() throws {
    let text = GrafanaText(values: ["campaign": ["it's", "b.c"]], from: "'a'", to: "'b'")
    for (written, sent) in [
      ("rate(x{c=~\"$campaign\"}[$__rate_interval])", #"rate(x{c=~"(it's|b\.c)"}[5s])"#),
      ("c in (${campaign:sqlstring})", "c in ('it''s','b.c')"),
      ("$__timeFilter(t)", "t between 'a' and 'b'"),
      (
        "$__timeGroupAlias(t, '1h')",
        #"floor(extract(epoch from t) / 3600) * 3600 as "time""#
      ),
    ] {
      #expect(try text.expand(written) == sent)
    }
    #expect(throws: HarnessError.self) { try text.expand("$campaigns") }
  }
}
