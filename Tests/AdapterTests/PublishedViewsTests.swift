import Dataflow
import Ports
import PostgresClient
import PostgresViews
import Testing
import Views

/// The names that Grafana and others read.
@Suite("Published views")
struct PublishedViewsTests {
  private let entry = Sample.entry(Sample.tuple("c1", currency: "EUR"))

  /// A version with one hour's row.
  @discardableResult
  private func fill(
    _ pipeline: PipelineSpec, impressions: Int64, _ settings: PostgresSettings
  ) throws -> Owner {
    let owner = try Owner(settings, pipeline, Sample.stream())
    try owner.claim()
    try owner.commit { batch in
      batch.dimensions = [entry]
      batch.rows = [
        Sample.row(.hour, Sample.day, entry, impressions: impressions, revenue: 12_500_000)
      ]
    }
    return owner
  }

  private func texts(
    _ sql: String, _ connection: PostgresConnection
  ) throws -> [[String]] {
    let result = try connection.query(sql)
    return (0..<result.rowCount).map { row in
      (0..<result.columnCount).map { result.text(row, $0) }
    }
  }

  private func views(of name: String, _ connection: PostgresConnection) throws -> Set<String> {
    Set(
      try texts(
        """
        select c.relname::text from pg_class c
        where relnamespace = 'smartcontent'::regnamespace and relkind = 'v'
          and starts_with(c.relname, '\(name)_')
        """, connection
      ).map { String($0[0].dropFirst(name.count + 1)) })
  }

