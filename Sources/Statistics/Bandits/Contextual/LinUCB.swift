/// The arm whose reward may be the highest, by what a linear model can't exclude.
///
/// Li, Chu, Langford, Schapire 2010, with a model for each arm (``LinearArms``). Its chances are 0 and 1: what it logs can't
/// be evaluated off-policy without a floor, and while rewards are late it shows the same arm to all alike. For
/// comparison; of the linear ones take ``SquareCB``.
///
/// Cost a decision: d² multiplications an arm.
public struct LinUCB: LinearPolicy, Equatable {
  public var model: LinearArms
  private let width: Double

  /// - Parameter width: Of the bound in deviations of what is believed; 1 is common in practice, proofs need more.
  public init(dimensions: Int, width: Double = 1) {
    model = LinearArms(dimensions: dimensions)
    self.width = max(0, width)
  }

  public func probabilities(features: [Double], arms: Int) -> [Double] {
    let (means, deviations) = model.predictions(features, arms: arms, deviations: true)
    return NormalContest.equal(zip(means, deviations).map { $0 + width * $1 })
  }
}
