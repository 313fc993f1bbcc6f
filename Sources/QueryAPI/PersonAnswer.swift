import Analyses
import Events
import HTTPServer
import LogScans
import Statistics
import Views

/// Writes what a scan has found of persons as JSON.
///
///     {"results":[…],"meta":{"position":…,"watermark":…,"persons":812,"left_out":0,…},"query":{…}}
struct PersonAnswer: Sendable {
  let plan: PersonPlan

  /// - Parameter asOf: the server's clock, microseconds since the epoch.
  func json(_ findings: PersonFindings, _ reach: ScanReach, asOf: Int64) -> [UInt8] {
    var output = Array(#"{"results":["#.utf8)
    let people = findings.people
    switch findings.body {
    case .funnel(let rows, let steps, let by): write(rows, steps, by, to: &output)
    case .retention(let retention, let begun): write(retention, begun, reach, to: &output)
    case .attribution(let rows, let attribution, _):
      write(rows, attribution, people, to: &output)
    }
    output.append(contentsOf: #","meta":{"#.utf8)
    reach.write(asOf: asOf, rangeEnd: plan.end, to: &output)
    output.append(
      contentsOf:
        #","persons":\#(people.persons),"left_out":\#(people.leftOut),"row_count":\#(findings.rowCount)},"query":"#
        .utf8)
    writeQuery(to: &output)
    output.append(UInt8(ascii: "}"))
    return output
  }

  // MARK: Funnels

  private func write(
    _ rows: [PersonFindings.FunnelRow], _ steps: [PersonRequest.Step], _ by: Dimension?,
    to output: inout [UInt8]
  ) {
    for (index, row) in rows.prefix(plan.request.base.limit).enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      output.append(UInt8(ascii: "{"))
      if let by {
        JSONText.append(by.name, to: &output)
        output.append(UInt8(ascii: ":"))
        JSONText.append(row.value, to: &output)
        output.append(UInt8(ascii: ","))
      }
      output.append(contentsOf: #""open":\#(row.counts.open),"steps":["#.utf8)
      var before = row.counts.steps[0].persons
      for (number, step) in steps.enumerated() {
        if number > 0 { output.append(UInt8(ascii: ",")) }
        let counted = row.counts.steps[number]
        output.append(contentsOf: #"{"name":"#.utf8)
        JSONText.append(step.name, to: &output)
        output.append(
          contentsOf: #","optional":\#(step.isOptional),"persons":\#(counted.persons)"#.utf8)
        write(rate: "from_before", counted.persons, of: before, to: &output)
        write(rate: "from_start", counted.persons, of: row.counts.steps[0].persons, to: &output)
        output.append(contentsOf: #","median_seconds":"#.utf8)
        JSONText.append(interval: counted.seconds.quantile(0.5), to: &output)
        output.append(UInt8(ascii: "}"))
        if !step.isOptional { before = counted.persons }
      }
      output.append(contentsOf: "]}".utf8)
    }
    output.append(UInt8(ascii: "]"))
  }

  // MARK: Retention

  private func write(
    _ retention: Retention, _ begun: [Int], _ reach: ScanReach, to output: inout [UInt8]
  ) {
    for (place, index) in begun.enumerated() {
      if place > 0 { output.append(UInt8(ascii: ",")) }
      let cohort = retention.cohorts[index]
      output.append(contentsOf: #"{"cohort":"#.utf8)
      JSONText.append(plan.text(of: plan.edges[index]), to: &output)
      output.append(contentsOf: #","persons":\#(cohort.persons),"periods":["#.utf8)
      for (period, returned) in cohort.returned.prefix(begun.count - place).enumerated() {
        if period > 0 { output.append(UInt8(ascii: ",")) }
        let isFinal = plan.edges[index + period + 1] <= reach.watermark ?? .min
        output.append(contentsOf: #"{"returned":\#(returned),"final":\#(isFinal)"#.utf8)
        write(rate: "rate", returned, of: cohort.persons, to: &output)
        output.append(UInt8(ascii: "}"))
      }
      output.append(contentsOf: "]}".utf8)
    }
    output.append(UInt8(ascii: "]"))
  }

  // MARK: Attribution

  /// The values with the most credit first, then what all of them come to.
  private func write(
    _ rows: [PersonFindings.CreditRow], _ attribution: Attribution, _ people: PersonScan.People,
    to output: inout [UInt8]
  ) {
    for (index, row) in rows.prefix(plan.request.base.limit).enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      output.append(contentsOf: #"{"dimensions":["#.utf8)
      JSONText.append(row.value, to: &output)
      output.append(contentsOf: #"],"conversions":"#.utf8)
      output.append(contentsOf: AnswerWriter.text(micros: row.credit.conversionMicros).utf8)
      output.append(contentsOf: #","touched":\#(row.credit.touched),"revenue":"#.utf8)
      write(people.amounts(row.credit.revenueMicros), to: &output)
      output.append(UInt8(ascii: "}"))
    }
    let (with, without) = (attribution.attributed, attribution.unattributed)
    let all = with.conversions + without.conversions
    output.append(
      contentsOf:
        #"],"totals":{"conversions":\#(all),"attributed":\#(with.conversions),"attributed_revenue":"#
        .utf8)
    write(people.amounts(with.revenueMicros), to: &output)
    output.append(
      contentsOf: #","unattributed":\#(without.conversions),"unattributed_revenue":"#.utf8)
    write(people.amounts(without.revenueMicros), to: &output)
    write(rate: "unattributed_share", without.conversions, of: all, to: &output)
    output.append(UInt8(ascii: "}"))
  }

  /// By currency, such as `{"EUR":1,"XXX":3.5}`.
  private func write(
    _ amounts: [(currency: String, micros: Int64)], to output: inout [UInt8]
  ) {
    output.append(UInt8(ascii: "{"))
    for (index, amount) in amounts.enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      JSONText.append(amount.currency, to: &output)
      output.append(contentsOf: ":\(AnswerWriter.text(micros: amount.micros))".utf8)
    }
    output.append(UInt8(ascii: "}"))
  }

  // MARK: Parts

  /// A rate and its interval, or null twice.
  private func write(rate name: String, _ part: Int64, of whole: Int64, to output: inout [UInt8]) {
    let interval = RateInterval(part, of: whole)
    output.append(contentsOf: #","\#(name)":"#.utf8)
    JSONText.append(interval: interval?.rate, to: &output)
    output.append(contentsOf: #","\#(name)_interval":"#.utf8)
    guard let interval else { return output.append(contentsOf: "null".utf8) }
    output.append(UInt8(ascii: "["))
    JSONText.append(interval: interval.lower, to: &output)
    output.append(UInt8(ascii: ","))
    JSONText.append(interval: interval.upper, to: &output)
    output.append(UInt8(ascii: "]"))
  }

  private func writeQuery(to output: inout [UInt8]) {
    let base = plan.request.base
    output.append(contentsOf: #"{"site_id":"#.utf8)
    JSONText.append(base.site, to: &output)
    output.append(contentsOf: #","pipeline":"#.utf8)
    JSONText.append(base.pipeline, to: &output)
    output.append(contentsOf: #","date_range":["#.utf8)
    JSONText.append(plan.text(of: plan.range.from), to: &output)
    output.append(UInt8(ascii: ","))
    JSONText.append(plan.text(of: plan.range.to), to: &output)
    output.append(contentsOf: #"],"timezone":"#.utf8)
    JSONText.append(base.timezone, to: &output)
    output.append(
      contentsOf: #","traffic":"\#(base.traffic.rawValue)","limit":\#(base.limit)"#.utf8)
    switch plan.request.body {
    case .funnel(_, let within, let by):
      output.append(contentsOf: #","within_seconds":\#(within / 1_000_000),"by":"#.utf8)
      output.append(contentsOf: (by.map { "\"\($0.name)\"" } ?? "null").utf8)
    case .retention(_, _, let period):
      output.append(contentsOf: #","period":"\#(period.rawValue)""#.utf8)
    case .attribution(let model, _, _, let lookBack, let by):
      output.append(
        contentsOf:
          #","model":"\#(model.name)","look_back_seconds":\#(lookBack / 1_000_000),"by":"\#(by.name)""#
          .utf8)
    }
    output.append(UInt8(ascii: "}"))
  }
}

extension AttributionModel {
  /// As questions name it.
  fileprivate var name: String {
    switch self {
    case .lastTouch: "last_touch"
    case .firstTouch: "first_touch"
    case .linear: "linear"
    case .position: "position"
    case .timeDecay: "time_decay"
    }
  }
}
