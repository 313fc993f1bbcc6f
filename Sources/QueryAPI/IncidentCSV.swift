import Events
import Views

/// Incidents as CSV: a row each, with what the JSON of ``IncidentReport`` has but for the series, a list that has no cell.
enum IncidentCSV {
  private static let header = [
    "id", "site", "campaign", "content", "kind", "severity", "open", "begin", "end", "evidence",
    "observed", "expected", "range_low", "range_high", "change", "contributor_dimension",
    "contributor_value", "contributor_share", "group", "feedback", "revision", "summary",
  ]

  static func table(
    _ rows: some Sequence<IncidentRow>, clock: IncidentSummary.LocalClock
  ) -> [UInt8] {
    var table = CSVTable(header: header)
    for row in rows {
      let about = [
        "\(row.id)", row.site, row.campaign, row.content, row.kind.name, row.severity.name,
        "\(row.end == nil)", Timestamp.format(row.begin),
      ]
      var cells = about.map { CSVTable.Cell.text($0) }
      cells.append(.known(row.end.map(Timestamp.format)))
      cells += [CSVAnswer.cell(row.evidence), .number("\(row.observed)")]
      cells += [row.expected, row.lower, row.upper, row.change].map(CSVAnswer.cell)
      cells.append(.known(row.contributor?.dimension.name))
      cells.append(.known(row.contributor?.value))
      cells.append(CSVAnswer.cell(row.contributor?.share))
      cells += [.text("\(row.group)"), .known(row.feedback?.name), .number("\(row.revision)")]
      cells.append(.text(IncidentSummary(row, clock: clock).text))
      table.append(cells)
    }
    return table.bytes
  }
}
