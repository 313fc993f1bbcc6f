import Dataflow
import Events
import Ports
import PostgresClient
import PostgresViews
import Testing
import Views

/// Databases as earlier versions left them.
@Suite("Postgres views of earlier versions")
struct PostgresViewsUpgradeTests {
  /// Puts the tables back to what they were before bots were told from people and streams had owners.
  private func age(_ schema: String, _ connection: PostgresConnection) throws {
    try connection.execute(
      """
      alter table \(schema).dimensions drop column traffic cascade;
      alter table \(schema).dimensions
        add unique (site, campaign, content, variant, channel, currency);
      alter table \(schema).checkpoints drop column owner;
      """)
  }

  private func uniques(_ schema: String, _ connection: PostgresConnection) throws -> [String] {
    let result = try connection.query(
      """
      select pg_get_constraintdef(oid) from pg_constraint
      where conrelid = '\(schema).dimensions'::regclass and contype = 'u'
      """)
    return (0..<result.rowCount).map { result.text($0, 0) }
  }

  private func impressions(
    _ reader: PostgresViewReader, _ filters: [DimensionFilter] = [], groupBy: [Dimension] = []
  ) async throws -> [[String]: Int64] {
    let hour: Int64 = 3_600_000_000
    let answer = try await reader.read(
      ViewSelection(
        site: "default",
        segments: [Segment(level: .hour, from: Sample.day, to: Sample.day + hour)],
        filters: filters, groupBy: groupBy, buckets: []), belowSeams: false)
    return Dictionary(
      answer.groups.map { ($0.dimensions, $0.counts.impressions) }, uniquingKeysWith: +)
  }

  @Test("tables of before bots were told from people are taken over, with the numbers in them")
  func traffic() async throws {
    let settings = try await ViewServers.postgres()
    let connection = try PostgresConnection(settings)
    let pipeline = PipelineSpec(name: "t_upgrade")
    let schema = "p_t_upgrade_1"
    let person = Sample.entry(Sample.tuple("c1"))
    var tuple = Sample.tuple("c1")
    tuple.traffic = DimensionTuple.bot
    let bot = Sample.entry(tuple)
    let before = try Owner(settings, pipeline, Sample.stream())
    try before.claim()
    try before.commit { batch in
      batch.dimensions = [person]
      batch.rows = [Sample.row(.hour, Sample.day, person, impressions: 5)]
    }
    try age(schema, connection)
    #expect(
      try uniques(schema, connection)
        == ["UNIQUE (site, campaign, content, variant, channel, currency)"])

    // Each process that starts looks at the tables, several at once.
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask {
          try await onThread { try PostgresViewStore(settings, pipeline: pipeline).migrate() }
        }
      }
      try await group.waitForAll()
    }
    #expect(
      try uniques(schema, connection)
        == ["UNIQUE (site, campaign, content, variant, channel, currency, traffic)"])
    let reader = try PostgresViewReader(settings, pipeline: pipeline)
    #expect(try await impressions(reader) == [[]: 5])

    // The stream goes on where it was; the same tuple of a bot is a row of its own.
    let after = try Owner(settings, pipeline, Sample.stream())
    try after.claim()
    #expect(after.checkpoint == before.checkpoint)
    try after.commit { batch in
      batch.dimensions = [person, bot]
      batch.rows = [
        Sample.row(.hour, Sample.day, person, impressions: 6),
        Sample.row(.hour, Sample.day, bot, impressions: 100),
      ]
    }
    #expect(try await impressions(reader, groupBy: [.traffic]) == [[""]: 6, ["bot"]: 100])
    let people = DimensionFilter(
      operation: .isNoneOf, dimension: .traffic, values: [DimensionTuple.bot])
    #expect(try await impressions(reader, [people], groupBy: [.content]) == [["c1"]: 6])
  }
}
