import Foundation
import Statistics

/// Ways to decide between two arms at any look, as they stand after n visitors of each.
///
/// Baselines are written down here from their definitions, at α = 5 %, so that they see the same visitors
/// as ours in the same run.
struct PeekingMethods {
  static let names = [
    "ours", "evidence", "fixed z", "GB rel 5k", "GB abs 5k", "GB abs 20k", "mSPRT 10%",
  ]
  static let count = names.count
  static let ours = 0
  static let evidence = 1

  private let spending: ErrorSpending
  private let evidenceBounds: [Int]
  /// Of the control, which mSPRT's prior is scaled by.
  private let rate: Double

  private var test: SequentialRateTest
  private var n = 0
  private var controlSum = 0
  private var treatmentSum = 0
  private var discordant = 0
  /// Visitors of each arm at which a method decided.
  private(set) var decided = [Int?](repeating: nil, count: count)
  private(set) var open = count

  init(spending: ErrorSpending, evidenceBounds: [Int], rate: Double) {
    self.spending = spending
    self.evidenceBounds = evidenceBounds
    self.rate = rate
    test = SequentialRateTest(spending: spending)
  }

  /// Takes one visitor of each arm, and looks.
  mutating func look(control: Bool, treatment: Bool) throws {
    n += 1
    controlSum += control ? 1 : 0
    treatmentSum += treatment ? 1 : 0
    if control != treatment { discordant += 1 }
    if decided[Self.ours] == nil {
      try test.add(
        control: ArmCounts(visitors: 1, conversions: control ? 1 : 0),
        treatment: ArmCounts(visitors: 1, conversions: treatment ? 1 : 0))
      if test.decision != nil { decide(Self.ours) }
    }
    if decided[Self.evidence] == nil, control != treatment, discordant < evidenceBounds.count,
      abs(treatmentSum - controlSum) >= evidenceBounds[discordant]
    {
      decide(Self.evidence)
    }
    lookAsymptotically()
  }

  private mutating func decide(_ method: Int) {
    decided[method] = n
    open -= 1
  }

  private mutating func lookAsymptotically() {
    let size = Double(n)
    let a = Double(controlSum) / size
    let b = Double(treatmentSum) / size
    let varianceA = a * (1 - a)
    let varianceB = b * (1 - b)
    // gbstats gives no result where an arm has no variance.
    guard varianceA > 0, varianceB > 0 else { return }
    let difference = b - a
    let square = difference * difference * size / (varianceA + varianceB)
    if decided[2] == nil, square > 3.841_458_820_694_124 { decide(2) }
    if decided[3] == nil {
      let relative = difference / a
      let variance = (varianceB / (a * a) + varianceA * b * b / (a * a * a * a)) / size
      if Self.exceeds(relative * relative / variance, 2 * size, tuning: 5_000) { decide(3) }
    }
    if decided[4] == nil, Self.exceeds(square, 2 * size, tuning: 5_000) { decide(4) }
    if decided[5] == nil, Self.exceeds(square, 2 * size, tuning: 20_000) { decide(5) }
    if decided[6] == nil {
      // Johari et al. 2017: a normal prior of the difference, its deviation a tenth of the rate.
      let pooled = (a + b) / 2
      let variance = 2 * pooled * (1 - pooled)
      let prior = 0.01 * rate * rate
      let sum = variance + size * prior
      let logValue =
        size * size * prior * difference * difference / (2 * variance * sum)
        + 0.5 * log(variance / sum)
      if logValue >= Self.logLevel { decide(6) }
    }
  }

  /// The asymptotic confidence sequence of gbstats: its e-value of a squared score.
  private static func exceeds(_ square: Double, _ visitors: Double, tuning: Double) -> Bool {
    let scaled = visitors * rhoSquared / tuning
    return scaled * square / (2 * (1 + scaled)) - 0.5 * log1p(scaled) >= logLevel
  }

  private static let logLevel = log(20.0)
  private static let rhoSquared = 2 * log(20.0) + log(2 * log(20.0) + 1)

  /// The least lead at which evidence of pairs reaches 20, by the number of discordant pairs.
  static func evidenceBounds(upTo count: Int) -> [Int] {
    var bounds = [1]
    var lead = 1
    for discordant in 1...count {
      lead = max(lead - 2, 1)
      if (lead ^ discordant) & 1 == 1 { lead += 1 }
      while lead <= discordant,
        RateEvidence.logValue(discordant: discordant, lead: lead) < logLevel
      {
        lead += 2
      }
      bounds.append(lead)
    }
    return bounds
  }
}
