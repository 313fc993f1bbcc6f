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

  public struct Guardrail: Sendable {
    public let name: String
    /// Of a rate of which more is better.
    public let test: SequentialRateTest

    public init(name: String, test: SequentialRateTest) {
      self.name = name
      self.test = test
    }
  }

  public let action: Action
  public let reasons: [String]

  /// - Parameters:
  ///   - oddsRatioOfInterest: The smallest effect that would be worth having, as odds over odds, above 1.
  ///   - powerMin: Below this chance of success it is futile to go on.
  public init(
    sampleRatio: SampleRatioMonitor, dimensions: SampleRatioDimensions? = nil,
    primary: SequentialRateTest, guardrails: [Guardrail] = [],
    oddsRatioOfInterest: Double = 1.05, powerMin: Double = 0.05
  ) {
    let mismatches = Self.mismatches(sampleRatio, dimensions)
    guard mismatches.isEmpty else {
      action = .distrust
      reasons = mismatches
      return
    }
    let harmed = guardrails.filter { $0.test.decision == .treatmentIsWorse }
    guard harmed.isEmpty else {
      action = .stopForHarm
      reasons = harmed.map { "the treatment harms \($0.name): \(Self.effect($0.test))" }
      return
    }
    switch primary.decision {
    case .treatmentIsBetter?:
      action = .takeTreatment
      reasons = ["the treatment is better: \(Self.effect(primary))"]
    case .treatmentIsWorse?:
      action = .keepControl
      reasons = ["the treatment is worse: \(Self.effect(primary))"]
    case nil:
      let power = Futility.conditionalPower(of: primary, oddsRatio: oddsRatioOfInterest)
      let odds = Self.text(power * 100)
      if power < powerMin {
        action = .stopForFutility
        reasons = [
          "no decision so far, and only \(odds) % chance of one by the plan even if the treatment has "
            + "the effect of interest"
        ]
      } else {
        action = .goOn
        reasons = [
          "no decision so far: \(Self.effect(primary)); \(odds) % chance of one by the plan if the "
            + "treatment has the effect of interest"
        ]
      }
    }
  }

  private static func mismatches(
    _ sampleRatio: SampleRatioMonitor, _ dimensions: SampleRatioDimensions?
  ) -> [String] {
    var reasons: [String] = []
    if sampleRatio.isMismatch {
      let worst = sampleRatio.worstArm.arm
      reasons.append(
        "visitors do not reach the arms as allocated (p \(text(sampleRatio.pValue))): arm \(worst) has "
          + "\(text(sampleRatio.observed[worst])) where \(text(sampleRatio.expected[worst])) were due; "
          + "find out why before reading on")
    }
    for failure in dimensions?.failures ?? [] {
      reasons.append(
        "visitors with \(failure.name) do not reach the arms as allocated (p \(text(failure.pValue))): arm \(failure.arm) is "
          + "\(text(failure.score)) standard deviations off")
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
  private static func text(_ value: Double) -> String {
    guard value.isFinite, value != 0 else { return value == 0 ? "0" : "∞" }
    var scale = 1.0
    while value.magnitude * scale < 100, scale < 1e12 { scale *= 10 }
    let rounded = (value * scale).rounded() / scale
    return rounded == rounded.rounded() && rounded.magnitude < 1e15
      ? String(Int(rounded)) : String(rounded)
  }
}
