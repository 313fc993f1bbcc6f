public import Ports
import PostgresClient
public import Views

extension PostgresViewReader: IncidentReader {
  public func incidents(
    _ question: IncidentQuestion
  ) async throws(ViewReadError) -> [IncidentRow] {
    try await withSession { [schema] session throws(PostgresError) in
      try IncidentStatement(question, schema: schema).run(session)
    }
  }

  public func incidentCounts() async throws(ViewReadError) -> [IncidentRow.Severity: Int64] {
    try await withSession { [schema] session throws(PostgresError) in
      let result = try session.query(
        "select severity, count(*) from \(IncidentSelection.table(in: schema)) group by severity")
      try result.require(.int2, .int8)
      var counts: [IncidentRow.Severity: Int64] = [:]
      for row in 0..<result.rowCount {
        guard let severity = IncidentRow.Severity(rawValue: UInt8(clamping: result.int2(row, 0)))
        else { continue }
        counts[severity] = result.int8(row, 1)
      }
      return counts
    }
  }
}

/// Incidents that a question is about, the newest first.
struct IncidentStatement {
  private let question: IncidentQuestion
  private let schema: ViewSchema

  init(_ question: IncidentQuestion, schema: ViewSchema) {
    self.question = question
    self.schema = schema
  }

  func run(_ session: PostgresConnection) throws(PostgresError) -> [IncidentRow] {
    var parameters = PostgresParameters()
    parameters.append(text: question.site.map { StoredText.encode($0) })
    parameters.append(text: question.campaign.map { StoredText.encode($0) })
    parameters.append(bool: question.isOpen)
    parameters.append(timestamptz: question.since)
    parameters.append(int2: Int16(question.severity.rawValue))
    parameters.append(int8: question.id)
    parameters.append(int8: question.group)
    parameters.append(timestamptz: question.before?.begin)
    parameters.append(int8: question.before?.id)
    parameters.append(int8: Int64(question.limit))
    parameters.append(text: question.content.map { StoredText.encode($0) })
    let result = try session.query(
      """
      select \(IncidentSelection.columns(of: "i")) from \(IncidentSelection.table(in: schema)) i
      where ($1 is null or i.site = $1) and ($2 is null or i.campaign = $2)
        and ($3 is null or (i.end_at is null) = $3)
        and ($4 is null or i.end_at is null or i.end_at >= $4)
        and i.severity >= $5 and ($6 is null or i.id = $6) and ($7 is null or i.group_id = $7)
        and ($11 is null or i.content = $11)
        and ($8 is null or (i.begin_at, i.id) < ($8, $9))
      order by i.begin_at desc, i.id desc limit $10
      """, parameters)
    return (0..<result.rowCount).map { IncidentSelection.row(result, $0) }
  }
}
