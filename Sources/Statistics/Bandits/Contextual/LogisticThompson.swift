public import States

/// Each arm with the chance that its click rate is the highest, by a logistic model of each.
///
/// Chapelle and Li 2011 keep the deviation of each weight; this one keeps how they go together as well, by one Newton step
/// an example on Laplace's approximation (Spiegelhalter and Lauritzen 1990). Chances are computed on the scale of
/// log odds (``NormalContest``). Right for rates near 0 or 1, where a linear model predicts what can't be.
/// Rewards are between 0 and 1; others count as the nearer of the two.
///
/// Features are brought to deviation 1 by what was learned so far. The model depends on the order of examples:
/// to take one back, learn again from a snapshot before it. Cost: d² multiplications an example, and a decision
/// what ``LinearThompson`` takes. Fails where rates are no function of a weighted sum, and forgets nothing.
public struct LogisticThompson: ContextualPolicy, Equatable {
  fileprivate struct Arm: Sendable, Equatable {
    var weights: [Double]
    var covariance: [Double]

    init(size: Int) {
      weights = [Double](repeating: 0, count: size)
      covariance = [Double](repeating: 0, count: size * size)
      for index in 0..<size { covariance[index * size + index] = 1 }
      // Of log odds, so that rates from a thousandth to all can be.
      covariance[0] = 9
      weights[0] = -1
    }
  }

  private let size: Int
  private let width: Double
  private var moments: RunningMoments
  private var arms: [Arm] = []

  /// - Parameter width: Times the deviation of what is believed: below 1 explores less.
  public init(dimensions: Int, width: Double = 1) {
    precondition(dimensions >= 0, "a context has a number of features")
    size = dimensions + 1
    self.width = max(0, width)
    moments = RunningMoments(dimensions: dimensions)
  }

  public func probabilities(features: [Double], arms count: Int) -> [Double] {
    let context = moments.vector(features)
    var means: [Double] = []
    var deviations: [Double] = []
    let unknown = Arm(size: size)
    for index in 0..<count {
      let arm = index < arms.count ? arms[index] : unknown
      let (mean, variance, _) = belief(arm, context)
      means.append(mean)
      deviations.append(width * variance.squareRoot())
    }
    return NormalContest.chances(means: means, deviations: deviations)
  }

  public mutating func learn(features: [Double], arm: Int, reward: Double, propensity: Double) {
    precondition(arm >= 0, "arms are numbered from 0")
    while arms.count <= arm { arms.append(Arm(size: size)) }
    moments.add(features)
    let context = moments.vector(features)
    let (mean, variance, direction) = belief(arms[arm], context)
    let rate = 1 / (1 + Elementary.exp(-mean))
    // What is believed of the rate after the example is as sure as the curve is steep here.
    let slope = max(rate * (1 - rate), Self.slopeMin)
    let gain = 1 / (1 + slope * variance)
    let reward = reward.isFinite ? min(max(reward, 0), 1) : 0
    for row in 0..<size {
      arms[arm].weights[row] += gain * (reward - rate) * direction[row]
      let factor = slope * gain * direction[row]
      for column in 0..<size {
        arms[arm].covariance[row * size + column] -= factor * direction[column]
      }
    }
  }

  private func belief(
    _ arm: Arm, _ context: [Double]
  ) -> (mean: Double, variance: Double, direction: [Double]) {
    var direction = [Double](repeating: 0, count: size)
    var mean = 0.0
    var variance = 0.0
    for row in 0..<size {
      var sum = 0.0
      for column in 0..<size { sum += arm.covariance[row * size + column] * context[column] }
      direction[row] = sum
      mean += arm.weights[row] * context[row]
      variance += sum * context[row]
    }
    return (mean, max(variance, 0), direction)
  }

  private static let slopeMin = 1e-3
}

/// Means and deviations of features, as of what came so far.
struct RunningMoments: Sendable, Equatable {
  private var count = 0.0
  private var means: [Double]
  /// Σ (x − mean)², by Welford 1962.
  private var squares: [Double]

  init(dimensions: Int) {
    means = [Double](repeating: 0, count: dimensions)
    squares = means
  }

  mutating func add(_ features: [Double]) {
    count += 1
    for index in means.indices {
      let value = Self.value(features, index)
      let before = value - means[index]
      means[index] += before / count
      squares[index] += before * (value - means[index])
    }
  }

  /// The constant 1, then the features with mean 0 and deviation 1, no further than 4 deviations; 0 for what never
  /// differed.
  func vector(_ features: [Double]) -> [Double] {
    var vector = [Double](repeating: 1, count: means.count + 1)
    for index in means.indices {
      let variance = squares[index] / max(count, 1)
      let distance = Self.value(features, index) - means[index]
      let value = variance > 1e-12 ? distance / variance.squareRoot() : 0
      vector[index + 1] = min(max(value, -4), 4)
    }
    return vector
  }

  private static func value(_ features: [Double], _ index: Int) -> Double {
    guard index < features.count, features[index].isFinite else { return 0 }
    return min(max(features[index], -1e100), 1e100)
  }
}

extension LogisticThompson: CodedState {
  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.check(size)
    try codec.code(&moments)
    try codec.code(&arms, over: Arm(size: size))
  }
}

extension LogisticThompson.Arm: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(each: &weights)
    try codec.code(each: &covariance)
  }
}

extension RunningMoments: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&count)
    try codec.code(each: &means)
    try codec.code(each: &squares)
  }
}
