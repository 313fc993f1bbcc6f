import Statistics
import Views

/// One metric of an experiment, as cohorts come in: each variant against the control, at any look.
///
/// Rates are decided by ``SequentialRateTest``, whose blocks never reach over a change of the allocation;
/// p-values are by ``RateEvidence``, which needs no plan and comes to α a little later. Means are decided by
/// ``AsymptoticSequence`` on what CUPED leaves of them within each epoch; not before ``actorsMin`` persons of
/// either arm have a part in them, since its error holds for many.
struct MetricAnalysis: Sendable {
  typealias Decision = SequentialRateTest.Decision

  struct Comparison: Sendable, Equatable {
    /// Relative to the control: 0.05 is five per cent more. Nil where the control has nothing.
    var lift: Double?
    /// Ends of the lift that are not excluded at any look.
    var lower: Double?
    var upper: Double?
    /// In the metric's own unit, within epochs, after CUPED.
    var difference: Double?
    var differenceLower: Double?
    var differenceUpper: Double?
    /// What CUPED took off the difference's variance, as a fraction; nil where nothing is known of what persons did before.
    var varianceReduction: Double?
    /// At most α of one comparison where it is decided, above it elsewhere; nil where it is not worked out.
    var pValue: Double?
    var decision: Decision?
    /// Whether all persons together differ the other way round than those of each epoch (Simpson).
    var isReversed: Bool
  }

  static let actorsMin = 200

  let metric: ExperimentMetric
  /// Whether a variant that makes it more is worse.
  let isMoreWorse: Bool
  let control: Int
  /// Every other arm.
  let treatments: [Int]
  /// Of one comparison.
  let alpha: Double
  private let plan: Double
  private let sequence: AsymptoticSequence
  private let hasEvidence: Bool
  /// By epoch with persons, then by arm.
  private(set) var strata: [[ArmSums]] = []
  /// Which of the experiment's epochs they are.
  private(set) var epochs: [Int] = []
  private var epoch: Int?
  private var tests: [SequentialRateTest]
  private var evidence: [RateEvidence]
  private var meanDecisions: [Decision?]
  private var leastPValues: [Double]

  private let goals: [String]

  private var isRate: Bool { metric.isRate }

  /// - Parameters:
  ///   - alpha: of all comparisons together.
  ///   - hasEvidence: whether p-values are wanted; they cost most.
  init(
    _ metric: ExperimentMetric, isMoreWorse: Bool = false, of experiment: ExperimentPlan,
    alpha: Double, hasEvidence: Bool
  ) throws(ExperimentError) {
    self.metric = metric
    self.isMoreWorse = isMoreWorse
    self.hasEvidence = hasEvidence
    goals = experiment.goals
    control = experiment.controlIndex
    treatments = experiment.variants.indices.filter { $0 != experiment.controlIndex }
    self.alpha = alpha / Double(treatments.count)
    plan = Double(experiment.plannedPersons)
    sequence = try AsymptoticSequence(alpha: self.alpha, tuning: 2 * plan)
    let test = SequentialRateTest(spending: try ErrorSpending(alpha: self.alpha, plan: plan))
    tests = Array(repeating: test, count: treatments.count)
    evidence = Array(repeating: RateEvidence(), count: treatments.count)
    meanDecisions = Array(repeating: nil, count: treatments.count)
    leastPValues = Array(repeating: 1, count: treatments.count)
  }

  mutating func add(_ arms: [ArmSums], epoch: Int) throws(ExperimentError) {
    if self.epoch != epoch {
      for index in tests.indices {
        tests[index].endStratum()
        evidence[index].endStratum()
      }
      strata.append(Array(repeating: ArmSums(), count: arms.count))
      epochs.append(epoch)
      self.epoch = epoch
    }
    for (arm, sums) in arms.enumerated() { strata[strata.count - 1][arm] += sums }
    for (index, treatment) in treatments.enumerated() {
      if isRate {
        let counts = (
          arms[control].counts(of: metric, goals), arms[treatment].counts(of: metric, goals)
        )
        try tests[index].add(control: counts.0, treatment: counts.1)
        if hasEvidence { try evidence[index].add(control: counts.0, treatment: counts.1) }
      } else {
        look(at: index)
      }
    }
  }

