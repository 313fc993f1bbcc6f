import Statistics
import Views

/// One decision from the verdicts on each variant.
///
/// What keeps numbers from being trusted comes first. Else the best of the variants that are better than
/// the control is to be taken; without one the experiment goes on for as long as any variant may still turn
/// out better; then the control is kept, because the variants do harm, are worse, or can't succeed any more.
struct ExperimentDecision {
  private typealias Finding = ExperimentVerdict.Finding

  let decision: ExperimentResults.Decision

  /// More persons than this share with two variants or more, and differences say little: they shrink by as much, so
  /// that half as many persons more are needed.
  static let mixedShareDistrusted = 0.2
  /// Of fewer persons no share is told.
  static let mixedOfMin: Int64 = 100

  /// Why the persons can't be compared, if too many of them saw more than one variant.
  private static func mixing(_ totals: [ArmSums]) -> String? {
    let persons = totals.reduce(0) { $0 + $1.exposures.persons }
    let mixed = totals.reduce(0) { $0 + $1.exposures.mixed }
    guard persons >= mixedOfMin, Double(mixed) > mixedShareDistrusted * Double(persons) else {
      return nil
    }
    let share = ExperimentVerdict.text(100 * Double(mixed) / Double(persons))
    return
      "\(share) % of persons saw more than one variant, so that they are not comparable; find out why before"
      + " reading on"
  }

  init(
    _ plan: ExperimentPlan, primary: MetricAnalysis, guardrails: [MetricAnalysis],
    sampleRatio: SampleRatioMonitor, failures: [SampleRatioDimensions.Failure]
  ) {
    guard primary.totals.contains(where: { $0.exposures.persons > 0 }) else {
      decision = ExperimentResults.Decision(
        action: .goOn, variant: nil,
        reasons: ["nobody was exposed so long ago that the outcome is known"])
      return
    }
    let verdicts = primary.treatments.indices.map { index in
      ExperimentVerdict(
        sampleRatio: sampleRatio, failures: failures,
        primary: Self.finding(primary, index, plan),
        guardrails: guardrails.map {
          ExperimentVerdict.Guardrail(
            name: $0.metric.words, finding: Self.finding($0, index, plan))
        }, treatment: plan.variants[primary.treatments[index]],
        aim: Self.aim(primary, plan), plan: "\(plan.plannedPersons) persons of each variant",
        arms: plan.variants)
    }
    func having(_ action: ExperimentVerdict.Action) -> [Int] {
      verdicts.indices.filter { verdicts[$0].action == action }
    }
    func decided(
      _ action: ExperimentVerdict.Action, _ variant: String?, first: Int? = nil
    ) -> ExperimentResults.Decision {
      let order = verdicts.indices.sorted { $0 == first && $1 != first }
      var reasons: [String] = []
      for reason in order.flatMap({ verdicts[$0].reasons }) where !reasons.contains(reason) {
        reasons.append(reason)
      }
      return ExperimentResults.Decision(action: action, variant: variant, reasons: reasons)
    }
    let isMismatch = verdicts.first?.action == .distrust
    if let mixing = Self.mixing(primary.totals) {
      let others = isMismatch ? decided(.distrust, nil).reasons : []
      decision = ExperimentResults.Decision(
        action: .distrust, variant: nil, reasons: others + [mixing])
    } else if isMismatch {
      decision = decided(.distrust, nil)
    } else if let winner = having(.takeTreatment).max(by: {
      primary.comparison($0).lift ?? 0 < primary.comparison($1).lift ?? 0
    }) {
      decision = decided(
        .takeTreatment, plan.variants[primary.treatments[winner]], first: winner)
    } else if !having(.goOn).isEmpty {
      decision = decided(.goOn, nil)
    } else if let harmful = having(.stopForHarm).first {
      decision = decided(.stopForHarm, plan.control, first: harmful)
    } else if let futile = having(.stopForFutility).first {
      decision = decided(.stopForFutility, plan.control, first: futile)
    } else {
      decision = decided(.keepControl, plan.control)
    }
  }

  private static func finding(
    _ analysis: MetricAnalysis, _ index: Int, _ plan: ExperimentPlan
  ) -> Finding {
    Finding(
      decision: analysis.decision(index), effect: effect(analysis, index, plan),
      power: analysis.power(index, minimalEffect: plan.minimalEffect))
  }

  /// The smallest effect that would be worth having, and what it takes to find it where that is more than is planned.
  private static func aim(_ primary: MetricAnalysis, _ plan: ExperimentPlan) -> String {
    let aim =
      "makes \(plan.metric.words) \(ExperimentVerdict.text(100 * plan.minimalEffect)) % more"
    guard let needed = primary.personsNeeded(minimalEffect: plan.minimalEffect),
      needed > Double(plan.plannedPersons)
    else { return aim }
    return aim + ", which takes some \(roughly(needed)) of each to find"
  }

  /// Two digits, as it is a guess.
  private static func roughly(_ persons: Double) -> String {
    var scale = 1.0
    while persons / scale >= 100 { scale *= 10 }
    return ExperimentVerdict.text((persons / scale).rounded() * scale)
  }

  private static func effect(
    _ analysis: MetricAnalysis, _ index: Int, _ plan: ExperimentPlan
  ) -> String {
    func part(_ arm: Int) -> (value: String, persons: Int64) {
      let mean = ExperimentVerdict.text(
        ExperimentAnalysis.shown(analysis.mean(of: arm), analysis.metric)
          * (analysis.metric.isRate ? 100 : 1))
      let unit =
        switch analysis.metric {
        case .revenuePerPerson: plan.currency
        case .dwellPerPerson: "s"
        default: "%"
        }
      return ("\(mean) \(unit)", analysis.totals[arm].exposures.persons)
    }
    let treatment = part(analysis.treatments[index])
    let control = part(analysis.control)
    let numbers =
      "\(treatment.value) of \(treatment.persons) persons against \(control.value) of"
      + " \(control.persons)"
    let comparison = analysis.comparison(index)
    guard let lift = comparison.lift, let lower = comparison.lower, let upper = comparison.upper
    else { return numbers }
    let texts = [lift, lower, upper].map { ExperimentVerdict.text(100 * $0) }
    return numbers + ", lift \(texts[0]) % (\(texts[1]) to \(texts[2]))"
  }
}
