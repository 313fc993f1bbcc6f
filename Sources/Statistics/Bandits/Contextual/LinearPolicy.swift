public import States

/// A policy on linear models of the arms: only its chances are its own.
public protocol LinearPolicy: RetractablePolicy {
  var model: LinearArms { get set }
}

extension LinearPolicy {
  public mutating func learn(features: [Double], arm: Int, reward: Double, propensity: Double) {
    model.add(features, arm: arm, reward: reward)
  }

  public mutating func unlearn(features: [Double], arm: Int, reward: Double, propensity: Double) {
    model.subtract(features, arm: arm, reward: reward)
  }

  public mutating func settle() { model.settle() }
}

extension LinearPolicy {
  /// Of the sums alone: ``RetractablePolicy/settle()`` makes the models anew.
  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&model)
  }
}
