import Events
import Ports
import Statistics
import Views

/// What was counted of one variant's persons.
struct ArmSums: Sendable, Equatable {
  var exposures = Exposures()
  var baselines = Baselines()
  var actions = CohortActions()

  static func += (left: inout Self, right: Self) {
    left.exposures += right.exposures
    left.baselines += right.baselines
    left.actions += right.actions
  }

  /// Persons who did what a metric counts: of a rate those that it counts, of a mean those with a part in its sum.
  ///
  /// - Parameter goals: of the plan.
  func actors(of metric: ExperimentMetric, _ goals: [String]) -> Int64 {
    switch metric {
    case .clickRate: return exposures.clickers
    case .conversionRate, .revenuePerPerson: return exposures.converters
    case .engagementRate: return actions.engagers
    case .dwellPerPerson: return actions.dwellers
    case .goal(let event):
      let place = goals.firstIndex(of: event) ?? actions.goals.count
      return place < actions.goals.count ? actions.goals[place] : 0
    }
  }

  func counts(of metric: ExperimentMetric, _ goals: [String]) -> ArmCounts {
    ArmCounts(visitors: Int(exposures.persons), conversions: Int(actors(of: metric, goals)))
  }

  /// The metric of each person, and what it had done before, where that is known; see ``ExperimentMetric/parts``.
  func moments(of metric: ExperimentMetric, _ goals: [String]) -> JointMoments {
    let persons = Double(exposures.persons)
    let prior = Moments(
      count: persons, sum: Double(baselines.prior), squares: Double(baselines.priorSquared))
    func rate(_ products: Int64) -> JointMoments {
      let acted = Double(actors(of: metric, goals))
      return JointMoments(
        first: Moments(count: persons, sum: acted, squares: acted), second: prior,
        products: Double(products))
    }
    switch metric {
    case .clickRate: return rate(baselines.priorClicked)
    case .conversionRate: return rate(baselines.priorConverted)
    case .engagementRate, .goal:
      // Nothing is kept of what these persons did before: there is no covariate.
      var moments = rate(0)
      moments.second = Moments(count: persons)
      return moments
    case .dwellPerPerson:
      return JointMoments(
        first: Moments(
          count: persons, sum: Double(actions.dwellTenths),
          squares: Double(actions.dwellTenthsSquared)), second: Moments(count: persons))
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
    var sums = ArmSums(
      exposures: row.exposures, baselines: row.baselines, actions: row.actions)
    if row.currency != plan.currency, !row.currency.isEmpty {
      if row.exposures.revenueMicros != 0 { otherCurrencies.insert(row.currency) }
      sums.exposures.revenueMicros = 0
      sums.exposures.revenueCentsSquared = 0
      sums.baselines.priorRevenueCents = 0
    }
    arms[arm] += sums
    for (dimension, segment) in plan.segments.enumerated() {
      let value = segment.value(of: row)
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
