import Dataflow
import Events
import Ports
import PostgresClient
import PostgresViews
import Testing
import Views

@Suite("Incidents in Postgres")
struct PostgresIncidentTests {
  private func pipeline(_ name: String) -> PipelineSpec {
    PipelineSpec(name: name, trends: TrendPolicy(), anomalies: IncidentPolicy())
  }

  private func row(_ id: Int64, begin: Int64 = Sample.day) -> IncidentRow {
    IncidentRow(
      id: id, site: "default", campaign: "spring\u{0}", content: "", kind: .rateDown,
      begin: begin, evidence: 7.25, severity: .warning, observed: 12, expected: 40.1,
      lower: 28.3, upper: 52.000000000000014,
      series: [
        IncidentRow.Point(start: begin, observed: 5, expected: 20.25),
        IncidentRow.Point(start: begin + 300_000_000, observed: 7, expected: 0.1),
      ],
      contributor: IncidentRow.Contributor(dimension: .variant, value: "b", share: 0.9), group: id)
  }

  @Test(
    "a row is replaced as a whole, numbers read back to the same bits, and old ones are dropped")
  func rows() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = pipeline("s_incidents")
    let owner = try Owner(settings, pipeline, .partials(of: pipeline))
    try owner.claim()
    try owner.commit { $0.incidents = [row(1), row(2)] }
    var closed = row(2)
    closed.end = Sample.day + 600_000_000
    closed.contributor = nil
    closed.feedback = .expected
    closed.revision = 5
    closed.series = []
    try owner.commit { $0.incidents = [closed] }
    let connection = try PostgresConnection(settings)
    let result = try connection.query(
      """
      select id, kind, begin_at, end_at, feedback, revision, digest, campaign,
        expected_upper::text, series_start::text, series_observed::text, series_expected::text,
        contributor_dimension, contributor_value, contributor_share::text, group_id, severity,
        (kind = 2 and evidence = 7.25 and observed = 12 and expected = 40.1
          and expected_lower = 28.3)::text
      from p_s_incidents_1.incidents order by id
      """)
    #expect(result.rowCount == 2)
    #expect(result.int8(0, 0) == 1 && result.int2(0, 1) == 2)
    #expect(result.timestamptz(0, 2) == Sample.day && result.isNull(0, 3) && result.isNull(0, 4))
    #expect(result.int4(0, 5) == 1 && result.int8(0, 6) == row(1).digest)
    #expect(result.text(0, 7).hasPrefix("spring\u{10FFFD}"))
    #expect(result.text(0, 8) == "52.000000000000014")
    #expect(result.text(0, 9) == "{\(Sample.day),\(Sample.day + 300_000_000)}")
    #expect(result.text(0, 10) == "{5,7}" && result.text(0, 11) == "{20.25,0.1}")
    #expect(result.text(0, 12) == "variant" && result.text(0, 13) == "b")
    #expect(result.text(0, 14) == "0.9" && result.int8(0, 15) == 1 && result.int2(0, 16) == 1)
    #expect(result.text(0, 17) == "true")
    #expect(result.timestamptz(1, 3) == Sample.day + 600_000_000 && result.int2(1, 4) == 1)
    #expect(result.int4(1, 5) == 5 && result.int8(1, 6) == closed.digest)
    #expect(result.text(1, 9) == "{}" && (12..<15).allSatisfy { result.isNull(1, $0) })
    // The newest of all comes when the first two are 400 days old.
    try owner.commit {
      $0.checkpoint.logTime = Sample.day + IncidentRow.retention + 1
      $0.incidents = [row(3, begin: Sample.day + IncidentRow.retention)]
    }
    #expect(
      try connection.query("select min(id) from p_s_incidents_1.incidents").int8(0, 0) == 3)
  }

  @Test("a recount reads them in order of time, and a pipeline without them has no table")
  func stored() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = pipeline("s_incidents_read")
    let owner = try Owner(settings, pipeline, .partials(of: pipeline))
    try owner.claim()
    try owner.commit { $0.incidents = [row(1, begin: Sample.day + 1), row(2), row(3)] }
    let table = StoredTable(
      name: "incidents", key: [StoredColumn("begin_at", .time), StoredColumn("id")],
      values: [StoredColumn("kind", .int2), StoredColumn("digest")])
    var read: [[Int64]] = []
    try PostgresStoredTables(settings, pipeline: pipeline).instant {
      (tables) throws(ViewStoreError) in
      try tables.read(table) { read.append($0 + $1) }
    }
    #expect(
      read == [
        [Sample.day, 2, 2, row(2).digest], [Sample.day, 3, 2, row(3).digest],
        [Sample.day + 1, 1, 2, row(1, begin: Sample.day + 1).digest],
      ])
    var plain = self.pipeline("s_incidents_none")
    plain.anomalies = nil
    try PostgresViewStore(settings, pipeline: plain).migrate()
    let result = try PostgresConnection(settings).query(
      "select to_regclass('p_s_incidents_none_1.incidents') is null")
    let isMissing = result.bool(0, 0)
    #expect(isMissing)
  }
}
