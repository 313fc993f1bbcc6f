/// Which of one set goes with which of another, so that the costs add up to the least.
///
/// The Hungarian method (Kuhn 1955, Munkres 1957) by shortest augmenting paths with potentials (Jonker, Volgenant
/// 1987). Cost: n² m for n rows and m ≥ n columns.
public enum MinimalAssignment {
  /// - Parameter costs: by row, then by column; finite, and as many columns as rows at least.
  /// - Returns: the column of each row.
  public static func columns(_ costs: [[Double]]) -> [Int] {
    let rows = costs.count
    let columns = costs.first?.count ?? 0
    precondition(columns >= rows, "there is a column for each row")
    // Rows and columns from 1; 0 is where a path begins.
    var rowPotentials = [Double](repeating: 0, count: rows + 1)
    var columnPotentials = [Double](repeating: 0, count: columns + 1)
    var rowOf = [Int](repeating: 0, count: columns + 1)
    var before = [Int](repeating: 0, count: columns + 1)
    for row in 0..<rows {
      rowOf[0] = row + 1
      var column = 0
      var least = [Double](repeating: .infinity, count: columns + 1)
      var isUsed = [Bool](repeating: false, count: columns + 1)
      repeat {
        isUsed[column] = true
        let current = rowOf[column]
        var delta = Double.infinity
        var next = 0
        for other in 1...columns where !isUsed[other] {
          let reduced =
            costs[current - 1][other - 1] - rowPotentials[current] - columnPotentials[other]
          if reduced < least[other] {
            least[other] = reduced
            before[other] = column
          }
          if least[other] < delta {
            delta = least[other]
            next = other
          }
        }
        for other in 0...columns {
          if isUsed[other] {
            rowPotentials[rowOf[other]] += delta
            columnPotentials[other] -= delta
          } else {
            least[other] -= delta
          }
        }
        column = next
      } while rowOf[column] != 0
      while column != 0 {
        rowOf[column] = rowOf[before[column]]
        column = before[column]
      }
    }
    var result = [Int](repeating: 0, count: rows)
    for column in 1..<max(1, columns + 1) where rowOf[column] > 0 {
      result[rowOf[column] - 1] = column - 1
    }
    return result
  }
}
