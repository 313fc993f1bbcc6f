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
  func json(_ scan: PersonScan, _ reach: ScanReach, asOf: Int64) -> [UInt8] {
    var output = Array(#"{"results":["#.utf8)
    let people: PersonScan.People
    var rowCount = 0
    switch plan.request.body {
    case .funnel(let steps, let within, let by):
      var funnel = Funnel(
        Funnel.Question(
          isOptional: steps.map(\.isOptional), within: within,
          times: plan.range.from..<plan.range.to,
          watermark: reach.watermark ?? .min))
      people = scan.people { funnel.add($0) }
      rowCount = write(funnel, steps, by, people.values, to: &output)
    case .retention:
      var retention = Retention(Retention.Question(edges: plan.edges))
      people = scan.people { retention.add($0) }
      rowCount = write(retention, reach, to: &output)
    case .attribution(let model, _, _, let lookBack, _):
      var attribution = Attribution(
        Attribution.Question(
          model: model, lookBack: lookBack, times: plan.range.from..<plan.range.to))
      people = scan.people { attribution.add($0) }
      rowCount = write(attribution, people.values, to: &output)
    }
    output.append(contentsOf: #","meta":{"#.utf8)
    reach.write(asOf: asOf, rangeEnd: plan.end, to: &output)
    output.append(
      contentsOf:
        #","persons":\#(people.persons),"left_out":\#(people.leftOut),"row_count":\#(rowCount)},"query":"#
        .utf8)
    writeQuery(to: &output)
    output.append(UInt8(ascii: "}"))
    return output
  }

  // MARK: Funnels

  /// The values with the most persons first.
  private func write(
    _ funnel: Funnel, _ steps: [PersonRequest.Step], _ by: Dimension?, _ values: [[UInt8]],
    to output: inout [UInt8]
  ) -> Int {
    var rows = funnel.counts.map { (text: Self.text($0.key, values), counts: $0.value) }
    if rows.isEmpty && by == nil { rows = [("", Funnel.Counts(steps: steps.count))] }
    rows.sort { a, b in
      let (x, y) = (a.counts.steps[0].persons, b.counts.steps[0].persons)
      return x != y ? x > y : a.text.utf8.lexicographicallyPrecedes(b.text.utf8)
    }
    for (index, row) in rows.prefix(plan.request.base.limit).enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      output.append(UInt8(ascii: "{"))
      if let by {
        JSONText.append(by.name, to: &output)
        output.append(UInt8(ascii: ":"))
        JSONText.append(row.text, to: &output)
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
    return rows.count
  }

  // MARK: Retention

  private func write(
    _ retention: Retention, _ reach: ScanReach, to output: inout [UInt8]
  ) -> Int {
    // Periods that have not begun are not there.
    let begun = retention.cohorts.indices.filter { plan.edges[$0] <= reach.logTime ?? .min }
    for (place, index) in begun.enumerated() {
      if place > 0 { output.append(UInt8(ascii: ",")) }
      let cohort = retention.cohorts[index]
      output.append(contentsOf: #"{"cohort":"#.utf8)
      JSONText.append(time(plan.edges[index]), to: &output)
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
    return begun.count
  }

  // MARK: Attribution

  /// The values with the most credit first, then what all of them come to.
  private func write(
    _ attribution: Attribution, _ values: [[UInt8]], to output: inout [UInt8]
  ) -> Int {
    let rows = attribution.credits.map { (text: Self.text($0.key, values), credit: $0.value) }
      .sorted { a, b in
        let (x, y) = (a.credit.conversionMicros, b.credit.conversionMicros)
        return x != y ? x > y : a.text.utf8.lexicographicallyPrecedes(b.text.utf8)
      }
    for (index, row) in rows.prefix(plan.request.base.limit).enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      output.append(contentsOf: #"{"dimensions":["#.utf8)
      JSONText.append(row.text, to: &output)
      output.append(contentsOf: #"],"conversions":"#.utf8)
      output.append(contentsOf: AnswerWriter.text(micros: row.credit.conversionMicros).utf8)
      output.append(contentsOf: #","touched":\#(row.credit.touched),"revenue":"#.utf8)
      write(row.credit.revenueMicros, values, to: &output)
      output.append(UInt8(ascii: "}"))
    }
    let (with, without) = (attribution.attributed, attribution.unattributed)
    let all = with.conversions + without.conversions
    output.append(
      contentsOf:
        #"],"totals":{"conversions":\#(all),"attributed":\#(with.conversions),"attributed_revenue":"#
        .utf8)
    write(with.revenueMicros, values, to: &output)
    output.append(
      contentsOf: #","unattributed":\#(without.conversions),"unattributed_revenue":"#.utf8)
    write(without.revenueMicros, values, to: &output)
    write(rate: "unattributed_share", without.conversions, of: all, to: &output)
    output.append(UInt8(ascii: "}"))
    return rows.count
  }

  /// By currency, such as `{"EUR":1,"XXX":3.5}`.
  private func write(
    _ revenue: [UInt32: Int64], _ values: [[UInt8]], to output: inout [UInt8]
  ) {
    output.append(UInt8(ascii: "{"))
    let amounts = revenue.filter { $0.value != 0 }.map { (Self.text($0.key, values), $0.value) }
      .sorted { $0.0.utf8.lexicographicallyPrecedes($1.0.utf8) }
    for (index, amount) in amounts.enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      JSONText.append(amount.0.isEmpty ? "XXX" : amount.0, to: &output)
      output.append(contentsOf: ":\(AnswerWriter.text(micros: amount.1))".utf8)
    }
    output.append(UInt8(ascii: "}"))
  }

  // MARK: Parts

  private static func text(_ number: UInt32, _ values: [[UInt8]]) -> String {
    String(decoding: values[Int(number)], as: UTF8.self)
  }

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
    JSONText.append(time(plan.range.from), to: &output)
    output.append(UInt8(ascii: ","))
    JSONText.append(time(plan.range.to), to: &output)
    output.append(contentsOf: #"],"timezone":"#.utf8)
    JSONText.append(base.timezone, to: &output)
    output.append(contentsOf: #","traffic":"\#(base.traffic.rawValue)"}"#.utf8)
  }

  /// In the question's own zone.
  private func time(_ micros: Int64) -> String {
    CivilTime.text(
      micros: micros, offset: plan.zone.offset(at: CivilTime.floorDivide(micros, 1_000_000)))
  }
}
