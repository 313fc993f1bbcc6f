/// Evidence that a count's mean has changed by one factor, over the stretch that shows it best.
///
/// Page's test (Page 1954, "Continuous inspection schemes"): the sum of log likelihood ratios of the negative binomial,
/// kept at zero or above, is the evidence of the best start of the change so far; it needs no choice of scales. At a
/// threshold h false alarms come at most once in e^h steps of independent evidence (Lorden 1971). The sum ends at 12,
/// so that after the change evidence goes soon. Cost: one logarithm, 8 bytes. Fails for
/// changes below half the factor's logarithm, which it takes for none: have two factors.
struct CountEvidence: Sendable, Equatable {
  private static let evidenceMax = 12.0

  /// Of the mean when changed, and of the largest that is not worth an alarm.
  let factor: Double
  let nullFactor: Double
  private let logRatio: Double
  private(set) var sum = 0.0

  init(factor: Double, nullFactor: Double) {
    self.factor = factor
    self.nullFactor = nullFactor
    logRatio = Elementary.log(factor / nullFactor)
  }

  mutating func add(_ count: Double, mean: Double, dispersion: Double) {
    let size = 1 / dispersion
    let shift = Elementary.log((size + factor * mean) / (size + nullFactor * mean))
    sum = min(Self.evidenceMax, max(0, sum + count * logRatio - (count + size) * shift))
  }

  mutating func clear() { sum = 0 }

  mutating func restore(_ sum: Double) { self.sum = sum }
}
