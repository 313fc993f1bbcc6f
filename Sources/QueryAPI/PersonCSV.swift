import Analyses
import Events
import LogScans
import Statistics
import Views

/// What a scan has found of persons as CSV: of a funnel a row for each value and step, of retention one for each
/// cohort and period, of attribution one for each value and at the end one without a value for what has no touch, of
/// sessions one for each value.
///
/// What is compared with the period before adds `_before` and `_change` for counts, and for rates `_before`,
/// `_difference_low` and `_difference_high`.
struct PersonCSV {
  let plans: PersonPlan.Plans

  private var request: PersonRequest { plans.now.request }
  private var names: [String] { plans.now.names }

  func table(_ findings: PersonFindings) -> [UInt8] {
    switch (findings.now.body, findings.before?.body) {
    case (.funnel(let rows), .funnel(let before)?): table(rows, before)
    case (.funnel(let rows), _): table(rows, nil)
    case (.retention(let rows, let begun), .retention(let before, _)?): table(rows, begun, before)
    case (.retention(let rows, let begun), _): table(rows, begun, nil)
    case (.attribution(let rows, _, let rest), let before): table(rows, rest, before, findings)
    case (.sessions(let rows), .sessions(let before)?): table(rows, before)
    case (.sessions(let rows), _): table(rows, nil)
    }
  }

  private func table(
    _ rows: [PersonPeriod.Row<Funnel.Counts>], _ earlier: [PersonPeriod.Row<Funnel.Counts>]?
  ) -> [UInt8] {
    guard case .funnel(let steps, _) = request.body else { return [] }
    var header = names + ["step", "name", "optional", "persons"] + Self.names(rate: "from_before")
    header += Self.names(rate: "from_start") + ["median_seconds", "open"]
    if earlier != nil { header += Self.before("persons") + Self.before(rate: "from_start") }
    var table = CSVTable(header: header)
    let all = earlier.map(PersonPeriod.byGroup)
    for row in rows.prefix(request.base.limit) {
      let start = row.value.steps[0].persons
      var last = start
      for (number, step) in steps.enumerated() {
        let counted = row.value.steps[number]
        var cells: [CSVTable.Cell] = plans.now.texts(of: row.group).map { .text($0) }
        cells += [.number("\(number + 1)"), .text(step.name), .text("\(step.isOptional)")]
        cells.append(.number("\(counted.persons)"))
        cells += Self.cells(RateInterval(counted.persons, of: last))
        cells += Self.cells(RateInterval(counted.persons, of: start))
        cells += [CSVAnswer.cell(counted.seconds.quantile(0.5)), .number("\(row.value.open)")]
        if let all {
          let then = all[row.group] ?? Funnel.Counts(steps: steps.count)
          cells += Self.before(counted.persons, then.steps[number].persons)
          cells += Self.before(
            RateInterval(counted.persons, of: start),
            RateInterval(then.steps[number].persons, of: then.steps[0].persons))
        }
        table.append(cells)
        if !step.isOptional { last = counted.persons }
      }
    }
    return table.bytes
  }

  private func table(
    _ rows: [PersonPeriod.Row<[Retention.Cohort]>], _ begun: Int,
    _ earlier: [PersonPeriod.Row<[Retention.Cohort]>]?
  ) -> [UInt8] {
    var header = names + ["cohort", "persons", "period", "returned"] + Self.names(rate: "rate")
    if earlier != nil {
      header += ["persons_before", "returned_before"] + Self.before(rate: "rate")
    }
    var table = CSVTable(header: header)
    let all = earlier.map(PersonPeriod.byGroup)
    for row in rows.prefix(request.base.limit) {
      for index in 0..<begun {
        let cohort = row.value[index]
        for (period, returned) in cohort.returned.prefix(begun - index).enumerated() {
          var cells: [CSVTable.Cell] = plans.now.texts(of: row.group).map { .text($0) }
          cells.append(.text(plans.now.text(of: plans.now.edges[index])))
          cells += [cohort.persons, Int64(period + 1), returned].map { .number("\($0)") }
          cells += Self.cells(cohort.rate(period))
          if let all {
            let then =
              all[row.group]?[index]
              ?? Retention.Cohort(periods: cohort.returned.count)
            cells += [then.persons, then.returned[period]].map { .number("\($0)") }
            cells += Self.before(cohort.rate(period), then.rate(period))
          }
          table.append(cells)
        }
      }
    }
    return table.bytes
  }

