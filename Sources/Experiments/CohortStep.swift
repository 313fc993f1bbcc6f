import Events
import Ports
import Statistics
import Views

/// What was counted of one variant's persons.
struct ArmSums: Sendable, Equatable {
  var exposures = Exposures()
  var baselines = Baselines()

  static func += (left: inout Self, right: Self) {
    left.exposures += right.exposures
    left.baselines += right.baselines
  }

  func counts(of metric: ExperimentMetric) -> ArmCounts {
    ArmCounts(
      visitors: Int(exposures.persons),
      conversions: Int(metric == .clickRate ? exposures.clickers : exposures.converters))
  }

  /// The metric of each person, and what it had done before; money in hundredths.
  func moments(of metric: ExperimentMetric) -> JointMoments {
    let persons = Double(exposures.persons)
    let prior = Moments(
      count: persons, sum: Double(baselines.prior), squares: Double(baselines.priorSquared))
    switch metric {
    case .clickRate:
      let clicked = Double(exposures.clickers)
      return JointMoments(
        first: Moments(count: persons, sum: clicked, squares: clicked), second: prior,
        products: Double(baselines.priorClicked))
    case .conversionRate:
      let converted = Double(exposures.converters)
      return JointMoments(
        first: Moments(count: persons, sum: converted, squares: converted), second: prior,
        products: Double(baselines.priorConverted))
    case .revenuePerPerson:
      return JointMoments(
        first: Moments(
          count: persons, sum: Double(exposures.revenueMicros) / 10_000,
          squares: Double(exposures.revenueCentsSquared)), second: prior,
        products: Double(baselines.priorRevenueCents))
    }
  }
}

/// One window of exposures as an experiment looks at it: what each variant's people came to, and by what was
/// known of them before.
struct CohortStep: Sendable {
  let start: Int64
  /// Of people, by variant.
  private(set) var arms: [ArmSums]
  /// By value of a segment, in the order of the rows.
  private(set) var segments: [(dimension: Int, value: String, arms: [ArmSums])] = []
  /// Exposed bots, by variant.
  private(set) var bots: [Int]
  /// People who saw a variant that the experiment doesn't have.
  private(set) var undeclared: [String: Int64] = [:]
  /// Money in other currencies than the experiment's.
  private(set) var otherCurrencies: Set<String> = []

  /// - Parameter rows: all of one window.
  init(_ rows: ArraySlice<ExperimentCohort>, plan: ExperimentPlan) {
    start = rows.first?.start ?? 0
    arms = Array(repeating: ArmSums(), count: plan.variants.count)
    bots = Array(repeating: 0, count: plan.variants.count)
    for row in rows { add(row, plan) }
  }

  private mutating func add(_ row: ExperimentCohort, _ plan: ExperimentPlan) {
    guard let arm = plan.variants.firstIndex(of: row.variant) else {
      if row.traffic.isEmpty { undeclared[row.variant, default: 0] += row.exposures.persons }
      return
    }
    guard row.traffic.isEmpty else {
      bots[arm] += Int(row.exposures.persons)
      return
    }
    var sums = ArmSums(exposures: row.exposures, baselines: row.baselines)
    if row.currency != plan.currency, !row.currency.isEmpty {
      if row.exposures.revenueMicros != 0 { otherCurrencies.insert(row.currency) }
      sums.exposures.revenueMicros = 0
      sums.exposures.revenueCentsSquared = 0
      sums.baselines.priorRevenueCents = 0
    }
    arms[arm] += sums
    for (dimension, segment) in plan.segments.enumerated() {
      let value = segment == .channel ? row.channel : row.content
      let known = segments.firstIndex { $0.dimension == dimension && $0.value == value }
      let place = known ?? segments.count
      if known == nil {
        segments.append(
          (dimension, value, Array(repeating: ArmSums(), count: plan.variants.count)))
      }
      segments[place].arms[arm] += sums
    }
  }
}
