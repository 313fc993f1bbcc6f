import Analyses
import Events
import LogScans
import Statistics
import Views

/// What a scan has found of persons as CSV: of a funnel a row for each value and step, of retention one for each
/// cohort and period, of attribution one for each value and at the end one without a value for what has no touch.
struct PersonCSV {
  let plan: PersonPlan

  func table(_ findings: PersonFindings) -> [UInt8] {
    switch findings.body {
    case .funnel(let rows, let steps, let by): table(rows, steps, by)
    case .retention(let retention, let begun):
      table(retention.cohorts, begun)
    case .attribution(let rows, let attribution, let by):
      table(rows, attribution.unattributed, by, findings.people)
    }
  }

  private func table(
    _ rows: [PersonFindings.FunnelRow], _ steps: [PersonRequest.Step], _ by: Dimension?
  ) -> [UInt8] {
    var table = CSVTable(
      header: (by.map { [$0.name] } ?? []) + ["step", "name", "optional", "persons"]
        + Self.names(rate: "from_before") + Self.names(rate: "from_start")
        + ["median_seconds", "open"])
    for row in rows.prefix(plan.request.base.limit) {
      let start = row.counts.steps[0].persons
      var before = start
      for (number, step) in steps.enumerated() {
        let counted = row.counts.steps[number]
        var cells: [CSVTable.Cell] = by == nil ? [] : [.text(row.value)]
        cells += [.number("\(number + 1)"), .text(step.name), .text("\(step.isOptional)")]
        cells.append(.number("\(counted.persons)"))
        cells += Self.cells(counted.persons, of: before) + Self.cells(counted.persons, of: start)
        cells += [CSVAnswer.cell(counted.seconds.quantile(0.5)), .number("\(row.counts.open)")]
        table.append(cells)
        if !step.isOptional { before = counted.persons }
      }
    }
    return table.bytes
  }

  private func table(_ cohorts: [Retention.Cohort], _ begun: [Int]) -> [UInt8] {
    var table = CSVTable(
      header: ["cohort", "persons", "period", "returned"] + Self.names(rate: "rate"))
    for (place, index) in begun.enumerated() {
      let cohort = cohorts[index]
      for (period, returned) in cohort.returned.prefix(begun.count - place).enumerated() {
        table.append(
          [
            .text(plan.text(of: plan.edges[index])), .number("\(cohort.persons)"),
            .number("\(period + 1)"), .number("\(returned)"),
          ] + Self.cells(returned, of: cohort.persons))
      }
    }
    return table.bytes
  }

  private func table(
    _ rows: [PersonFindings.CreditRow], _ rest: Attribution.Total, _ by: Dimension,
    _ people: PersonScan.People
  ) -> [UInt8] {
    let amounts = rows.map { people.amounts($0.credit.revenueMicros) }
    let restAmounts = people.amounts(rest.revenueMicros)
    let currencies = Set((amounts + [restAmounts]).joined().map(\.currency)).sorted()
    func money(_ amounts: [(currency: String, micros: Int64)]) -> [CSVTable.Cell] {
      currencies.map { currency in
        let micros = amounts.first { $0.currency == currency }?.micros ?? 0
        return .number(AnswerWriter.text(micros: micros))
      }
    }
    var table = CSVTable(
      header: [by.name, "attributed", "conversions", "touched"]
        + currencies.map { "revenue_\($0)" })
    for (row, amounts) in zip(rows, amounts).prefix(plan.request.base.limit) {
      table.append(
        [
          .text(row.value), .text("true"),
          .number(AnswerWriter.text(micros: row.credit.conversionMicros)),
          .number("\(row.credit.touched)"),
        ] + money(amounts))
    }
    table.append(
      [.empty, .text("false"), .number("\(rest.conversions)"), .empty] + money(restAmounts))
    return table.bytes
  }

  private static func names(rate name: String) -> [String] {
    [name, "\(name)_low", "\(name)_high"]
  }

  private static func cells(_ part: Int64, of whole: Int64) -> [CSVTable.Cell] {
    let interval = RateInterval(part, of: whole)
    return [interval?.rate, interval?.lower, interval?.upper].map(CSVAnswer.cell)
  }
}
