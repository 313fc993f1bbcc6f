import Analyses
import Events
import LogScans
import Views

/// What a scan has found of persons, in the order in which it is written.
struct PersonFindings {
  enum Body {
    case funnel([FunnelRow], steps: [PersonRequest.Step], by: Dimension?)
    /// Indices of the cohorts that have begun.
    case retention(Retention, begun: [Int])
    case attribution([CreditRow], Attribution, by: Dimension)
  }

  struct FunnelRow {
    /// The value of the dimension; empty without one.
    var value: String
    var counts: Funnel.Counts
  }

  struct CreditRow {
    var value: String
    var credit: Attribution.Credit
  }

  let body: Body
  let people: PersonScan.People

  init(_ scan: PersonScan, _ reach: ScanReach, _ plan: PersonPlan) {
    let times = plan.range.from..<plan.range.to
    switch plan.request.body {
    case .funnel(let steps, let within, let by):
      var funnel = Funnel(
        Funnel.Question(
          isOptional: steps.map(\.isOptional), within: within, times: times,
          watermark: reach.watermark ?? .min))
      let people = scan.people { funnel.add($0) }
      self.people = people
      body = .funnel(Self.rows(funnel, steps, by, people), steps: steps, by: by)
    case .retention:
      var retention = Retention(Retention.Question(edges: plan.edges))
      people = scan.people { retention.add($0) }
      let begun = retention.cohorts.indices.filter { plan.edges[$0] <= reach.logTime ?? .min }
      body = .retention(retention, begun: begun)
    case .attribution(let model, _, _, let lookBack, let by):
      var attribution = Attribution(
        Attribution.Question(model: model, lookBack: lookBack, times: times))
      let people = scan.people { attribution.add($0) }
      self.people = people
      body = .attribution(Self.rows(attribution, people), attribution, by: by)
    }
  }

  /// How many rows there are before the limit.
  var rowCount: Int {
    switch body {
    case .funnel(let rows, _, _): rows.count
    case .retention(_, let begun): begun.count
    case .attribution(let rows, _, _): rows.count
    }
  }

  /// The values with the most persons first.
  private static func rows(
    _ funnel: Funnel, _ steps: [PersonRequest.Step], _ by: Dimension?, _ people: PersonScan.People
  ) -> [FunnelRow] {
    let rows = funnel.counts.map { FunnelRow(value: people.text($0.key), counts: $0.value) }
    if rows.isEmpty && by == nil {
      return [FunnelRow(value: "", counts: Funnel.Counts(steps: steps.count))]
    }
    return rows.sorted { a, b in
      let (x, y) = (a.counts.steps[0].persons, b.counts.steps[0].persons)
      return x != y ? x > y : a.value.utf8.lexicographicallyPrecedes(b.value.utf8)
    }
  }

  /// The values with the most credit first.
  private static func rows(
    _ attribution: Attribution, _ people: PersonScan.People
  ) -> [CreditRow] {
    attribution.credits.map { CreditRow(value: people.text($0.key), credit: $0.value) }
      .sorted { a, b in
        let (x, y) = (a.credit.conversionMicros, b.credit.conversionMicros)
        return x != y ? x > y : a.value.utf8.lexicographicallyPrecedes(b.value.utf8)
      }
  }
}

extension PersonScan.People {
  /// The text that a number of ``values`` stands for.
  func text(_ number: UInt32) -> String {
    String(decoding: values[Int(number)], as: UTF8.self)
  }

  /// Amounts other than zero by currency, `XXX` for money without one, in order of their names.
  func amounts(_ revenueMicros: [UInt32: Int64]) -> [(currency: String, micros: Int64)] {
    revenueMicros.filter { $0.value != 0 }
      .map { (currency: text($0.key), micros: $0.value) }
      .sorted { $0.currency.utf8.lexicographicallyPrecedes($1.currency.utf8) }
      .map { (currency: $0.currency.isEmpty ? "XXX" : $0.currency, micros: $0.micros) }
  }
}
