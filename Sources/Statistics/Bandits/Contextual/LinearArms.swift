public import States

/// Ridge regression of each arm's reward on the context: what the linear policies share.
///
/// The state is sums (``RegressionSums``), which hold raw features; they are brought to mean 0 and deviation 1 when a
/// model is made of them, by the contexts of all arms. The prior of each arm is one example of weight at the mean
/// reward of all, without effects of features (ridge 1), so an arm of which nothing is known earns what the
/// others do, with the deviation of rewards as its uncertainty: no unit of features or rewards matters.
///
/// Cost: making the models is d³/6 multiplications an arm (0.5 ms at 32 features), a prediction d, its uncertainty d²/2. Fails where rewards are no
/// linear function of the context (take ``KernelGapBandit``), and where a feature's mean is 10⁶ of its deviations,
/// which the digits of a Double can't tell apart.
public struct LinearArms: Sendable, Equatable {
  public let dimensions: Int
  public private(set) var sums: [RegressionSums] = []
  private var fits: [RidgeFit] = []
  private var scale: FeatureScale

  public init(dimensions: Int) {
    self.dimensions = dimensions
    scale = FeatureScale(all: RegressionSums(dimensions: dimensions))
  }

  /// Of the sums; what is derived from them follows.
  public static func == (left: Self, right: Self) -> Bool {
    let most = max(left.sums.count, right.sums.count)
    return left.dimensions == right.dimensions
      && (0..<most).allSatisfy { left.sum(of: $0) == right.sum(of: $0) }
  }

  public mutating func add(_ features: [Double], arm: Int, reward: Double) {
    grow(to: arm)
    sums[arm].add(features, reward: reward)
  }

  public mutating func subtract(_ features: [Double], arm: Int, reward: Double) {
    grow(to: arm)
    sums[arm].subtract(features, reward: reward)
  }

  /// Derives the models from the sums.
  public mutating func settle() {
    var all = RegressionSums(dimensions: dimensions)
    for sum in sums { all += sum }
    scale = FeatureScale(all: all)
    fits = sums.map { RidgeFit($0, scale: scale) }
  }

  /// Of all arms, as of the last time that models were made.
  var examples: Double { scale.count }
  /// Of rewards, of all arms; 1 while nothing is known.
  var deviation: Double { scale.deviation }

  /// The mean reward of each arm in a context, and if asked for, the deviation of what is believed of it.
  func predictions(
    _ features: [Double], arms: Int, deviations: Bool
  ) -> (means: [Double], deviations: [Double]) {
    let context = scale.vector(features)
    var means = [Double](repeating: scale.meanReward, count: arms)
    var spreads = [Double](repeating: 0, count: deviations ? arms : 0)
    for arm in 0..<arms {
      if arm < fits.count { means[arm] += fits[arm].effect(context) }
      guard deviations else { continue }
      let share = arm < fits.count ? fits[arm].variance(context) : RidgeFit.priorVariance(context)
      spreads[arm] = scale.deviation * share.squareRoot()
    }
    return (means, spreads)
  }

  /// What each feature adds to the arm's predicted reward, beside the mean reward of all and the arm's own constant,
  /// which comes first: for explanations.
  public func contributions(_ features: [Double], arm: Int) -> [Double] {
    let context = scale.vector(features)
    guard arm < fits.count else { return context.map { _ in 0 } }
    return zip(fits[arm].weights, context).map { $0 * $1 }
  }

  private func sum(of arm: Int) -> RegressionSums {
    arm < sums.count ? sums[arm] : RegressionSums(dimensions: dimensions)
  }

  private mutating func grow(to arm: Int) {
    precondition(arm >= 0, "arms are numbered from 0")
    while sums.count <= arm { sums.append(RegressionSums(dimensions: dimensions)) }
  }
}

/// Means and deviations of features and of rewards.
struct FeatureScale: Sendable, Equatable {
  let count: Double
  let meanReward: Double
  let deviation: Double
  private(set) var means: [Double]
  /// 1 over the deviation; 0 of a feature that is always the same.
  private(set) var factors: [Double]

