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
      segments = try scan.segments(site: question.site, for: question.times)
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
    var group: PersonGroup
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
    let edges = plan.edges
    switch plan.request.body {
    case .funnel(let steps, let within):
      let reading = try scan.persons(question, segments: segments) { reach in
        BucketedFold(edges: edges) { bucket in
          Funnel(
            Funnel.Question(
              isOptional: steps.map(\.isOptional), within: within, times: bucket.clamped(to: times),
              watermark: reach.watermark ?? .min))
        }
      }
      let rows = try rows(
        reading, plan, of: \.counts, none: Funnel.Counts(steps: steps.count)
      ) { $0.steps[0].persons }
      return period(reading, .funnel(rows))
    case .retention:
      let reading = try scan.persons(question, segments: segments) { _ in
        Retention(
          Retention.Question(edges: edges, isByValue: !plan.request.by.isEmpty))
      }
      let retention = reading.fold
      guard !retention.isFull else {
        throw full("values with a cohort", retention.question.valueCountMax)
      }
      let begun = retention.cohorts.indices.count { edges[$0] <= reading.reach.logTime ?? .min }
      let rows =
        plan.request.by.isEmpty
        ? [Row(group: PersonGroup(values: []), value: retention.cohorts)]
        : rows([0: retention.byValue], reading.people) { $0.reduce(0) { $0 + $1.persons } }
      return period(reading, .retention(rows, begun: begun))
    case .attribution(let model, _, _, let lookBack):
      let reading = try scan.persons(question, segments: segments) { _ in
        BucketedFold(edges: edges) { bucket in
          Attribution(
            Attribution.Question(
              model: model, lookBack: lookBack, times: bucket.clamped(to: times)))
        }
      }
      let rows = try rows(reading, plan, of: \.credits, none: nil) { $0.conversionMicros }
      var (attributed, rest) = (Attribution.Total(), Attribution.Total())
      for fold in reading.fold.folds.values {
        attributed += fold.attributed
        rest += fold.unattributed
      }
      return period(reading, .attribution(rows, attributed: attributed, rest: rest))
    case .sessions:
      let reading = try scan.persons(question, segments: segments) { reach in
        BucketedFold(edges: edges) { bucket in
          Sessions(
            Sessions.Question(
              gap: policy.sessionGap, times: bucket.clamped(to: times),
              watermark: reach.watermark ?? .min))
        }
      }
      let rows = try rows(reading, plan, of: \.counts, none: Sessions.Counts()) { $0.sessions }
      return period(reading, .sessions(rows))
    }
  }

  private static func full(_ what: String, _ max: Int) -> ScanError {
    .analysis(.full(what: what, max: max, advice: PersonQuestion.advice))
  }

  /// By time, and then the greatest first; where nothing is told apart one row in any case, unless there is none for
  /// nobody.
  private static func rows<Fold: GroupedFold, Value: Sendable>(
    _ reading: PersonReading<BucketedFold<Fold>>, _ plan: PersonPlan,
    of values: (Fold) -> [UInt32: Value], none: Value?, _ size: (Value) -> Int64
  ) throws(ScanError) -> [Row<Value>] {
    guard !reading.fold.isFull else { throw full("values in time buckets", Fold.groupCountMax) }
    let found = reading.fold.folds.mapValues(values).filter { !$0.value.isEmpty }
    if found.isEmpty, plan.names.isEmpty, let none {
      return [Row(group: PersonGroup(values: []), value: none)]
    }
    return rows(found, reading.people, size)
  }

  /// - Parameter found: by time bucket, then by number of the values.
  private static func rows<Value>(
    _ found: [Int: [UInt32: Value]], _ people: PersonPeople, _ size: (Value) -> Int64
  ) -> [Row<Value>] {
    found.flatMap { bucket, values in
      values.map { number, value in
        let group = PersonGroup(
          bucket: bucket, values: DimensionValues(people.values[Int(number)]))
        return (size: size(value), row: Row(group: group, value: value))
      }
    }.sorted { a, b in
      let (x, y) = (a.row.group, b.row.group)
      if x.bucket != y.bucket { return x.bucket < y.bucket }
      return a.size != b.size ? a.size > b.size : x.values < y.values
    }
    .map(\.row)
  }

  /// Rows by what they are about.
  static func byGroup<Value>(_ rows: [Row<Value>]) -> [PersonGroup: Value] {
    Dictionary(rows.map { ($0.group, $0.value) }) { first, _ in first }
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
