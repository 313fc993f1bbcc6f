/// What to do about an experiment, and why, in words.
///
/// In the order in which reasons rule each other out: visitors who reach the wrong arms make everything else
/// meaningless; harm to a guardrail stops even what wins; then the primary metric decides; then what can no
/// longer succeed ends. Everything in it is valid at any time, so it may be asked at any time. With G
/// guardrails each should have an α of its own, as of α/G: that is the caller's choice.
public struct ExperimentVerdict: Sendable, Equatable {
  public enum Action: Sendable, Equatable {
    case distrust, stopForHarm, takeTreatment, keepControl, stopForFutility, goOn
  }

  /// What a test found of a metric: better or worse as its owner sees it.
  public struct Finding: Sendable, Equatable {
    public let decision: SequentialRateTest.Decision?
    /// In words.
    public let effect: String
    /// The chance of deciding for the treatment by the plan, if it has the effect of interest.
    public let power: Double

    public init(decision: SequentialRateTest.Decision?, effect: String, power: Double) {
      self.decision = decision
      self.effect = effect
      self.power = power
    }

    /// - Parameter oddsRatioOfInterest: The smallest effect that would be worth having, as odds over odds,
    ///   above 1.
    public init(_ test: SequentialRateTest, oddsRatioOfInterest: Double = 1.05) {
      decision = test.decision
      effect = ExperimentVerdict.effect(test)
      power = Futility.conditionalPower(of: test, oddsRatio: oddsRatioOfInterest)
    }
  }

  public struct Guardrail: Sendable {
    public let name: String
    public let finding: Finding

    /// Of a rate of which more is better.
    public init(name: String, test: SequentialRateTest) {
      self.init(name: name, finding: Finding(test))
    }

    public init(name: String, finding: Finding) {
      self.name = name
      self.finding = finding
    }
  }

  public let action: Action
  public let reasons: [String]

  /// - Parameters:
  ///   - failures: Values of dimensions whose visitors do not reach the arms as allocated.
  ///   - oddsRatioOfInterest: The smallest effect that would be worth having, as odds over odds, above 1.
  ///   - powerMin: Below this chance of success it is futile to go on.
  public init(
    sampleRatio: SampleRatioMonitor, failures: [SampleRatioDimensions.Failure] = [],
    primary: SequentialRateTest, guardrails: [Guardrail] = [],
    oddsRatioOfInterest: Double = 1.05, powerMin: Double = 0.05
  ) {
    self.init(
      sampleRatio: sampleRatio, failures: failures,
      primary: Finding(primary, oddsRatioOfInterest: oddsRatioOfInterest), guardrails: guardrails,
      powerMin: powerMin)
  }

  /// - Parameters:
  ///   - treatment: What the treatment is called.
  ///   - aim: The smallest effect that would be worth having, as what the treatment does.
  ///   - plan: What it is to be found by.
  ///   - arms: What the arms of the sample ratio are called, in their order; by their numbers where none are
  ///     given.
  public init(
    sampleRatio: SampleRatioMonitor, failures: [SampleRatioDimensions.Failure] = [],
    primary: Finding,
    guardrails: [Guardrail] = [], treatment: String = "the treatment",
    aim: String = "has the effect of interest", plan: String = "the plan", arms: [String] = [],
    powerMin: Double = 0.05
  ) {
    let mismatches = Self.mismatches(sampleRatio, failures, arms)
    guard mismatches.isEmpty else {
      action = .distrust
      reasons = mismatches
      return
    }
    let harmed = guardrails.filter { $0.finding.decision == .treatmentIsWorse }
    guard harmed.isEmpty else {
      action = .stopForHarm
      reasons = harmed.map { "\(treatment) harms \($0.name): \($0.finding.effect)" }
      return
    }
    switch primary.decision {
    case .treatmentIsBetter?:
      action = .takeTreatment
      reasons = ["\(treatment) is better: \(primary.effect)"]
    case .treatmentIsWorse?:
      action = .keepControl
      reasons = ["\(treatment) is worse: \(primary.effect)"]
    case nil:
      let odds = Self.text(primary.power * 100)
      if primary.power < powerMin {
        action = .stopForFutility
        reasons = [
          "no decision so far: \(primary.effect); and only \(odds) % chance of one by \(plan) even if "
            + "\(treatment) \(aim)"
        ]
      } else {
        action = .goOn
        reasons = [
          "no decision so far: \(primary.effect); \(odds) % chance of one by \(plan) if "
            + "\(treatment) \(aim)"
        ]
      }
    }
  }

  private static func mismatches(
    _ sampleRatio: SampleRatioMonitor, _ failures: [SampleRatioDimensions.Failure],
    _ arms: [String]
  ) -> [String] {
    func name(_ arm: Int) -> String { arms.indices.contains(arm) ? arms[arm] : "arm \(arm)" }
    var reasons: [String] = []
    if sampleRatio.isMismatch {
      let worst = sampleRatio.worstArm.arm
      reasons.append(
        "visitors do not reach the arms as allocated (p \(text(sampleRatio.pValue))): \(name(worst)) has "
          + "\(text(sampleRatio.observed[worst])) where \(text(sampleRatio.expected[worst])) were due; "
          + "find out why before reading on")
    }
    for failure in failures {
      reasons.append(
        "visitors with \(failure.name) do not reach the arms as allocated (p \(text(failure.pValue))): "
          + "\(name(failure.arm)) is \(text(failure.score)) standard deviations off")
    }
    return reasons
  }

  private static func effect(_ test: SequentialRateTest) -> String {
    let odds = test.oddsRatio
    let rates =
      "\(text(100 * test.treatment.rate)) % of \(test.treatment.visitors) visitors against "
      + "\(text(100 * test.control.rate)) % of \(test.control.visitors)"
    guard odds.upper < .infinity else { return rates }
    return rates + ", odds × \(text(odds.estimate)) (\(text(odds.lower)) to \(text(odds.upper)))"
  }

  /// Three digits.
  public static func text(_ value: Double) -> String {
    guard value.isFinite, value != 0 else { return value == 0 ? "0" : "∞" }
    var scale = 1.0
    while value.magnitude * scale < 100, scale < 1e12 { scale *= 10 }
    let rounded = (value * scale).rounded() / scale
    return rounded == rounded.rounded() && rounded.magnitude < 1e15
      ? String(Int(rounded)) : String(rounded)
  }
}
