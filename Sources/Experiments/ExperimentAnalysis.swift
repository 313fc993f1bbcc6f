import Events
public import Ports
public import Statistics
import Views

/// The results of an experiment from its cohorts, in their order.
///
///     window:    |  too young: shown, not decided on  |
///     ──cohorts──┴──────────────┬─────────────────────┴──▶ time
///                 watermark − outcome window      watermark
///
/// A cohort belongs to the epoch of its start; one in which the experiment began, ended or changed its allocation
/// counts nowhere, since its persons came by two; how many they are is said. Everything is a function of the rows:
/// the same cohorts give the same answer to the bit, and a correction of an old one corrects the answer.
///
/// Error: α of the plan over all comparisons of the primary metric, as much again over those of the
/// guardrails, and ``sampleRatioAlpha`` for false alarms about the sample ratio, each for all looks together.
public struct ExperimentAnalysis: Sendable {
  /// Of the monitor of all persons, and as much of those of single values.
  static let sampleRatioAlpha = 0.005
  /// Of what windows' rows tell of persons, and as much of what is known of each of them.
  static let valuesAlpha = sampleRatioAlpha / 2
  /// More persons than this share with two variants or more is a warning.
  static let mixedShareMax = 0.01
  /// More windows' persons than this share that count nowhere is a warning.
  static let uncountedShareMax = 0.05
  /// Values of segments whose results are shown.
  static let segmentCountMax = 20

  /// Which of the plan's segments cohorts tell.
  public enum SegmentSource: Sendable {
    case all
    /// Those that windows' rows tell; the others are of persons.
    case rows
    /// The others.
    case persons
  }

  private struct Segment {
    let dimension: Int
    let value: String
    var analysis: MetricAnalysis
  }

  private let experiment: Experiment
  /// Places in the plan's segments.
  private let watched: Set<Int>
  private let segmentAlpha: Double
  private var primary: MetricAnalysis
  private var guardrails: [MetricAnalysis]
  private var segments: [Segment] = []
  private var hiddenSegments: Set<String> = []
  private var sampleRatio: SampleRatioMonitor
  private var dimensions: SampleRatioDimensions
  private var undeclared: [String: Int64] = [:]
  private var otherCurrencies: Set<String> = []
  private var immature = 0
  private var betweenEpochs = 0
  private var matureUntil: Int64?

  init(_ experiment: Experiment, segments source: SegmentSource = .all) throws(ExperimentError) {
    self.experiment = experiment
    let plan = experiment.plan
    watched = Set(
      plan.segments.indices.filter {
        source == .all || plan.segments[$0].isOfRows == (source == .rows)
      })
    segmentAlpha = source == .all ? plan.alpha : plan.alpha / 2
    primary = try MetricAnalysis(plan.metric, of: plan, alpha: plan.alpha, hasEvidence: true)
    guardrails = []
    let watched =
      plan.guardrails.map { (metric: $0, isMoreWorse: false) }
      + plan.mustNotRise.map { (metric: $0, isMoreWorse: true) }
    for (metric, isMoreWorse) in watched {
      guardrails.append(
        try MetricAnalysis(
          metric, isMoreWorse: isMoreWorse, of: plan, alpha: plan.alpha / Double(watched.count),
          hasEvidence: true))
    }
    sampleRatio = try SampleRatioMonitor(
      arms: plan.variants.count, alpha: Self.sampleRatioAlpha)
    dimensions = try SampleRatioDimensions(
      arms: plan.variants.count, alpha: Self.valuesAlpha)
  }

  /// - Parameters:
  ///   - cohorts: of the experiment's time, by start.
  ///   - arrivals: who came, in order of time; see ``LoggedRatio`` and ``AudienceRatio``.
  public static func results(
    of experiment: Experiment, _ cohorts: ExperimentCohorts, arrivals: [SampleRatioStep] = []
  ) throws(ExperimentError) -> ExperimentResults {
    var analysis = try ExperimentAnalysis(experiment)
    _ = try analysis.add(cohorts, from: 0, mature: false)
    return try analysis.results(cohorts, arrivals: arrivals)
  }