  private mutating func look(at index: Int) {
    guard totals[control].actors(of: metric, goals) >= Self.actorsMin,
      totals[treatments[index]].actors(of: metric, goals) >= Self.actorsMin,
      let test = effect(index).map({ sequence.test($0, side: .both) })
    else { return }
    leastPValues[index] = min(leastPValues[index], test.pValue)
    if meanDecisions[index] == nil {
      if test.lower > 0 { meanDecisions[index] = .treatmentIsBetter }
      if test.upper < 0 { meanDecisions[index] = .treatmentIsWorse }
    }
  }

  // MARK: What it comes to

  /// The mean of an arm's persons; see ``ExperimentMetric/parts``.
  func mean(of arm: Int) -> Double { mean(totals[arm]) }

  func mean(_ sums: ArmSums) -> Double { sums.moments(of: metric, goals).first.mean }

  /// Whether CUPED has anything to go by.
  private var hasCovariate: Bool {
    strata.contains { $0.contains { $0.moments(of: metric, goals).second.sum > 0 } }
  }

  /// Of each arm, all epochs together.
  var totals: [ArmSums] {
    guard var totals = strata.first else {
      return Array(repeating: ArmSums(), count: treatments.count + 1)
    }
    for stratum in strata.dropFirst() {
      for (arm, sums) in stratum.enumerated() { totals[arm] += sums }
    }
    return totals
  }

  /// The metric of an arm's persons, and what is not excluded at any look; nil without persons.
  func value(
    of arm: Int, alpha: Double
  ) throws(ExperimentError) -> (value: Double, lower: Double, upper: Double)? {
    let total = totals[arm]
    guard total.exposures.persons > 0 else { return nil }
    if isRate {
      let counts = total.counts(of: metric, goals)
      let rates = try BetaBinomialMixture.rates(counts, alpha: alpha, bestAt: plan)
      return (counts.rate, rates.lower, rates.upper)
    }
    let summary = ArmSummary(total.moments(of: metric, goals).first)
    let error = (summary.variance / summary.visitors).squareRoot()
    guard error > 0 else { return (summary.mean, summary.mean, summary.mean) }
    let test = try AsymptoticSequence(alpha: alpha, tuning: plan).test(
      Effect(
        estimate: summary.mean, standardError: error, visitors: summary.visitors,
        degrees: summary.visitors - 1), side: .both)
    return (summary.mean, test.lower, test.upper)
  }

  func comparison(_ index: Int) -> Comparison {
    let plain = stratified(index) {
      (
        ArmSummary($0.moments(of: metric, goals).first),
        ArmSummary($1.moments(of: metric, goals).first)
      )
    }
    var comparison = Comparison(
      pValue: nil, decision: decision(index), isReversed: plain?.isReversed ?? false)
    if let plain, plain.control.mean != 0 {
      comparison.lift = plain.treatment.mean / plain.control.mean - 1
    }
    let adjusted = effect(index)
    if let adjusted {
      let test = sequence.test(adjusted, side: .both)
      comparison.difference = adjusted.estimate
      comparison.differenceLower = test.lower
      comparison.differenceUpper = test.upper
      if let plain, hasCovariate,
        let before = Effect(control: plain.control, treatment: plain.treatment, scale: .absolute),
        before.standardError > 0
      {
        let share = adjusted.standardError / before.standardError
        comparison.varianceReduction = 1 - share * share
      }
    }
    if isRate {
      if hasEvidence {
        comparison.pValue = agreed(evidence[index].pValue, isDecided: comparison.decision != nil)
      }
      let odds = tests[index].oddsRatio
      if let base = plain?.control.mean, base > 0 {
        comparison.lower = Self.lift(odds: odds.lower, base: base)
        comparison.upper = Self.lift(odds: odds.upper, base: base)
      }
    } else {
      comparison.pValue = leastPValues[index]
      if let base = plain?.control.mean, base > 0, let lower = comparison.differenceLower,
        let upper = comparison.differenceUpper
      {
        comparison.lower = lower / base
        comparison.upper = upper / base
      }
    }
    // Each of several comparisons may be wrong: as many times as likely.
    comparison.pValue = comparison.pValue.map { min(1, $0 * Double(treatments.count)) }
    return comparison
  }

