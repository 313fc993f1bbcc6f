import Analyses
import Events
import LogScans
import Views

/// What a scan has found of persons, in the order in which it is written: of the question's own period, and of the
/// one before where it is compared.
struct PersonFindings: Sendable {
  let now: PersonPeriod
  let before: PersonPeriod?
  let reach: ScanReach
  /// How often the log was read.
  let passes: Int

  /// Reads the log once for each period, and once more before where it must be known who was in which segment.
  init(
    _ plans: PersonPlan.Plans, _ scan: LogScan, _ policy: PersonPolicy
  ) throws(ScanError) {
    let question = plans.now.question(policy)
    scan.expect(passes: 1 + (plans.before == nil ? 0 : 1) + (question.needsSegments ? 1 : 0))
    var segments = SegmentHistory.none
    if question.needsSegments {
      segments = try scan.segments(site: question.site, until: question.times.upperBound)
    }
    let now = try PersonPeriod.read(plans.now, scan, policy, segments)
    let before = try plans.before.map { plan throws(ScanError) in
      try PersonPeriod.read(plan, scan, policy, segments)
    }
    self.now = now.period
    self.before = before?.period
    reach = now.reach
    passes = now.passes + (before?.passes ?? 0) + (question.needsSegments ? 1 : 0)
  }
}

/// What was found of one period.
struct PersonPeriod: Sendable {
  enum Body: Sendable {
    case funnel([Row<Funnel.Counts>])
    /// Of each value the cohorts that have begun: `begun` indices.
    case retention([Row<[Retention.Cohort]>], begun: Int)
    case attribution(
      [Row<Attribution.Credit>], attributed: Attribution.Total, rest: Attribution.Total)
    case sessions([Row<Sessions.Counts>])
  }

  struct Row<Value: Sendable>: Sendable {
    /// Of the dimensions that the answer is told apart by.
    var values: [String]
    var value: Value
  }

  let plan: PersonPlan
  let body: Body
  let people: PersonPeople

  /// How many rows there are before the limit.
  var rowCount: Int {
    switch body {
    case .funnel(let rows): rows.count
    case .retention(let rows, let begun): rows.count * begun
    case .attribution(let rows, _, _): rows.count
    case .sessions(let rows): rows.count
    }
  }

  static func read(
    _ plan: PersonPlan, _ scan: LogScan, _ policy: PersonPolicy, _ segments: SegmentHistory
  ) throws(ScanError) -> (period: PersonPeriod, reach: ScanReach, passes: Int) {
    let question = plan.question(policy)
    let times = plan.range.from..<plan.range.to
    func period<Fold: PersonFold>(
      _ reading: PersonReading<Fold>, _ body: Body
    ) -> (period: PersonPeriod, reach: ScanReach, passes: Int) {
      (
        PersonPeriod(plan: plan, body: body, people: reading.people), reading.reach, reading.passes
      )
    }
    switch plan.request.body {
    case .funnel(let steps, let within):
      let reading = try scan.persons(question, segments: segments) { reach in
        Funnel(
          Funnel.Question(
            isOptional: steps.map(\.isOptional), within: within, times: times,
            watermark: reach.watermark ?? .min))
      }
      let rows = rows(
        reading.fold.counts, reading.people, plan, none: Funnel.Counts(steps: steps.count)
      ) { $0.steps[0].persons }
      return period(reading, .funnel(rows))
    case .retention:
      let reading = try scan.persons(question, segments: segments) { _ in
        Retention(
          Retention.Question(edges: plan.edges, isByValue: !plan.request.by.isEmpty))
      }
      let retention = reading.fold
      guard !retention.isFull else {
        throw full("values with a cohort", retention.question.valueCountMax)
      }
      let begun = retention.cohorts.indices.count {
        plan.edges[$0] <= reading.reach.logTime ?? .min
      }
      let rows =
        plan.request.by.isEmpty
        ? [Row(values: [], value: retention.cohorts)]
        : rows(retention.byValue, reading.people, plan, none: retention.cohorts) {
          $0.reduce(0) { $0 + $1.persons }
        }
      return period(reading, .retention(rows, begun: begun))
    case .attribution(let model, _, _, let lookBack):
      let reading = try scan.persons(question, segments: segments) { _ in
        Attribution(Attribution.Question(model: model, lookBack: lookBack, times: times))
      }
      let rows = rows(reading.fold.credits, reading.people, plan, none: nil) {
        $0.conversionMicros
      }
      return period(
        reading,
        .attribution(
          rows, attributed: reading.fold.attributed, rest: reading.fold.unattributed))
    case .sessions:
      let reading = try scan.persons(question, segments: segments) { reach in
        Sessions(
          Sessions.Question(
            gap: policy.sessionGap, times: times, watermark: reach.watermark ?? .min))
      }
      guard !reading.fold.isFull else {
        throw full("values with sessions", Sessions.valueCountMax)
      }
      let rows = rows(reading.fold.counts, reading.people, plan, none: Sessions.Counts()) {
        $0.sessions
      }
      return period(reading, .sessions(rows))
    }
  }

  private static func full(_ what: String, _ max: Int) -> ScanError {
    .analysis(.full(what: what, max: max, advice: PersonQuestion.advice))
  }

  /// The greatest first; where nothing is told apart one row in any case, unless there is none for nobody.
  private static func rows<Value>(
    _ found: [UInt32: Value], _ people: PersonPeople, _ plan: PersonPlan, none: Value?,
    _ size: (Value) -> Int64
  ) -> [Row<Value>] {
    if found.isEmpty, plan.request.by.isEmpty, let none { return [Row(values: [], value: none)] }
    return found.map { number, value in
      (size: size(value), row: Row(values: people.values[Int(number)], value: value))
    }.sorted { a, b in
      a.size != b.size
        ? a.size > b.size : DimensionValues(a.row.values) < DimensionValues(b.row.values)
    }
    .map(\.row)
  }

  /// Rows by their values.
  static func byValues<Value>(_ rows: [Row<Value>]) -> [DimensionValues: Value] {
    Dictionary(rows.map { (DimensionValues($0.values), $0.value) }) { first, _ in first }
  }
}

extension PersonPeople {
  /// Amounts other than zero by currency, `XXX` for money without one, in order of their names.
  func amounts(_ revenueMicros: [UInt32: Int64]) -> [(currency: String, micros: Int64)] {
    revenueMicros.filter { $0.value != 0 }
      .map { (currency: currencies[Int($0.key)], micros: $0.value) }
      .sorted { $0.currency.utf8.lexicographicallyPrecedes($1.currency.utf8) }
      .map { (currency: $0.currency.isEmpty ? "XXX" : $0.currency, micros: $0.micros) }
  }
}