  /// Takes in cohorts, in order.
  ///
  /// - Parameters:
  ///   - first: the row to begin with.
  ///   - mature: only those whose outcome window has passed.
  /// - Returns: the first row that was not taken in.
  mutating func add(
    _ cohorts: ExperimentCohorts, from first: Int, mature: Bool
  ) throws(ExperimentError) -> Int {
    let rows = cohorts.cohorts
    var first = first
    while first < rows.count {
      if mature, !isMature(rows[first].start, cohorts) { break }
      var end = first + 1
      while end < rows.count, rows[end].start == rows[first].start { end += 1 }
      try add(CohortStep(rows[first..<end], plan: experiment.plan), cohorts)
      first = end
    }
    return first
  }

  private func isMature(_ start: Int64, _ cohorts: ExperimentCohorts) -> Bool {
    guard let watermark = cohorts.watermark else { return false }
    return watermark >= start + experiment.plan.cohort.length + cohorts.outcomeWindow
  }

  // MARK: Cohorts

  private mutating func add(
    _ step: CohortStep, _ cohorts: ExperimentCohorts
  ) throws(ExperimentError) {
    let end = step.start + experiment.plan.cohort.length
    let persons = step.arms.reduce(0) { $0 + Int($1.exposures.persons) }
    let epoch = experiment.epochs.lastIndex { $0.since <= step.start }
    let next = experiment.epochs.dropFirst((epoch ?? -1) + 1).first
    let isWhole =
      experiment.cohortRange.contains(step.start) && next.map { $0.since >= end } ?? true
    guard let epoch, isWhole else {
      betweenEpochs += persons
      return
    }
    guard isMature(step.start, cohorts) else {
      immature += persons
      return
    }
    matureUntil = end
    undeclared.merge(step.undeclared, uniquingKeysWith: +)
    otherCurrencies.formUnion(step.otherCurrencies)
    try watch(step, shares: experiment.epochs[epoch].shares)
    try primary.add(step.arms, epoch: epoch)
    for index in guardrails.indices { try guardrails[index].add(step.arms, epoch: epoch) }
    for segment in step.segments where watched.contains(segment.dimension) {
      try add(segment, epoch: epoch)
    }
  }

  private mutating func watch(_ step: CohortStep, shares: [Int]) throws(ExperimentError) {
    let probabilities = shares.map { Double($0) / Double(Allocation.parts) }
    try sampleRatio.add(
      visitors: step.arms.map { Int($0.exposures.persons) }, probabilities: probabilities)
    for segment in step.segments {
      let segmented = experiment.plan.segments[segment.dimension]
      // What is known of each person is checked as it comes: by the arrivals.
      guard segmented.isOfRows else { continue }
      try dimensions.add(
        Self.name(segmented.name, segment.value),
        visitors: segment.arms.map { Int($0.exposures.persons) }, probabilities: probabilities)
    }
    if step.bots.contains(where: { $0 > 0 }) {
      try dimensions.add("traffic=bot", visitors: step.bots, probabilities: probabilities)
    }
  }

  /// The n-th value that is seen has the share 1/(n (n + 1)) of α, as in ``SampleRatioDimensions``.
  private mutating func add(
    _ part: (dimension: Int, value: String, arms: [ArmSums]), epoch: Int
  ) throws(ExperimentError) {
    let known = segments.firstIndex { $0.dimension == part.dimension && $0.value == part.value }
    if let known {
      try segments[known].analysis.add(part.arms, epoch: epoch)
      return
    }
    guard segments.count < Self.segmentCountMax else {
      hiddenSegments.insert("\(part.dimension)=\(part.value)")
      return
    }
    let place = Double(segments.count + 1)
    let plan = experiment.plan
    var analysis = try MetricAnalysis(
      plan.metric, of: plan, alpha: segmentAlpha / (place * (place + 1)), hasEvidence: false)
    try analysis.add(part.arms, epoch: epoch)
    segments.append(Segment(dimension: part.dimension, value: part.value, analysis: analysis))
  }

