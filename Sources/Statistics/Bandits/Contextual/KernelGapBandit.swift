public import States

/// Learns rewards that are any smooth function of the context, and shows arms by the inverse of their gap to the best: the
/// default.
///
/// Each arm's reward is a ridge regression on the context's features as they are and on 256 random Fourier features
/// (``RandomFeatures``), so that near contexts earn alike. Chances are by the inverse gap (``InverseGap``) with
/// γ = 3 √(K n) / σ as of Foster and Rakhlin 2020, where σ is by how much rewards were mispredicted of late: what is
/// learned without noise is exploited soon. Where even the best arm is predicted to earn less than arms do on the whole, exploring
/// costs little and teaches most, so there γ falls with the square of that share: without it, one of ten
/// kinds of contexts was sometimes never found out. A low reward moves a near context to the next arm, which is most
/// of the exploration.
///
///     context ─▶ mean 0, deviation 1 ─▶ linear │ cos(w·x + b) ─▶ ridge of each arm ─▶ chances
///                     ▲
///                     └ measured anew after 8, 32, 128, 512 and 2,048 examples, which are then learned again
///
/// Depends on the order of examples: to take one back, learn again from a snapshot before it. Cost: 8 bytes by half the
/// square of the features and arm (0.3 MB), two passes over that an example, one over the features an arm and decision;
/// the last learning again takes 2,048 examples' time. Fails where what matters is one of hundreds of
/// features, which all count alike for what is near, and forgets nothing.
public struct KernelGapBandit: ContextualPolicy, Equatable {
  private let features: RandomFeatures
  /// Features of their own have contexts up to here; longer ones only the kernel.
  private let linear: Int
  private let fours: Int
  private var scale: ContextScale
  private var arms: [RecursiveRidge] = []
  private var count = 0.0
  private var rewards = 0.0
  /// The least reward so far, or 0.
  private var least = 0.0
  /// Squares of what was mispredicted and their weight, fading.
  private var recent = (squares: 0.0, weight: 0.0)
  /// What is learned again when the scale is measured anew; nothing after the last time.
  private var early: [Example] = []
  private var nextScale = Self.firstScale

  fileprivate struct Example: Sendable, Equatable {
    var features: [Double]
    var arm: Int
    var reward: Double
  }

  /// - Parameter kernelFeatures: 4 to 1,024, rounded to a multiple of 4; time and memory go by their square.
  public init(dimensions: Int, kernelFeatures: Int = 256) {
    precondition(dimensions >= 0, "a context has a number of features")
    features = RandomFeatures(
      dimensions: dimensions, count: min(max(kernelFeatures, 4), 1_024) / 4 * 4,
      width: Self.width)
    linear = dimensions <= Self.linearMax ? dimensions : 0
    fours = (1 + linear + 3) / 4 + features.count / 4
    scale = ContextScale(dimensions: dimensions)
  }

  public static func == (left: Self, right: Self) -> Bool {
    left.features == right.features && left.scale == right.scale && left.arms == right.arms
      && left.count == right.count && left.rewards == right.rewards && left.least == right.least
      && left.recent == right.recent
      && left.early == right.early && left.nextScale == right.nextScale
  }

  public func probabilities(features context: [Double], arms count: Int) -> [Double] {
    let means = predictions(context, arms: count)
    let noise = max(1e-9, recent.squares / max(recent.weight, 1e-9)).squareRoot()
    let greed =
      Self.greed * (Double(count) * (self.count + 1)).squareRoot() / noise * promise(means)
    return InverseGap.chances(means: means, greed: greed)
  }

  /// The square of what the best arm is predicted to earn here, as a share of the mean and at most 1.
  private func promise(_ means: [Double]) -> Double {
    guard centre > least, let best = means.max() else { return 1 }
    let share = min(max((best - least) / (centre - least), 0), 1)
    return share * share
  }

  /// The predicted reward of each arm in a context.
  public func predictions(_ context: [Double], arms count: Int) -> [Double] {
    let vector = vector(context)
    return (0..<count).map { arm in
      centre + (arm < arms.count ? arms[arm].predict(vector) : 0)
    }
  }

  public mutating func learn(features: [Double], arm: Int, reward: Double, propensity: Double) {
    precondition(arm >= 0, "arms are numbered from 0")
    let example = Example(features: features, arm: arm, reward: reward.isFinite ? reward : 0)
    take(example)
    guard nextScale <= Self.lastScale else { return }
    early.append(example)
    if early.count == nextScale { learnAgain() }
  }