  @Test("a table is read by its name, with its dimensions in words and money in units")
  func names() async throws {
    let settings = try await ViewServers.postgres()
    let connection = try PostgresConnection(settings)
    try fill(PipelineSpec(name: "t_published"), impressions: 5, settings)
    let rows = try texts(
      """
      select concat_ws(' ', extract(epoch from window_start)::int8, site, campaign, content, variant,
        channel, currency, traffic, impressions, clicks, revenue, final)
      from smartcontent.t_published_metrics_1h
      """, connection)
    #expect(rows == [["1763942400 default spring c1 a mail EUR  5 2 12.5000000000000000 t"]])
    let views = try views(of: "t_published", connection)
    #expect(
      views == [
        "metrics_10s", "metrics_1m", "metrics_1h", "metrics_1d", "dimensions", "accounting",
        "checkpoints", "late_events", "corrections",
      ])
  }

  @Test("the log's time of a stream that has none yet is null, and a time otherwise")
  func times() async throws {
    let settings = try await ViewServers.postgres()
    let connection = try PostgresConnection(settings)
    let owner = try Owner(settings, PipelineSpec(name: "t_pub_times"), Sample.stream())
    try owner.claim()
    let query = """
      select coalesce(extract(epoch from watermark)::int8::text, 'none')
      from smartcontent.t_pub_times_checkpoints
      """
    #expect(try texts(query, connection) == [["none"]])
    try owner.commit { $0.checkpoint.watermark = Sample.day }
    #expect(try texts(query, connection) == [["1763942400"]])
  }

  @Test("a version that is built is shown from its activation on, and no longer after a roll-back")
  func activation() async throws {
    let settings = try await ViewServers.postgres()
    let connection = try PostgresConnection(settings)
    let catalog = PipelineCatalog(settings)
    let first = PipelineSpec(name: "t_pub_flip")
    var second = PipelineSpec(name: "t_pub_flip", version: 2)
    second.persons = PersonPolicy()
    try fill(first, impressions: 5, settings)
    try catalog.begin(second)
    try fill(second, impressions: 7, settings)
    func shown() throws -> String {
      try texts(
        "select impressions::text from smartcontent.t_pub_flip_metrics_1h", connection)[0][0]
    }
    #expect(try shown() == "5")
    #expect(try catalog.activate("t_pub_flip", version: 2))
    #expect(try shown() == "7")
    // A table that only the second version has.
    #expect(try views(of: "t_pub_flip", connection).contains("outcomes_1h"))
    #expect(try catalog.activate("t_pub_flip", version: 1))
    #expect(try shown() == "5")
    #expect(try !views(of: "t_pub_flip", connection).contains("outcomes_1h"))
    // The rows of a version that is not shown can go.
    #expect(try catalog.retire("t_pub_flip", version: 2))
    try catalog.removeRows(of: second)
    #expect(try shown() == "5")
  }

  @Test("views and the list of versions change at one instant")
  func instant() async throws {
    let settings = try await ViewServers.postgres()
    let connection = try PostgresConnection(settings)
    let first = PipelineSpec(name: "t_pub_instant")
    let second = PipelineSpec(name: "t_pub_instant", version: 2)
    try fill(first, impressions: 1, settings)
    try PipelineCatalog(settings).begin(second)
    try fill(second, impressions: 2, settings)
    let flips = Task {
      try await onThread {
        let catalog = PipelineCatalog(settings)
        for flip in 0..<40 {
          _ = try catalog.activate("t_pub_instant", version: flip % 2 == 0 ? 2 : 1)
        }
      }
    }
    var seen: Set<String> = []
    for _ in 0..<400 {
      let row = try texts(
        """
        select m.impressions::text, p.version::text
        from smartcontent.t_pub_instant_metrics_1h m, smartcontent.pipelines p
        where p.name = 't_pub_instant' and p.active
        """, connection)
      try #require(row.count == 1)
      #expect(row[0][0] == row[0][1])
      seen.insert(row[0][0])
    }
    try await flips.value
    #expect(seen == ["1", "2"])
  }

  @Test("a process that starts does not wait for the readers of views that stay as they are")
  func untouched() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = PipelineSpec(name: "t_pub_untouched")
    try fill(pipeline, impressions: 5, settings)
    let reader = try PostgresConnection(settings)
    try reader.execute("begin; select * from smartcontent.t_pub_untouched_metrics_1h")
    var impatient = settings
    impatient.statementTimeoutMs = 5_000
    try await onThread { [impatient] in
      try PostgresViewStore(impatient, pipeline: pipeline).migrate()
    }
    #expect(
      try texts(
        """
        select count(*)::text from pg_locks where pid = \(reader.backendProcessID)
          and relation = 'smartcontent.t_pub_untouched_metrics_1h'::regclass
        """, try PostgresConnection(settings)) == [["1"]])
    try reader.execute("commit")
  }

  @Test("what others have built on a view stays at a switch between versions of one shape")
  func dependents() async throws {
    let settings = try await ViewServers.postgres()
    let connection = try PostgresConnection(settings)
    let catalog = PipelineCatalog(settings)
    let second = PipelineSpec(name: "t_pub_above", version: 2)
    try fill(PipelineSpec(name: "t_pub_above"), impressions: 5, settings)
    try connection.execute(
      """
      create view public.t_pub_above as
      select sum(impressions)::text as total from smartcontent.t_pub_above_metrics_1h
      """)
    try catalog.begin(second)
    try fill(second, impressions: 7, settings)
    #expect(try catalog.activate("t_pub_above", version: 2))
    #expect(try texts("select total from public.t_pub_above", connection) == [["7"]])
    // With another column the view is made anew.
    try connection.execute("alter table p_t_pub_above_2.metrics_1h rename clicks to presses")
    try PostgresViewStore(settings, pipeline: second).migrate()
    #expect(
      try texts("select presses::text from smartcontent.t_pub_above_metrics_1h", connection)
        == [["2"]])
  }

  @Test("the group of readers may read views and versions, and no table")
  func rights() async throws {
    let settings = try await ViewServers.postgres()
    let connection = try PostgresConnection(settings)
    try fill(PipelineSpec(name: "t_pub_rights"), impressions: 5, settings)
    try connection.execute("set role smartcontent_read")
    let rows = try texts(
      "select impressions::text from smartcontent.t_pub_rights_metrics_1h", connection)
    #expect(rows == [["5"]])
    #expect(
      try texts(
        "select version::text from smartcontent.pipelines where name = 't_pub_rights'", connection)
        == [["1"]])
    for refused in [
      "select * from p_t_pub_rights_1.metrics_1h", "select * from smartcontent.processes",
      "delete from smartcontent.t_pub_rights_metrics_1h", "create table smartcontent.own (a int)",
      "update smartcontent.pipelines set active = false",
    ] {
      #expect(throws: PostgresError.self, "\(refused)") { try connection.execute(refused) }
    }
  }
}