  /// A p-value of evidence that never contradicts the test of level α, which decides a little sooner: below α it is
  /// evidence's own; from α on, α is added for what the test decides. So it stays a p-value at any look.
  private func agreed(_ pValue: Double, isDecided: Bool) -> Double {
    isDecided ? min(pValue, alpha) : pValue + alpha
  }

  func decision(_ index: Int) -> Decision? {
    let found = isRate ? tests[index].decision : meanDecisions[index]
    guard isMoreWorse else { return found }
    return found.map { $0 == .treatmentIsBetter ? .treatmentIsWorse : .treatmentIsBetter }
  }

  /// What is believed of each arm.
  var beliefs: [BestArm.Belief] {
    totals.map { total in
      isRate
        ? .of(total.counts(of: metric, goals))
        : .of(ArmSummary(total.moments(of: metric, goals).first))
    }
  }

  /// The chance of deciding for the treatment by the plan, if it is better by the smallest effect that would
  /// be worth having.
  func power(_ index: Int, minimalEffect: Double) -> Double {
    if isRate {
      let base = totals[control].counts(of: metric, goals).rate
      guard base > 0 else { return 1 }
      let wanted = min(base * (1 + minimalEffect), 0.5 * (1 + base))
      return Futility.conditionalPower(
        of: tests[index], oddsRatio: wanted * (1 - base) / (base * (1 - wanted)))
    }
    if let decision = decision(index) { return decision == .treatmentIsBetter ? 1 : 0 }
    guard let effect = effect(index), effect.standardError > 0 else { return 1 }
    let base = ArmSummary(totals[control].moments(of: metric, goals).first).mean
    let test = sequence.test(effect, side: .both)
    let now = 1 / (effect.standardError * effect.standardError)
    return Futility.conditionalPower(
      score: effect.estimate / effect.standardError, information: now,
      end: now * 2 * plan / effect.visitors,
      bound: (test.upper - effect.estimate) / effect.standardError, effect: minimalEffect * base)
  }

  /// Persons of each variant by whom a test that is read once finds a rise of this share in 80 of 100 experiments; nil
  /// where too little is known of the control.
  func personsNeeded(minimalEffect: Double) -> Double? {
    let sums = totals[control]
    guard sums.actors(of: metric, goals) >= Self.neededActorsMin else { return nil }
    if isRate {
      let base = sums.counts(of: metric, goals).rate
      let wanted = base * (1 + minimalEffect)
      guard wanted < 1 else { return nil }
      return FixedSampleSize.visitorsPerArm(
        control: base, treatment: wanted, power: 0.8, alpha: alpha)
    }
    let base = ArmSummary(sums.moments(of: metric, goals).first)
    guard base.mean > 0 else { return nil }
    return FixedSampleSize.visitorsPerArm(
      difference: minimalEffect * base.mean, variance: 2 * base.variance, power: 0.8, alpha: alpha)
  }

  /// Of fewer the rate is not known well enough to plan by.
  private static let neededActorsMin: Int64 = 20

  /// The lift that an odds ratio is, of a rate.
  private static func lift(odds: Double, base: Double) -> Double {
    odds < .infinity ? odds / (1 - base + odds * base) - 1 : 1 / base - 1
  }

  /// The difference to the control within epochs, after CUPED.
  private func effect(_ index: Int) -> Effect? {
    stratified(index) {
      RegressionAdjustment.arms(
        control: $0.moments(of: metric, goals), treatment: $1.moments(of: metric, goals))
    }.flatMap { Effect(control: $0.control, treatment: $0.treatment, scale: .absolute) }
  }

  private func stratified(
    _ index: Int, _ arms: (ArmSums, ArmSums) -> (control: ArmSummary, treatment: ArmSummary)
  ) -> Stratification? {
    Stratification(strata.map { arms($0[control], $0[treatments[index]]) })
  }
}
