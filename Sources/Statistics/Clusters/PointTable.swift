/// Points of one width, one after the other in memory.
public struct PointTable: Sendable, Equatable {
  /// Coordinates of a point.
  public let width: Int
  public private(set) var values: [Double]

  /// - Parameter values: of all points; their number is a multiple of the width.
  public init(width: Int, values: [Double] = []) {
    precondition(width >= 1 && values.count.isMultiple(of: width), "points have one width")
    self.width = width
    self.values = values
  }

  public var count: Int { values.count / width }

  public mutating func append(_ point: some Collection<Double>) {
    precondition(point.count == width, "a point has as many coordinates as the others")
    values.append(contentsOf: point)
  }

  public subscript(index: Int) -> ArraySlice<Double> {
    values[index * width..<(index + 1) * width]
  }

  public mutating func replace(_ index: Int, with point: some Collection<Double>) {
    values.replaceSubrange(index * width..<(index + 1) * width, with: point)
  }

  /// The first coordinates of all points.
  func narrowed(to width: Int) -> PointTable {
    guard width < self.width, width > 0 else { return self }
    var narrowed = PointTable(width: width)
    for index in 0..<count { narrowed.append(self[index].prefix(width)) }
    return narrowed
  }
}

/// Mean and standard deviation of each coordinate: what makes coordinates of different units comparable.
public struct PointScale: Sendable, Equatable {
  public let means: [Double]
  /// Of the population; 1 where all points are equal, so that the coordinate says nothing.
  public let deviations: [Double]

  public init(of points: PointTable) {
    let width = points.width
    let count = Double(max(1, points.count))
    var means = [Double](repeating: 0, count: width)
    for index in 0..<points.count {
      for (place, value) in points[index].enumerated() { means[place] += value }
    }
    for place in means.indices { means[place] /= count }
    var squares = [Double](repeating: 0, count: width)
    for index in 0..<points.count {
      for (place, value) in points[index].enumerated() {
        let difference = value - means[place]
        squares[place] += difference * difference
      }
    }
    self.means = means
    deviations = squares.enumerated().map { place, sum in
      let deviation = (sum / count).squareRoot()
      // Below this it is what additions lost.
      return deviation > 1e-9 * (1 + means[place].magnitude) ? deviation : 1
    }
  }

  public func standardized(_ points: PointTable) -> PointTable {
    var values = points.values
    var index = 0
    while index < values.count {
      for place in 0..<points.width {
        values[index + place] = (values[index + place] - means[place]) / deviations[place]
      }
      index += points.width
    }
    return PointTable(width: points.width, values: values)
  }

  public func standardized(_ point: [Double]) -> [Double] {
    point.indices.map { (point[$0] - means[$0]) / deviations[$0] }
  }

  /// The inverse of ``standardized(_:)``.
  public func restored(_ points: PointTable) -> PointTable {
    var restored = PointTable(width: points.width)
    for index in 0..<points.count {
      restored.append(
        points[index].enumerated().map { $0.element * deviations[$0.offset] + means[$0.offset] })
    }
    return restored
  }
}
