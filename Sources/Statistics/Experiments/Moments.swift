/// Count, sum and sum of squares of a number per visitor.
public struct Moments: Sendable, Equatable {
  public var count: Double
  public var sum: Double
  public var squares: Double

  public init(count: Double = 0, sum: Double = 0, squares: Double = 0) {
    self.count = count
    self.sum = sum
    self.squares = squares
  }

  public mutating func add(_ value: Double) {
    count += 1
    sum += value
    squares += value * value
  }

  public static func + (left: Self, right: Self) -> Self {
    Self(
      count: left.count + right.count, sum: left.sum + right.sum,
      squares: left.squares + right.squares)
  }

  public var mean: Double { count > 0 ? sum / count : 0 }

  /// With count − 1; loses digits where the mean is some million times the deviation.
  public var variance: Double {
    count > 1 ? max(0, squares - sum * sum / count) / (count - 1) : 0
  }
}

/// Moments of two numbers of the same visitors, and of their product.
public struct JointMoments: Sendable, Equatable {
  public var first: Moments
  public var second: Moments
  public var products: Double

  public init(first: Moments = Moments(), second: Moments = Moments(), products: Double = 0) {
    self.first = first
    self.second = second
    self.products = products
  }

  public mutating func add(_ one: Double, _ other: Double) {
    first.add(one)
    second.add(other)
    products += one * other
  }

  public static func + (left: Self, right: Self) -> Self {
    Self(
      first: left.first + right.first, second: left.second + right.second,
      products: left.products + right.products)
  }

  public var covariance: Double {
    first.count > 1
      ? (products - first.sum * second.sum / first.count) / (first.count - 1) : 0
  }
}