  private func table(
    _ rows: [PersonPeriod.Row<Attribution.Credit>], _ rest: Attribution.Total,
    _ before: PersonPeriod.Body?, _ findings: PersonFindings
  ) -> [UInt8] {
    let people = findings.now.people
    let amounts = rows.map { people.amounts($0.value.revenueMicros) }
    let restAmounts = people.amounts(rest.revenueMicros)
    let currencies = Set((amounts + [restAmounts]).joined().map(\.currency)).sorted()
    func money(_ amounts: [(currency: String, micros: Int64)]) -> [CSVTable.Cell] {
      currencies.map { currency in
        let micros = amounts.first { $0.currency == currency }?.micros ?? 0
        return .number(AnswerWriter.text(micros: micros))
      }
    }
    var earlier: (credits: [PersonGroup: Attribution.Credit], rest: Attribution.Total)?
    if case .attribution(let rows, _, let rest)? = before {
      earlier = (PersonPeriod.byGroup(rows), rest)
    }
    var header = names + ["attributed", "conversions", "touched"]
    header += currencies.map { "revenue_\($0)" }
    if earlier != nil { header += Self.before("conversions") + Self.before("touched") }
    var table = CSVTable(header: header)
    for (row, amounts) in zip(rows, amounts).prefix(request.base.limit) {
      var cells: [CSVTable.Cell] = plans.now.texts(of: row.group).map { .text($0) }
      cells += [
        .text("true"), .number(AnswerWriter.text(micros: row.value.conversionMicros)),
        .number("\(row.value.touched)"),
      ]
      cells += money(amounts)
      if let earlier {
        let then = earlier.credits[row.group] ?? Attribution.Credit()
        cells.append(.number(AnswerWriter.text(micros: then.conversionMicros)))
        cells.append(Self.change(row.value.conversionMicros, then.conversionMicros))
        cells += Self.before(row.value.touched, then.touched)
      }
      table.append(cells)
    }
    var cells: [CSVTable.Cell] = names.map { _ in .empty }
    cells += [.text("false"), .number("\(rest.conversions)"), .empty] + money(restAmounts)
    if let earlier {
      cells += Self.before(rest.conversions, earlier.rest.conversions) + [.empty, .empty]
    }
    table.append(cells)
    return table.bytes
  }

  private func table(
    _ rows: [PersonPeriod.Row<Sessions.Counts>], _ earlier: [PersonPeriod.Row<Sessions.Counts>]?
  ) -> [UInt8] {
    var header = names + ["sessions", "open", "bounces"] + Self.names(rate: "bounce_rate")
    header += ["events_per_session", "session_duration"]
    header += Sessions.Counts.percents.map { "duration_p\($0)" }
    if earlier != nil {
      header += Self.before("sessions") + Self.before(rate: "bounce_rate")
      header += ["session_duration_before", "session_duration_change"]
    }
    var table = CSVTable(header: header)
    let all = earlier.map(PersonPeriod.byGroup)
    for row in rows.prefix(request.base.limit) {
      let counts = row.value
      var cells: [CSVTable.Cell] = plans.now.texts(of: row.group).map { .text($0) }
      cells += [counts.sessions, counts.open, counts.bounces].map { .number("\($0)") }
      cells += Self.cells(counts.bounceRate)
      cells += [CSVAnswer.cell(counts.eventsPerSession), CSVAnswer.cell(counts.meanSeconds)]
      cells += Sessions.Counts.percents.map {
        CSVAnswer.cell(counts.seconds.quantile(Double($0) / 100))
      }
      if let all {
        let then = all[row.group] ?? Sessions.Counts()
        cells += Self.before(counts.sessions, then.sessions)
        cells += Self.before(counts.bounceRate, then.bounceRate)
        cells.append(CSVAnswer.cell(then.meanSeconds))
        cells.append(
          CSVAnswer.cell(
            counts.meanSeconds.flatMap { now in
              then.meanSeconds.flatMap { NumbersChange.change(now, $0) }
            }))
      }
      table.append(cells)
    }
    return table.bytes
  }

  // MARK: Parts

  private static func names(rate name: String) -> [String] {
    [name, "\(name)_low", "\(name)_high"]
  }

  private static func cells(_ rate: RateInterval?) -> [CSVTable.Cell] {
    [rate?.rate, rate?.lower, rate?.upper].map(CSVAnswer.cell)
  }

  private static func before(_ name: String) -> [String] { ["\(name)_before", "\(name)_change"] }

  private static func before(_ now: Int64, _ then: Int64) -> [CSVTable.Cell] {
    [.number("\(then)"), change(now, then)]
  }

  private static func change(_ now: Int64, _ then: Int64) -> CSVTable.Cell {
    CSVAnswer.cell(NumbersChange.change(Double(now), Double(then)))
  }

  private static func before(rate name: String) -> [String] {
    ["\(name)_before", "\(name)_difference_low", "\(name)_difference_high"]
  }

  private static func before(_ now: RateInterval?, _ then: RateInterval?) -> [CSVTable.Cell] {
    let ends = now?.ends(ofDifferenceFrom: then)
    return [then?.rate, ends?.lower, ends?.upper].map(CSVAnswer.cell)
  }
}
