import States

/// Ridge regression that learns an example in one pass over its matrix, with weights ready at any time.
///
/// Keeps (λ + Σ x xᵀ)⁻¹ by the formula of Sherman and Morrison 1950. The matrix is symmetric: of the rows there is what is up
/// to the diagonal, four columns at a time. Depends on the order of examples by its rounding.
struct RecursiveRidge: Sendable, Equatable {
  private(set) var weights: [SIMD4<Double>]
  /// Row i has i/4 + 1 fours; those on the diagonal are whole.
  private var inverse: [SIMD4<Double>]

  /// - Parameters:
  ///   - fours: How many features there are, in fours.
  ///   - ridge: λ, above 0.
  init(fours: Int, ridge: Double) {
    weights = [SIMD4<Double>](repeating: .zero, count: fours)
    inverse = [SIMD4<Double>](repeating: .zero, count: 2 * fours * (fours + 1))
    var place = 0
    for row in 0..<4 * fours {
      inverse[place + row / 4][row % 4] = 1 / ridge
      place += row / 4 + 1
    }
  }

  func predict(_ features: [SIMD4<Double>]) -> Double {
    var sum = SIMD4<Double>.zero
    weights.withUnsafeBufferPointer { weights in
      features.withUnsafeBufferPointer { features in
        for index in 0..<weights.count { sum += weights[index] * features[index] }
      }
    }
    return sum.sum()
  }

  mutating func learn(_ features: [SIMD4<Double>], target: Double) {
    let error = target - predict(features)
    let direction = product(features)
    var variance = SIMD4<Double>.zero
    for index in direction.indices { variance += direction[index] * features[index] }
    // Rounding may leave a direction of which all is known a little below 0.
    let gain = 1 / (1 + max(0, variance.sum()))
    for index in direction.indices { weights[index] += direction[index] * (error * gain) }
    subtract(direction, gain)
  }

  /// The inverse times a vector: each row gives its element, and what is below the diagonal those of its columns.
  private func product(_ features: [SIMD4<Double>]) -> [SIMD4<Double>] {
    var result = [SIMD4<Double>](repeating: .zero, count: features.count)
    result.withUnsafeMutableBufferPointer { result in
      inverse.withUnsafeBufferPointer { inverse in
        features.withUnsafeBufferPointer { features in
          var place = 0
          for block in 0..<features.count {
            for lane in 0..<4 {
              let value = features[block][lane]
              var sum = SIMD4<Double>.zero
              for column in 0..<block {
                let entry = inverse[place + column]
                sum += entry * features[column]
                result[column] += entry * value
              }
              sum += inverse[place + block] * features[block]
              result[block][lane] += sum.sum()
              place += block + 1
            }
          }
        }
      }
    }
    return result
  }

  private mutating func subtract(_ direction: [SIMD4<Double>], _ gain: Double) {
    inverse.withUnsafeMutableBufferPointer { inverse in
      direction.withUnsafeBufferPointer { direction in
        var place = 0
        for block in 0..<direction.count {
          for lane in 0..<4 {
            let value = direction[block][lane] * gain
            for column in 0...block { inverse[place + column] -= direction[column] * value }
            place += block + 1
          }
        }
      }
    }
  }
}

extension RecursiveRidge: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(each: &weights)
    try codec.code(each: &inverse)
  }
}