  static func name(_ dimension: String, _ value: String) -> String {
    "\(dimension)=\(value.isEmpty ? "(none)" : value)"
  }

  // MARK: Results

  func results(
    _ cohorts: ExperimentCohorts, arrivals steps: [SampleRatioStep]
  ) throws(ExperimentError) -> ExperimentResults {
    let plan = experiment.plan
    let totals = primary.totals
    let counted = totals.reduce(immature + betweenEpochs) { $0 + Int($1.exposures.persons) }
    let logged = try LoggedRatio(steps, of: plan, persons: counted)
    let sampleRatio = logged?.monitor ?? sampleRatio
    var failures = logged?.dimensions.failures ?? dimensions.failures
    if logged == nil {
      failures += try AudienceRatio(steps, of: experiment).dimensions.failures
      failures.sort { ($0.pValue, $0.name) < ($1.pValue, $1.name) }
    }
    let metrics = [primary] + guardrails
    let best = totals.contains { $0.exposures.persons == 0 } ? nil : BestArm(primary.beliefs)
    var variants: [ExperimentResults.Variant] = []
    for (arm, name) in plan.variants.enumerated() {
      var values: [ExperimentResults.MetricValue] = []
      for metric in metrics { values.append(try Self.value(metric, arm)) }
      variants.append(
        ExperimentResults.Variant(
          name: name, isControl: arm == primary.control,
          persons: Int(totals[arm].exposures.persons), metrics: values,
          chanceToBeBest: best?.chances[arm],
          expectedLoss: best.map { Self.shown($0.losses[arm], plan.metric) },
          chanceToBeatControl: best.flatMap { chanceToBeatControl(arm, $0) }))
    }
    var shown: [ExperimentResults.Segment] = []
    for segment in segments {
      var values: [ExperimentResults.MetricValue] = []
      for arm in plan.variants.indices { values.append(try Self.value(segment.analysis, arm)) }
      shown.append(
        ExperimentResults.Segment(
          dimension: plan.segments[segment.dimension].name, value: segment.value,
          persons: segment.analysis.totals.map { Int($0.exposures.persons) }, metrics: values))
    }
    return ExperimentResults(
      variants: variants, epochs: epochs,
      progress: ExperimentResults.Progress(
        plannedPersons: plan.plannedPersons,
        persons: totals.map { Int($0.exposures.persons) }.min() ?? 0,
        neededPersons: primary.personsNeeded(minimalEffect: plan.minimalEffect)),
      segments: shown, hiddenSegments: hiddenSegments.count,
      sampleRatio: ExperimentResults.SampleRatio(
        basis: logged == nil ? .declared : .logged, alpha: sampleRatio.alpha,
        pValue: sampleRatio.pValue,
        isMismatch: sampleRatio.isMismatch || !failures.isEmpty,
        observed: sampleRatio.observed, expected: sampleRatio.expected, failures: failures),
      mixedPersons: totals.reduce(0) { $0 + Int($1.exposures.mixed) },
      decision: ExperimentDecision(
        plan, primary: primary, guardrails: guardrails, sampleRatio: sampleRatio,
        failures: failures
      ).decision,
      completeness: ExperimentResults.Completeness(
        position: cohorts.position, logTime: cohorts.logTime, watermark: cohorts.watermark,
        outcomeWindow: cohorts.outcomeWindow, matureUntil: matureUntil, immaturePersons: immature,
        betweenEpochs: betweenEpochs),
      warnings: warnings)
  }

  private func chanceToBeatControl(_ arm: Int, _ best: BestArm) -> Double? {
    guard arm != primary.control else { return nil }
    // Of two the one that is better is the best.
    guard experiment.plan.variants.count > 2 else { return best.chances[arm] }
    let beliefs = primary.beliefs
    return BestArm.chance(beliefs[arm], above: beliefs[primary.control])
  }

