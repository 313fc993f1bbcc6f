/// Chances by the inverse of how much an arm is predicted to be behind the best one, ever greedier.
///
/// Foster and Rakhlin 2020 on linear models of the arms (``LinearArms``): γ = scale · √(K n / (d ln n)) in deviations of
/// rewards, which is their √(K n / regret of the regression) with that of ridge regression. Needs no
/// uncertainty, so a decision takes d multiplications an arm, and no chance is ever 0.
///
/// Fails to be greedy soon where there are many arms and few of them matter: its exploration is uniform among those with
/// equal predictions.
public struct SquareCB: LinearPolicy, Equatable {
  public var model: LinearArms
  private let scale: Double

  public init(dimensions: Int, scale: Double = 10) {
    model = LinearArms(dimensions: dimensions)
    self.scale = max(0, scale)
  }

  public func probabilities(features: [Double], arms: Int) -> [Double] {
    let (means, _) = model.predictions(features, arms: arms, deviations: false)
    let count = model.examples
    let regret = Double(model.dimensions + 1) * Elementary.log(2 + count)
    let greed = scale * (Double(arms) * count / regret).squareRoot() / model.deviation
    return InverseGap.chances(means: means, greed: greed)
  }
}
