/// The arm with the best predicted reward, and with a small chance any: the simplest there is, with a known floor.
///
/// Langford and Zhang 2007 without epochs, on linear models of the arms (``LinearArms``). Its regret grows for ever, by
/// ε of the arms' mean distance from the best.
///
/// Cost a decision: d multiplications an arm.
public struct ContextualGreedy: LinearPolicy, Equatable {
  public var model: LinearArms
  private let epsilon: Double

  /// - Parameter epsilon: Of decisions that are uniform, 0 to 1.
  public init(dimensions: Int, epsilon: Double = 0.05) {
    model = LinearArms(dimensions: dimensions)
    self.epsilon = min(max(epsilon, 0), 1)
  }

  public func probabilities(features: [Double], arms: Int) -> [Double] {
    let (means, _) = model.predictions(features, arms: arms, deviations: false)
    return NormalContest.equal(means).map { (1 - epsilon) * $0 + epsilon / Double(arms) }
  }
}
