public import States

/// A confidence sequence of the mean of numbers between 0 and 1 in constant space.
///
/// Waudby-Smith and Ramdas 2024, theorem 2 (predictable mixture, empirical Bernstein), as in confseq. A few
/// per cent wider than ``BettingSequence``, at 80 ns a number and 100 bytes.
public struct EmpiricalBernsteinSequence: Sendable, Equatable {
  public let alpha: Double
  private var below: OneSided
  private var above: OneSided

  public init(alpha: Double = 0.05) throws(ExperimentError) {
    try ExperimentError.check("alpha", alpha, alpha > 0 && alpha < 1, "between 0 and 1")
    self.alpha = alpha
    below = OneSided()
    above = OneSided()
  }

  /// - Parameter x: Between 0 and 1.
  public mutating func add(_ x: Double) throws(ExperimentError) {
    try ExperimentError.check("x", x, x >= 0 && x <= 1, "between 0 and 1")
    below.add(x, alpha: alpha / 2)
    above.add(1 - x, alpha: alpha / 2)
  }

  public var interval: (lower: Double, upper: Double) {
    (below.lower(alpha: alpha / 2), 1 - above.lower(alpha: alpha / 2))
  }

  fileprivate struct OneSided: Sendable, Equatable {
    private var bets = PredictableBets()
    private var count = 0.0
    private var sum = 0.0
    private var stakes = 0.0
    private var staked = 0.0
    private var cost = 0.0

    mutating func add(_ x: Double, alpha: Double) {
      let stake = min(0.5, bets.next(alpha: alpha))
      let mean = count > 0 ? sum / count : 0
      cost += (x - mean) * (x - mean) * (-Elementary.log1p(-stake) - stake)
      stakes += stake
      staked += stake * x
      count += 1
      sum += x
      bets.add(x)
    }

    func lower(alpha: Double) -> Double {
      guard stakes > 0 else { return 0 }
      return max(0, (staked - (cost - Elementary.log(alpha))) / stakes)
    }
  }
}

extension EmpiricalBernsteinSequence: CodedState {
  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.check(alpha)
    try codec.code(&below)
    try codec.code(&above)
  }
}

extension EmpiricalBernsteinSequence.OneSided: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&bets)
    try codec.code(&count)
    try codec.code(&sum)
    try codec.code(&stakes)
    try codec.code(&staked)
    try codec.code(&cost)
  }
}
