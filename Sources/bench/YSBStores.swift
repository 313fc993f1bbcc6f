import Dataflow
import Events
import Ports
import PostgresClient
import RedisClient
import RedisViews
import Views

/// Reads the benchmark's results back from the stores.
struct YSBStores {
  let workload: YSBWorkload
  let spec: PipelineSpec

  func durable(_ settings: PostgresSettings) throws -> YSBCounts {
    let connection = try PostgresConnection(settings)
    let result = try connection.query(
      """
      select w.window_start, d.campaign, sum(w.views)::int8
      from p_ysb_\(spec.version).metrics_10s w
      join p_ysb_\(spec.version).dimensions d on d.id = w.dimension_id
      where w.final group by 1, 2
      """)
    let numbers = Dictionary(
      uniqueKeysWithValues: workload.campaigns.enumerated().map { ($1, $0) })
    var counts = YSBCounts()
    for row in 0..<result.rowCount {
      guard let campaign = numbers[result.text(row, 1)] else {
        throw BenchError("Postgres has an unknown campaign")
      }
      counts.add(
        startMs: result.timestamptz(row, 0) / 1000, campaign: campaign, result.int8(row, 2))
    }
    return counts
  }

  func hot(
    _ settings: RedisSettings, _ partitions: Int, _ expected: YSBCounts
  ) async throws -> YSBCounts {
    let reader = RedisViewReader(settings, pipeline: spec, generation: 1)
    let starts = expected.windows.keys
    let segment = Segment(
      level: .tenSeconds, from: (starts.min() ?? 0) * 1000,
      to: (starts.max() ?? 0) * 1000 + WindowLevel.tenSeconds.length)
    let answer = try await reader.read(
      segments: [segment],
      seams: Dictionary(uniqueKeysWithValues: (0..<partitions).map { ($0, Seams()) }))
    let numbers = workload.campaignsByTuple()
    var counts = YSBCounts()
    for row in answer.rows {
      guard let campaign = numbers[row.tuple] else {
        throw BenchError("Redis has an unknown campaign")
      }
      counts.add(startMs: row.row.start / 1000, campaign: campaign, row.row.counts.views)
    }
    return counts
  }
}
