public import States

/// A lower bound of the mean of numbers that are at least 0, however large, that may be looked at any time.
///
/// The supermartingale of Fan, Grama and Liu 2015 for what is bounded below, with predictable bets, as Waudby-Smith, Wu, Ramdas,
/// Karampatziakis and Mineiro 2022 ("Anytime-valid off-policy inference for contextual bandits", theorem 2) use it: no
/// greatest number has to be known, so that weights that are possible and do not come cost little. Bets stay below two over
/// the greatest number that was seen, or that may still be expected, which is predictable too: a single large one early on does
/// not spoil all that follow.
///
/// Cost: some 40 ns a number. Says little before the greatest numbers have come some ten times.
public struct LowerBoundSequence: Sendable, Equatable {
  private let alpha: Double
  private var bets = PredictableBets()
  private var count = 0.0
  private var sum = 0.0
  private let scale: Double
  private var greatest = 1.0
  private var stakes = 0.0
  private var staked = 0.0
  private var cost = 0.0
  /// The greatest that was known at any time.
  public private(set) var lower = 0.0

  private static let stakeMax = 0.5
  /// What has not come in so many numbers is expected to be smaller, by the root of how often that has passed.
  private static let patience = 100.0

  /// - Parameters:
  ///   - alpha: the chance of ever being above the mean.
  ///   - scale: how large numbers may well be, at least 1: it says how carefully to begin, and decides nothing else.
  public init(alpha: Double, scale: Double = 1) throws(OffPolicyError) {
    guard alpha > 0, alpha < 1 else {
      throw .parameter("alpha", alpha, allowed: "between 0 and 1")
    }
    guard scale >= 1, scale.isFinite else {
      throw .parameter("scale", scale, allowed: "at least 1")
    }
    self.alpha = alpha
    self.scale = scale
  }

  /// - Parameter x: at least 0; its mean may be anything.
  public mutating func add(_ x: Double) throws(OffPolicyError) {
    guard x >= 0, x.isFinite else { throw .decision("weighted reward", x, allowed: "at least 0") }
    let expected = scale / (1 + count / Self.patience).squareRoot()
    let stake = min(Self.stakeMax, 2 / max(greatest, expected), bets.next(alpha: alpha))
    // What is expected is at most 1, so that no number is less than it by more than that.
    let mean = count > 0 ? min(1, sum / count) : 0
    cost += (x - mean) * (x - mean) * (-Elementary.log1p(-stake) - stake)
    stakes += stake
    staked += stake * x
    count += 1
    sum += x
    greatest = max(greatest, x)
    bets.add(x)
    lower = max(lower, (staked - (cost - Elementary.log(alpha))) / stakes)
  }
}

extension LowerBoundSequence: CodedState {
  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.check(alpha)
    try codec.check(scale)
    try codec.code(&bets)
    try codec.code(&count)
    try codec.code(&sum)
    try codec.code(&greatest)
    try codec.code(&stakes)
    try codec.code(&staked)
    try codec.code(&cost)
    try codec.code(&lower)
  }
}
