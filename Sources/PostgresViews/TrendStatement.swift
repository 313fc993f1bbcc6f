import Dataflow
import Events
import Ports
import PostgresClient
import Views

/// The newest hopping window of a pipeline, and the one a window's length before it.
///
/// Log time and watermark of the second stage tell which ends there can be: see
/// ``TrendPolicy/newestEnds(watermark:logTime:)``. Bots do not count, unless they are what is asked for.
struct TrendStatement: Sendable {
  private let site: String
  private let dimension: Dimension
  private let policy: TrendPolicy
  private let schema: ViewSchema
  private let groupCountMax: Int

  init(
    site: String, groupBy dimension: Dimension, policy: TrendPolicy, schema: ViewSchema,
    groupCountMax: Int
  ) {
    self.site = site
    self.dimension = dimension
    self.policy = policy
    self.schema = schema
    self.groupCountMax = groupCountMax
  }

  /// At most `groupCountMax` + 1 groups.
  func run(_ session: PostgresConnection) throws(PostgresError) -> TrendAnswer {
    let stream = StreamPartition.partials(of: schema.pipeline)
    let checkpoint = try CheckpointTable.read(in: schema, session)[stream]?.checkpoint
    var answer = TrendAnswer(
      end: nil, size: policy.size, groups: [], checkpoint: checkpoint ?? Checkpoint())
    guard let checkpoint, checkpoint.logTime != .min else { return answer }
    let ends = policy.newestEnds(watermark: checkpoint.watermark, logTime: checkpoint.logTime)
    let end = try newestEnd(ends, session) ?? ends.lowerBound
    answer.end = end
    var parameters = PostgresParameters()
    parameters.append(text: StoredText.encode(site))
    parameters.append(timestamptz: end)
    parameters.append(timestamptz: end - policy.size)
    let result = try session.query(text, parameters)
    answer.groups = (0..<result.rowCount).map { ViewGroup(result, row: $0, names: 1) }
    return answer
  }

  /// Where a window that is open at the checkpoint has only final rows, more are on their way
  /// (``TrendsAhead``).
  private func newestEnd(
    _ ends: ClosedRange<Int64>, _ session: PostgresConnection
  ) throws(PostgresError) -> Int64? {
    var parameters = PostgresParameters()
    parameters.append(timestamptz: ends.lowerBound)
    parameters.append(timestamptz: ends.upperBound)
    let result = try session.query(
      """
      select max(window_end) from \(schema.table(.trends))
      where window_end >= $1 and window_end <= $2 and (window_end = $1 or not final)
      """, parameters)
    try result.require(.timestamptz)
    return result.isNull(0, 0) ? nil : result.timestamptz(0, 0)
  }

  private var text: String {
    let columns = TimedTable.trends.sums
    let totals = columns.map { SumText.int8("sum(\($0))") }.joined(separator: ", ")
    return """
      with picked as materialized (
        select id, \(dimension.name) as value, currency from \(schema.name).dimensions
        where site = $1\(dimension == .traffic ? "" : " and traffic = ''")
      )
      select (window_end = $2)::int as bucket, p.value, p.currency, \(totals)
      from \(schema.table(.trends)) t join picked p on p.id = t.dimension_id
      where window_end in ($2, $3)
      group by bucket, p.value, p.currency order by bucket, p.value, p.currency
      limit \(groupCountMax + 1)
      """
  }
}
