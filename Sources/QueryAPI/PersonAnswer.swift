import Analyses
import Events
import HTTPServer
import LogScans
import Statistics
import Views

/// Writes what a scan has found of persons as JSON.
///
///     {"results":[…],"meta":{"position":…,"watermark":…,"persons":812,"left_out":0,…},"query":{…}}
///
/// Where it is compared, each row has the same of the period before as `previous`.
struct PersonAnswer: Sendable {
  let plans: PersonPlan.Plans

  private var plan: PersonPlan { plans.now }
  private var request: PersonRequest { plans.now.request }

  /// - Parameter asOf: the server's clock, microseconds since the epoch.
  func json(_ findings: PersonFindings, asOf: Int64) -> [UInt8] {
    var output = Array(#"{"results":["#.utf8)
    switch (findings.now.body, findings.before?.body) {
    case (.funnel(let rows), .funnel(let before)?): write(rows, before, to: &output)
    case (.funnel(let rows), _): write(rows, nil, to: &output)
    case (.retention(let rows, let begun), .retention(let before, _)?):
      write(rows, begun, before, findings, to: &output)
    case (.retention(let rows, let begun), _): write(rows, begun, nil, findings, to: &output)
    case (.attribution(let rows, let with, let without), let before):
      write(rows, (with, without), before, findings, to: &output)
    case (.sessions(let rows), .sessions(let before)?): write(rows, before, to: &output)
    case (.sessions(let rows), _): write(rows, nil, to: &output)
    }
    let people = findings.now.people
    output.append(text: #","meta":{"#)
    findings.reach.write(asOf: asOf, rangeEnd: plan.end, to: &output)
    output.append(
      text: #","persons":\#(people.persons),"left_out":\#(people.leftOut),"#
        + #""passes":\#(findings.passes),"row_count":\#(findings.now.rowCount)},"query":"#)
    writeQuery(to: &output)
    output.append(UInt8(ascii: "}"))
    return output
  }

  private func shown<Value>(_ rows: [PersonPeriod.Row<Value>]) -> ArraySlice<
    PersonPeriod.Row<Value>
  > {
    rows.prefix(request.base.limit)
  }

  /// `"campaign":"spring",` for each dimension that the answer is told apart by.
  private func write(_ group: PersonGroup, to output: inout [UInt8]) {
    for (name, value) in zip(plan.names, plan.texts(of: group)) {
      JSONText.append(name, to: &output)
      output.append(UInt8(ascii: ":"))
      JSONText.append(value, to: &output)
      output.append(UInt8(ascii: ","))
    }
  }

  // MARK: Funnels

  private var steps: [PersonRequest.Step] {
    if case .funnel(let steps, _) = request.body { steps } else { [] }
  }

  private func write(
    _ rows: [PersonPeriod.Row<Funnel.Counts>], _ before: [PersonPeriod.Row<Funnel.Counts>]?,
    to output: inout [UInt8]
  ) {
    let earlier = before.map(PersonPeriod.byGroup)
    for (index, row) in shown(rows).enumerated() {
      output.append(text: index > 0 ? ",{" : "{")
      write(row.group, to: &output)
      write(row.value, to: &output)
      if let earlier {
        let before = earlier[row.group] ?? Funnel.Counts(steps: steps.count)
        output.append(text: #","previous":{"#)
        write(before, to: &output)
        output.append(text: #","changes":["#)
        for number in steps.indices {
          if number > 0 { output.append(UInt8(ascii: ",")) }
          write(change: row.value.steps[number].persons, before.steps[number].persons, to: &output)
        }
        output.append(text: #"],"differences":["#)
        for number in steps.indices {
          if number > 0 { output.append(UInt8(ascii: ",")) }
          write(difference: rate(number, row.value), rate(number, before), to: &output)
        }
        output.append(text: "]}")
      }
      output.append(UInt8(ascii: "}"))
    }
    output.append(UInt8(ascii: "]"))
  }

  /// Of those who began, who reach a step.
  private func rate(_ step: Int, _ counts: Funnel.Counts) -> RateInterval? {
    RateInterval(counts.steps[step].persons, of: counts.steps[0].persons)
  }

  private func write(_ counts: Funnel.Counts, to output: inout [UInt8]) {
    output.append(text: #""open":\#(counts.open),"steps":["#)
    var before = counts.steps[0].persons
    for (number, step) in steps.enumerated() {
      if number > 0 { output.append(UInt8(ascii: ",")) }
      let counted = counts.steps[number]
      output.append(text: #"{"name":"#)
      JSONText.append(step.name, to: &output)
      output.append(text: #","optional":\#(step.isOptional),"persons":\#(counted.persons)"#)
      write(rate: "from_before", RateInterval(counted.persons, of: before), to: &output)
      write(rate: "from_start", rate(number, counts), to: &output)
      write(number: "median_seconds", counted.seconds.quantile(0.5), to: &output)
      output.append(UInt8(ascii: "}"))
      if !step.isOptional { before = counted.persons }
    }
    output.append(UInt8(ascii: "]"))
  }

  // MARK: Retention

  private func write(
    _ rows: [PersonPeriod.Row<[Retention.Cohort]>], _ begun: Int,
    _ before: [PersonPeriod.Row<[Retention.Cohort]>]?, _ findings: PersonFindings,
    to output: inout [UInt8]
  ) {
    let earlier = before.map(PersonPeriod.byGroup)
    var isFirst = true
    for row in shown(rows) {
      for index in 0..<begun {
        output.append(text: isFirst ? "{" : ",{")
        isFirst = false
        write(row.group, to: &output)
        write(row.value[index], index, begun - index, plan, findings, to: &output)
        if let earlier, let plan = plans.before {
          let cohort =
            earlier[row.group]?[index]
            ?? Retention.Cohort(periods: row.value[index].returned.count)
          output.append(text: #","previous":{"#)
          write(cohort, index, begun - index, plan, findings, to: &output)
          output.append(text: #","change":"#)
          write(change: row.value[index].persons, cohort.persons, to: &output)
          output.append(text: #","differences":["#)
          for period in 0..<begun - index {
            if period > 0 { output.append(UInt8(ascii: ",")) }
            write(
              difference: row.value[index].rate(period), cohort.rate(period), to: &output)
          }
          output.append(text: "]}")
        }
        output.append(UInt8(ascii: "}"))
      }
    }
    output.append(UInt8(ascii: "]"))
  }

  private func write(
    _ cohort: Retention.Cohort, _ index: Int, _ periods: Int, _ plan: PersonPlan,
    _ findings: PersonFindings, to output: inout [UInt8]
  ) {
    output.append(text: #""cohort":"#)
    JSONText.append(plan.text(of: plan.edges[index]), to: &output)
    output.append(text: #","persons":\#(cohort.persons),"periods":["#)
    for (period, returned) in cohort.returned.prefix(periods).enumerated() {
      if period > 0 { output.append(UInt8(ascii: ",")) }
      let isFinal = plan.edges[index + period + 1] <= findings.reach.watermark ?? .min
      output.append(text: #"{"returned":\#(returned),"final":\#(isFinal)"#)
      write(rate: "rate", cohort.rate(period), to: &output)
      output.append(UInt8(ascii: "}"))
    }
    output.append(UInt8(ascii: "]"))
  }

  // MARK: Attribution

  private typealias Totals = (with: Attribution.Total, without: Attribution.Total)

  /// The values with the most credit first, then what all of them come to.
  private func write(
    _ rows: [PersonPeriod.Row<Attribution.Credit>], _ totals: Totals,
    _ before: PersonPeriod.Body?, _ findings: PersonFindings, to output: inout [UInt8]
  ) {
    var earlier: (rows: [PersonGroup: Attribution.Credit], totals: Totals, people: PersonPeople)?
    if case .attribution(let rows, let with, let without)? = before, let period = findings.before {
      earlier = (PersonPeriod.byGroup(rows), (with, without), period.people)
    }
    let people = findings.now.people
    for (index, row) in shown(rows).enumerated() {
      output.append(text: index > 0 ? #",{"dimensions":["# : #"{"dimensions":["#)
      for (place, value) in plan.texts(of: row.group).enumerated() {
        if place > 0 { output.append(UInt8(ascii: ",")) }
        JSONText.append(value, to: &output)
      }
      output.append(text: "],")
      write(row.value, people, to: &output)
      if let earlier {
        let credit = earlier.rows[row.group] ?? Attribution.Credit()
        output.append(text: #","previous":{"#)
        write(credit, earlier.people, to: &output)
        output.append(text: #","changes":{"conversions":"#)
        write(change: row.value.conversionMicros, credit.conversionMicros, to: &output)
        output.append(text: #","touched":"#)
        write(change: row.value.touched, credit.touched, to: &output)
        output.append(text: "}}")
      }
      output.append(UInt8(ascii: "}"))
    }
    output.append(text: #"],"totals":{"#)
    write(totals, people, to: &output)
    if let earlier {
      output.append(text: #","previous":{"#)
      write(earlier.totals, earlier.people, to: &output)
      output.append(text: #","changes":{"conversions":"#)
      write(change: Self.all(totals), Self.all(earlier.totals), to: &output)
      output.append(text: #","attributed":"#)
      write(change: totals.with.conversions, earlier.totals.with.conversions, to: &output)
      output.append(text: "}}")
    }
    output.append(UInt8(ascii: "}"))
  }

  private static func all(_ totals: Totals) -> Int64 {
    totals.with.conversions + totals.without.conversions
  }

  private func write(
    _ credit: Attribution.Credit, _ people: PersonPeople, to output: inout [UInt8]
  ) {
    output.append(
      text: #""conversions":\#(AnswerWriter.text(micros: credit.conversionMicros)),"#
        + #""touched":\#(credit.touched),"revenue":"#)
    write(people.amounts(credit.revenueMicros), to: &output)
  }

  private func write(_ totals: Totals, _ people: PersonPeople, to output: inout [UInt8]) {
    let (with, without) = totals
    output.append(
      text: #""conversions":\#(Self.all(totals)),"attributed":\#(with.conversions),"#
        + #""attributed_revenue":"#)
    write(people.amounts(with.revenueMicros), to: &output)
    output.append(text: #","unattributed":\#(without.conversions),"unattributed_revenue":"#)
    write(people.amounts(without.revenueMicros), to: &output)
    write(
      rate: "unattributed_share", RateInterval(without.conversions, of: Self.all(totals)),
      to: &output)
  }

  /// By currency, such as `{"EUR":1,"XXX":3.5}`.
  private func write(
    _ amounts: [(currency: String, micros: Int64)], to output: inout [UInt8]
  ) {
    output.append(UInt8(ascii: "{"))
    for (index, amount) in amounts.enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      JSONText.append(amount.currency, to: &output)
      output.append(text: ":\(AnswerWriter.text(micros: amount.micros))")
    }
    output.append(UInt8(ascii: "}"))
  }

  // MARK: Sessions

  private func write(
    _ rows: [PersonPeriod.Row<Sessions.Counts>], _ before: [PersonPeriod.Row<Sessions.Counts>]?,
    to output: inout [UInt8]
  ) {
    let earlier = before.map(PersonPeriod.byGroup)
    for (index, row) in shown(rows).enumerated() {
      output.append(text: index > 0 ? ",{" : "{")
      write(row.group, to: &output)
      write(row.value, to: &output)
      if let earlier {
        let before = earlier[row.group] ?? Sessions.Counts()
        output.append(text: #","previous":{"#)
        write(before, to: &output)
        output.append(text: #","changes":{"sessions":"#)
        write(change: row.value.sessions, before.sessions, to: &output)
        output.append(text: #","session_duration":"#)
        let (now, then) = (row.value.meanSeconds, before.meanSeconds)
        JSONText.append(
          interval: now.flatMap { now in then.flatMap { NumbersChange.change(now, $0) } },
          to: &output)
        output.append(text: #"},"differences":{"bounce_rate":"#)
        write(difference: row.value.bounceRate, before.bounceRate, to: &output)
        output.append(text: "}}")
      }
      output.append(UInt8(ascii: "}"))
    }
    output.append(UInt8(ascii: "]"))
  }

  private func write(_ counts: Sessions.Counts, to output: inout [UInt8]) {
    output.append(
      text: #""sessions":\#(counts.sessions),"open":\#(counts.open),"bounces":\#(counts.bounces)"#)
    write(rate: "bounce_rate", counts.bounceRate, to: &output)
    write(number: "events_per_session", counts.eventsPerSession, to: &output)
    write(number: "session_duration", counts.meanSeconds, to: &output)
    for percent in Sessions.Counts.percents {
      write(
        number: "duration_p\(percent)", counts.seconds.quantile(Double(percent) / 100), to: &output)
    }
  }

  // MARK: Parts

  private func write(number name: String, _ value: Double?, to output: inout [UInt8]) {
    output.append(text: #","\#(name)":"#)
    JSONText.append(interval: value, to: &output)
  }

  /// A rate and its interval, or null twice.
  private func write(rate name: String, _ rate: RateInterval?, to output: inout [UInt8]) {
    write(number: name, rate?.rate, to: &output)
    output.append(text: #","\#(name)_interval":"#)
    JSONText.append(ends: rate.map { ($0.lower, $0.upper) }, to: &output)
  }

  private func write(change now: Int64, _ before: Int64, to output: inout [UInt8]) {
    JSONText.append(
      interval: NumbersChange.change(Double(now), Double(before)), to: &output)
  }

  private func write(
    difference now: RateInterval?, _ before: RateInterval?, to output: inout [UInt8]
  ) {
    JSONText.append(ends: now?.ends(ofDifferenceFrom: before), to: &output)
  }

  private func writeQuery(to output: inout [UInt8]) {
    let base = request.base
    output.append(text: #"{"site_id":"#)
    JSONText.append(base.site, to: &output)
    output.append(text: #","pipeline":"#)
    JSONText.append(base.pipeline, to: &output)
    output.append(text: #","date_range":"#)
    write(plan.range, to: &output)
    if let before = plans.before {
      output.append(text: #","compare":"previous","previous_date_range":"#)
      write(before.range, to: &output)
    }
    output.append(text: #","timezone":"#)
    JSONText.append(base.timezone, to: &output)
    output.append(
      text: #","traffic":"\#(base.traffic.rawValue)","limit":\#(base.limit),"by":["#
        + plan.names.map { JSONText.quoted($0) }.joined(separator: ",") + #"],"filters":"#)
    request.filters.write(to: &output)
    switch request.body {
    case .funnel(_, let within): output.append(text: #","within_seconds":\#(within / 1_000_000)"#)
    case .retention(_, _, let period):
      output.append(text: #","period":"\#(period.rawValue)""#)
    case .attribution(let model, _, _, let lookBack):
      output.append(
        text: #","model":"\#(model.name)","look_back_seconds":\#(lookBack / 1_000_000)"#)
    case .sessions: break
    }
    output.append(UInt8(ascii: "}"))
  }

  private func write(_ range: TimeRange, to output: inout [UInt8]) {
    output.append(UInt8(ascii: "["))
    JSONText.append(plan.text(of: range.from), to: &output)
    output.append(UInt8(ascii: ","))
    JSONText.append(plan.text(of: range.to), to: &output)
    output.append(UInt8(ascii: "]"))
  }
}

extension [UInt8] {
  fileprivate mutating func append(text: String) { append(contentsOf: text.utf8) }
}