  private mutating func take(_ example: Example) {
    while arms.count <= example.arm { arms.append(RecursiveRidge(fours: fours, ridge: Self.ridge)) }
    let vector = vector(example.features)
    let target = example.reward - centre
    let error = target - arms[example.arm].predict(vector)
    recent.squares = recent.squares * Self.recentKept + error * error
    recent.weight = recent.weight * Self.recentKept + 1
    arms[example.arm].learn(vector, target: target)
    count += 1
    rewards += example.reward
    least = min(least, example.reward)
  }

  private mutating func learnAgain() {
    scale = ContextScale(early.map(\.features), dimensions: scale.dimensions)
    arms = []
    (count, rewards) = (0, 0)
    recent = (0, 0)
    for example in early { take(example) }
    nextScale *= Self.scaleGrowth
    if nextScale > Self.lastScale { early = [] }
  }

  /// The mean reward, as if there had been one success more and one trial of each arm: what is not known is a little better
  /// than what always fails.
  private var centre: Double { (rewards + 1) / (count + Double(max(arms.count, 2))) }

  private func vector(_ context: [Double]) -> [SIMD4<Double>] {
    let scaled = scale.vector(context)
    var vector: [SIMD4<Double>] = []
    vector.reserveCapacity(fours)
    for start in stride(from: 0, through: linear, by: 4) {
      var four = SIMD4<Double>.zero
      for lane in 0..<4 where start + lane <= linear {
        four[lane] = start + lane == 0 ? Self.constant : Self.linearShare * scaled[start + lane - 1]
      }
      vector.append(four)
    }
    features.append(scaled, to: &vector)
    return vector
  }

  private static let linearMax = 128
  private static let linearShare = 0.5
  /// Small, so that an arm that failed in some contexts is hardly expected to in those that are unlike them.
  private static let constant = 0.1
  /// Of the kernel, where two contexts are √2 from each other on average.
  private static let width = 2.0
  private static let ridge = 0.01
  private static let greed = 3.0
  /// Some 500 examples.
  private static let recentKept = 0.998
  private static let firstScale = 8
  private static let scaleGrowth = 4
  private static let lastScale = 2_048
}

/// Brings contexts to mean 0 and all features together to a mean square of 1, each alike.
struct ContextScale: Sendable, Equatable {
  private var means: [Double]
  private var factors: [Double]
  private var together = 0.0

  var dimensions: Int { means.count }

  /// Of which nothing is known: all contexts are alike.
  init(dimensions: Int) {
    means = [Double](repeating: 0, count: dimensions)
    factors = means
  }

  init(_ contexts: [[Double]], dimensions: Int) {
    self.init(dimensions: dimensions)
    let count = Double(max(contexts.count, 1))
    var varying = 0.0
    for index in 0..<dimensions {
      var sum = 0.0
      for context in contexts { sum += Self.value(context, index) }
      let mean = sum / count
      var squares = 0.0
      for context in contexts {
        let distance = Self.value(context, index) - mean
        squares += distance * distance
      }
      let variance = squares / count
      guard variance > 1e-12 + 1e-20 * mean * mean else { continue }
      means[index] = mean
      factors[index] = 1 / variance.squareRoot()
      varying += 1
    }
    together = varying > 0 ? 1 / varying.squareRoot() : 0
  }

  func vector(_ context: [Double]) -> [Double] {
    var vector = means
    for index in vector.indices {
      let value = (Self.value(context, index) - means[index]) * factors[index]
      vector[index] = min(max(value, -Self.furthest), Self.furthest) * together
    }
    return vector
  }

  private static func value(_ context: [Double], _ index: Int) -> Double {
    guard index < context.count, context[index].isFinite else { return 0 }
    return min(max(context[index], -1e100), 1e100)
  }

  private static let furthest = 4.0
}

extension KernelGapBandit: CodedState {
  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.check(fours)
    try codec.code(&scale)
    try codec.code(&arms, over: RecursiveRidge(fours: fours, ridge: Self.ridge))
    try codec.code(&count)
    try codec.code(&rewards)
    try codec.code(&least)
    try codec.code(&recent.squares)
    try codec.code(&recent.weight)
    try codec.code(&early)
    try codec.code(&nextScale)
  }
}

extension KernelGapBandit.Example: CodedElement {
  static var blank: Self { Self(features: [], arm: 0, reward: 0) }

  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&features)
    try codec.code(&arm)
    try codec.code(&reward)
  }
}

extension ContextScale: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(each: &means)
    try codec.code(each: &factors)
    try codec.code(&together)
  }
}
