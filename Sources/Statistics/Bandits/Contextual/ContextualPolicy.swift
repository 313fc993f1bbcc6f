public import States

/// Which arm to show in a context, learned from what the arms earned in contexts.
///
/// A model is a pure function of what it learned; chances are a pure function of the model and the context, so a
/// decision can be made again from the log. Its state is what it learned, not its parameters. Chances are served, logged and drawn from by the caller, who may
/// raise them to a floor. Arms are numbered from 0; a new one is known from its first chance on, and
/// nothing has to be declared.
///
/// | policy | chances | an example is taken back |
/// |---|---|---|
/// | ``LinUCB`` | 1 of the highest upper bound | exactly, at once |
/// | ``LinearThompson`` | to be the best | exactly, at once |
/// | ``SquareCB`` | by the inverse of the gap to the best | exactly, at once |
/// | ``ContextualGreedy`` | ε of all, the rest of the best | exactly, at once |
/// | ``LogisticThompson`` | to be the best | by learning again from a snapshot |
/// | ``KernelGapBandit``, the default | by the inverse of the gap to the best | by learning again from a snapshot |
public protocol ContextualPolicy: Sendable, CodedState {
  /// - Parameters:
  ///   - features: Of the context, always as many; what is no number counts as 0.
  ///   - arms: How many there are to choose from, at least 1.
  /// - Returns: The chance of each arm; they add up to 1.
  func probabilities(features: [Double], arms: Int) -> [Double]

  /// - Parameters:
  ///   - reward: Of the shown arm, in any unit.
  ///   - propensity: The chance with which it was shown, above 0. Models of the arms' rewards don't need it; it is
  ///     in the contract for those that weigh by its inverse.
  mutating func learn(features: [Double], arm: Int, reward: Double, propensity: Double)
}

/// A policy whose state is a function of the set of its examples alone: sums of whole numbers.
public protocol RetractablePolicy: ContextualPolicy {
  /// Takes an example back that was learned: the same state as if it never had been.
  mutating func unlearn(features: [Double], arm: Int, reward: Double, propensity: Double)

  /// Makes what was learned and unlearned count in chances. Between two calls chances are those of the first one.
  mutating func settle()
}
