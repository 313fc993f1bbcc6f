import Dataflow
import Events
import LocalServers
import Ports
import PostgresClient
import PostgresViews
import Testing
import Views

@Suite("Many rows of trends come ahead of their commit")
struct PostgresViewsTrendsAheadTests {
  private static let second: Int64 = 1_000_000
  private static let rowCount = 20_000

  private func pipeline(_ name: String) -> PipelineSpec {
    PipelineSpec(name: name, trends: TrendPolicy())
  }

  private func time(_ seconds: Int64) -> Int64 { Sample.day + seconds * Self.second }

  private func rows(
    _ end: Int64, clicks: Int64, count: Int = rowCount, isFinal: Bool = true
  ) -> [TrendRow] {
    (1...Int64(count)).map { id in
      var counts = Counts()
      counts.clicks = clicks + id
      return TrendRow(
        end: time(end), dimensionID: id, counts: counts, revision: 0, isFinal: isFinal)
    }
  }

  /// At a checkpoint whose watermark is at 1004 s.
  private func prepare(
    _ name: String, _ settings: PostgresSettings
  ) throws -> Owner {
    let pipeline = pipeline(name)
    let owner = try Owner(settings, pipeline, .partials(of: pipeline))
    try owner.claim()
    try owner.commit { batch in
      batch.measure = .outcomes
      batch.checkpoint.watermark = time(1004)
      batch.checkpoint.logTime = time(1009)
      batch.trends = [
        TrendRow(
          end: time(1000), dimensionID: 1, counts: Counts(), revision: 0, isFinal: true)
      ]
    }
    return owner
  }

  /// What closes the window that ends at 1010 s, and corrects one that was final.
  private func close(_ batch: inout CommitBatch) {
    batch.measure = .outcomes
    batch.checkpoint.watermark = time(1014)
    batch.checkpoint.logTime = time(1019)
    batch.trends = rows(1000, clicks: 7, count: 1) + rows(1010, clicks: 0)
  }

  private func number(_ connection: PostgresConnection, _ sql: String) throws -> Int64 {
    let result = try connection.query(sql)
    try result.require(.int8)
    return result.int8(0, 0)
  }

  @Test("rows of a window that just closed come in pieces, corrections with their checkpoint")
  func pieces() async throws {
    let settings = try await ViewServers.postgres()
    let owner = try prepare("a_pieces", settings)
    try owner.commit(close)
    let connection = try PostgresConnection(settings)
    let schema = "p_a_pieces_1"
    let new = "from \(schema).trends where window_end = to_timestamp(\(time(1010)) / 1e6)"
    #expect(try number(connection, "select count(*) \(new)") == Int64(Self.rowCount))
    #expect(
      try number(connection, "select sum(clicks)::int8 \(new)")
        == Int64(Self.rowCount * (Self.rowCount + 1) / 2))
    #expect(try number(connection, "select count(distinct xmin::text) \(new)") == 3)
    let own = "t.xmin = c.xmin from \(schema).trends t, \(schema).checkpoints c"
    #expect(
      try number(
        connection,
        "select count(*) from (select \(own)) as o (own) where own") == 1)
    #expect(
      try number(
        connection,
        "select clicks from \(schema).trends where window_end < to_timestamp(\(time(1010)) / 1e6)")
        == 8)
  }

  @Test("one that has been followed writes no piece")
  func fenced() async throws {
    let settings = try await ViewServers.postgres()
    let owner = try prepare("a_fenced", settings)
    let next = try Owner(settings, pipeline("a_fenced"), owner.stream, name: "next")
    try next.claim()
    #expect(throws: ViewStoreError.fenced(stream: owner.stream.stream)) {
      try owner.commit(close)
    }
    let connection = try PostgresConnection(settings)
    #expect(try number(connection, "select count(*) from p_a_fenced_1.trends") == 1)
    try next.commit(close)
    #expect(
      try number(connection, "select count(*) from p_a_fenced_1.trends")
        == Int64(Self.rowCount + 1))
  }

  @Test("a connection that is lost with a piece costs nothing but another attempt")
  func lost() async throws {
    let endpoints = try await ViewServers.shared().endpoints
    for (cut, name) in [(CommitCutter.Cut.before, "a_before"), (.after, "a_after")] {
      let cutter = CommitCutter(serverPort: endpoints.postgresPort)
      let settings = PostgresSettings(
        connection: endpoints.postgresURL.replacing(
          ":\(endpoints.postgresPort)/", with: ":\(cutter.port)/"))
      try await onThread {
        let owner = try prepare(name, settings)
        cutter.arm(cut)
        do throws(ViewStoreError) {
          try owner.store.commit(
            batch(after: owner), stream: owner.stream, epoch: owner.epoch,
            previous: owner.checkpoint.sequence)
          Issue.record("the connection was cut")
        } catch {
          guard case .unavailable = error else { throw error }
        }
        try commit(owner)
      }
      let connection = try PostgresConnection(try await ViewServers.postgres())
      #expect(
        try number(connection, "select count(*) from p_\(name)_1.trends")
          == Int64(Self.rowCount + 1))
    }
  }

  /// The cutter needs a moment until it takes another connection.
  private func commit(_ owner: Owner) throws {
    let deadline = ContinuousClock.now + .seconds(30)
    while ContinuousClock.now < deadline {
      do {
        return try owner.commit(close)
      } catch ViewStoreError.unavailable {
        continue
      }
    }
    Issue.record("no connection came about")
  }

  private func batch(after owner: Owner) -> CommitBatch {
    var batch = CommitBatch()
    batch.checkpoint = owner.checkpoint
    batch.checkpoint.sequence += 1
    close(&batch)
    return batch
  }

  @Test("a window of which there are only pieces is not read yet")
  func unread() async throws {
    let settings = try await ViewServers.postgres()
    let owner = try prepare("a_unread", settings)
    let reader = try PostgresViewReader(settings, pipeline: pipeline("a_unread"))
    let connection = try PostgresConnection(settings)
    func insert(_ isFinal: Bool, _ id: Int) throws {
      try connection.execute(
        """
        insert into p_a_unread_1.trends (window_end, dimension_id, source, impressions, views,
          clicks, engagements, conversions, revenue_micros, revision, final)
        select to_timestamp(\(time(1010)) / 1e6), \(id), source, 0, 0, 1, 0, 0, 0, 0, \(isFinal)
        from p_a_unread_1.trends limit 1
        """)
    }
    try insert(true, 2)
    #expect(try await reader.trends(site: "default", groupBy: .campaign).end == time(1000))
    try insert(false, 3)
    #expect(try await reader.trends(site: "default", groupBy: .campaign).end == time(1010))
    try owner.commit(close)
    #expect(try await reader.trends(site: "default", groupBy: .campaign).end == time(1010))
  }
}