  private var epochs: [ExperimentResults.Epoch] {
    zip(primary.epochs, primary.strata).map { number, arms in
      let epoch = experiment.epochs[number]
      let means = arms.map { $0.exposures.persons > 0 ? primary.mean($0) : nil }
      let base = means[primary.control].flatMap { $0 > 0 ? $0 : nil }
      return ExperimentResults.Epoch(
        since: epoch.since, shares: epoch.shares, persons: arms.map { Int($0.exposures.persons) },
        values: means.map { $0.map { Self.shown($0, primary.metric) } },
        lifts: means.enumerated().map { arm, mean in
          guard arm != primary.control, let mean, let base else { return nil }
          return mean / base - 1
        })
    }
  }

  private static func value(
    _ metric: MetricAnalysis, _ arm: Int
  ) throws(ExperimentError) -> ExperimentResults.MetricValue {
    func interval(
      _ value: Double, _ lower: Double, _ upper: Double
    ) -> ExperimentResults.Interval {
      ExperimentResults.Interval(
        value: shown(value, metric.metric), lower: shown(lower, metric.metric),
        upper: shown(upper, metric.metric))
    }
    var result = ExperimentResults.MetricValue(metric: metric.metric)
    if let value = try metric.value(of: arm, alpha: metric.alpha) {
      result.value = interval(value.value, value.lower, value.upper)
    }
    guard let index = metric.treatments.firstIndex(of: arm) else { return result }
    let comparison = metric.comparison(index)
    result.comparison = ExperimentResults.MetricComparison(
      lift: comparison.lift, liftLower: comparison.lower, liftUpper: comparison.upper,
      varianceReduction: comparison.varianceReduction, pValue: comparison.pValue,
      decision: comparison.decision)
    if let value = comparison.difference, let lower = comparison.differenceLower,
      let upper = comparison.differenceUpper
    {
      result.comparison?.difference = interval(value, lower, upper)
    }
    return result
  }

  static func shown(_ value: Double, _ metric: ExperimentMetric) -> Double { value / metric.parts }

  private var warnings: [String] {
    var warnings: [String] = []
    let totals = primary.totals
    let persons = totals.reduce(0) { $0 + $1.exposures.persons }
    let mixed = totals.reduce(0) { $0 + $1.exposures.mixed }
    if persons > 0, Double(mixed) > Self.mixedShareMax * Double(persons) {
      let share = ExperimentVerdict.text(100 * Double(mixed) / Double(persons))
      warnings.append(
        "\(share) % of persons saw more than one variant: what shows them does not ask for the"
          + " assignment, or asks for it by another id of the person; differences look smaller than they"
          + " are")
    }
    if Double(betweenEpochs) > Self.uncountedShareMax * Double(Int(persons) + betweenEpochs) {
      warnings.append(
        "\(betweenEpochs) persons count nowhere: they came in windows of \(experiment.plan.cohort.name) within which"
          + " the experiment began, ended or changed its weights; do that at a window's start, or take a shorter cohort"
      )
    }
    for (index, treatment) in primary.treatments.enumerated()
    where primary.comparison(index).isReversed {
      warnings.append(
        "over all persons together \(experiment.plan.variants[treatment]) differs the other way round,"
          + " because rates and weights changed at the same time; it is compared within each allocation"
      )
    }
    if !experiment.plan.isToldByRows {
      warnings.append(
        "differences are not adjusted by what persons did before (CUPED): of those who are followed one by one, as"
          + " the plan asks for, that is not known; without it an experiment takes more persons")
    }
    if !undeclared.isEmpty {
      let names = undeclared.keys.sorted().prefix(5).map { $0.isEmpty ? "(none)" : $0 }
      warnings.append(
        "\(undeclared.values.reduce(0, +)) persons saw variants of the campaign that the experiment does"
          + " not have: \(names.joined(separator: ", "))")
    }
    if !otherCurrencies.isEmpty {
      warnings.append(
        "money in \(otherCurrencies.sorted().joined(separator: ", ")) is left out; the experiment"
          + " counts \(experiment.plan.currency)")
    }
    return warnings
  }
}
