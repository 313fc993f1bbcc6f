/// SQL of a sum that ends at the ends of int8, as ``Counts`` adds in memory. Without it one row of
/// enough money would make Postgres refuse the whole commit, and its partition halt.
enum SumText {
  /// - Parameter sum: an expression of type numeric, which has no end of its own.
  static func int8(_ sum: String) -> String {
    "least(greatest(\(sum), \(Int64.min)), \(Int64.max))::int8"
  }
}
