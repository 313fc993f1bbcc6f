/// The place where a function that rises crosses zero.
///
/// Bisection to the last bit but a few: it can't fail where the ends have different signs, and its 60 to 90
/// evaluations do no harm where quantiles of rare distributions are asked for once in a result.
enum Roots {
  /// - Parameters:
  ///   - low: Where the function is below zero.
  ///   - high: Where it is above.
  static func rising(
    from low: Double, to high: Double, _ function: (Double) -> Double
  ) -> Double {
    var low = low
    var high = high
    for _ in 0..<200 {
      let middle = low + (high - low) / 2
      guard middle > low, middle < high else { break }
      if function(middle) < 0 { low = middle } else { high = middle }
    }
    return low + (high - low) / 2
  }
}
