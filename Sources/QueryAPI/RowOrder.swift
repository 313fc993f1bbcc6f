import Events
import Views

/// The order of an answer: as asked for, then by time, then by dimensions; never by chance.
///
/// A ratio without a denominator comes last either way. Revenue is compared in the first currency
/// of the answer, then the second, and so on. What rows are compared by is taken out of them once, not at each
/// comparison.
struct RowOrder {
  var order: [QueryRequest.Order]
  var currencies: [String]

  /// What a row has in the place of one step.
  private enum Rank {
    case count(Int64)
    /// Nil of a ratio without a denominator.
    case ratio(Double?)
    /// By currency.
    case amounts([Int64])
    case text(String)
  }

  /// The places of rows, in order; nil where they are in order as they are.
  func places(_ rows: [QueryAnswer.Row]) -> [Int]? {
    var ranks: [Rank] = []
    ranks.reserveCapacity(rows.count * order.count)
    for row in rows { for step in order { ranks.append(rank(of: row, step.key)) } }
    func isBefore(_ a: Int, _ b: Int) -> Bool {
      for (index, step) in order.enumerated() {
        let (x, y) = (ranks[a * order.count + index], ranks[b * order.count + index])
        if let isBefore = Self.isBefore(x, y, step.isDescending) { return isBefore }
      }
      let (x, y) = (rows[a].bucketStart ?? 0, rows[b].bucketStart ?? 0)
      return x == y ? rows[a].dimensions < rows[b].dimensions : x < y
    }
    // Groups come by time and dimensions, which is mostly what is asked for.
    let isSorted = rows.indices.dropFirst().allSatisfy { !isBefore($0, $0 - 1) }
    return isSorted ? nil : rows.indices.sorted(by: isBefore)
  }

  private func rank(of row: QueryAnswer.Row, _ key: QueryRequest.Order.Key) -> Rank {
    switch key {
    case .time: return .count(row.bucketStart ?? 0)
    case .dimension(let index): return .text(row.dimensions.texts[index])
    case .metric(let metric):
      switch row.value(metric) {
      case .count(let count): return .count(count)
      case .ratio(let ratio): return .ratio(ratio)
      case .money:
        return .amounts(currencies.map { row.numbers.micros($0, metric.measure) })
      }
    }
  }

  /// Nil where the step does not tell the rows apart.
  private static func isBefore(_ a: Rank, _ b: Rank, _ isDescending: Bool) -> Bool? {
    func compare<Value: Comparable>(_ x: Value, _ y: Value) -> Bool? {
      x == y ? nil : isDescending ? x > y : x < y
    }
    switch (a, b) {
    case (.count(let x), .count(let y)): return compare(x, y)
    case (.ratio(nil), .ratio(nil)): return nil
    case (.ratio(nil), .ratio): return false
    case (.ratio, .ratio(nil)): return true
    case (.ratio(let x?), .ratio(let y?)): return compare(x, y)
    case (.text(let x), .text(let y)): return compare(TextBytes.order(x, y), 0)
    case (.amounts(let x), .amounts(let y)):
      for (x, y) in zip(x, y) {
        if let isBefore = compare(x, y) { return isBefore }
      }
      return nil
    // A step gives every row the same kind of rank.
    default: return nil
    }
  }
}