  init(all: RegressionSums) {
    count = Double(all.count)
    let trials = max(count, 1)
    means = [1]
    factors = [1]
    for index in 1..<(all.dimensions + 1) {
      let mean = all.product(index, 0) / trials
      let variance = all.product(index, index) / trials - mean * mean
      // What is below is the rounding of sums.
      let varies = variance > 1e-9 * mean * mean + 1e-12
      means.append(mean)
      factors.append(varies ? 1 / variance.squareRoot() : 0)
    }
    meanReward = all.moment(0) / trials
    let variance = all.squaredRewards / trials - meanReward * meanReward
    deviation = variance > 1e-12 ? variance.squareRoot() : 1
  }

  /// The constant 1, then the features with mean 0 and deviation 1; no further than 8 deviations.
  func vector(_ features: [Double]) -> [Double] {
    var vector = [Double](repeating: 1, count: means.count)
    for index in 1..<means.count {
      let raw = index <= features.count ? features[index - 1] : 0
      let value = ((raw.isFinite ? raw : 0) - means[index]) * factors[index]
      vector[index] = min(max(value, -Self.furthest), Self.furthest)
    }
    return vector
  }

  private static let furthest = 8.0
}

/// One arm's effects of features and how sure they are, by the Cholesky factor of 1 + Σ z zᵀ.
struct RidgeFit: Sendable, Equatable {
  private(set) var weights: [Double]
  /// The lower triangle by rows.
  private var factor: [Double]

  init(_ sums: RegressionSums, scale: FeatureScale) {
    let size = sums.dimensions + 1
    let count = Double(sums.count)
    var matrix = [Double](repeating: 0, count: size * (size + 1) / 2)
    var target = [Double](repeating: 0, count: size)
    let total = sums.moment(0)
    var place = 0
    for row in 0..<size {
      let mean = row == 0 ? 0 : scale.means[row]
      for column in 0...row {
        let other = column == 0 ? 0 : scale.means[column]
        var value = sums.product(row, column)
        if row > 0 { value -= mean * sums.product(column, 0) }
        if column > 0 { value -= other * (sums.product(row, 0) - mean * count) }
        value *= scale.factors[row] * scale.factors[column]
        matrix[place] = row == column ? max(value, 0) + 1 : value
        place += 1
      }
      let centred = sums.moment(row) - (row == 0 ? 0 : mean * total)
      let constant = sums.product(row, 0) - (row == 0 ? 0 : mean * count)
      target[row] = (centred - scale.meanReward * constant) * scale.factors[row]
    }
    Self.factorise(&matrix, size: size)
    factor = matrix
    weights = target
    solve()
  }

  func effect(_ context: [Double]) -> Double {
    var sum = 0.0
    for index in weights.indices { sum += weights[index] * context[index] }
    return sum
  }

  /// zᵀ A⁻¹ z.
  func variance(_ context: [Double]) -> Double {
    var solved = context
    var sum = 0.0
    var place = 0
    for row in solved.indices {
      var value = solved[row]
      for column in 0..<row { value -= factor[place + column] * solved[column] }
      value /= factor[place + row]
      solved[row] = value
      sum += value * value
      place += row + 1
    }
    return sum
  }

  static func priorVariance(_ context: [Double]) -> Double {
    context.reduce(0) { $0 + $1 * $1 }
  }

  private static func factorise(_ matrix: inout [Double], size: Int) {
    for row in 0..<size {
      let start = row * (row + 1) / 2
      for column in 0...row {
        let other = column * (column + 1) / 2
        var value = matrix[start + column]
        for index in 0..<column { value -= matrix[start + index] * matrix[other + index] }
        // The prior keeps pivots at 1 or more but for rounding.
        matrix[start + column] =
          row == column ? max(value, 1e-9).squareRoot() : value / matrix[other + column]
      }
    }
  }

  private mutating func solve() {
    let size = weights.count
    for row in 0..<size {
      let start = row * (row + 1) / 2
      for column in 0..<row { weights[row] -= factor[start + column] * weights[column] }
      weights[row] /= factor[start + row]
    }
    for row in stride(from: size - 1, through: 0, by: -1) {
      let start = row * (row + 1) / 2
      weights[row] /= factor[start + row]
      for column in 0..<row { weights[column] -= factor[start + column] * weights[row] }
    }
  }
}

extension LinearArms: CodedState {
  /// Of the sums alone: ``settle()`` makes the models anew.
  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.check(dimensions)
    try codec.code(&sums, over: RegressionSums(dimensions: dimensions))
  }
}
