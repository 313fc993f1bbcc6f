/// Divides whole units by weights, so that the parts add up to the whole.
///
/// Each part gets the whole units of its share, and the units that are left go to the largest remainders
/// (Hamilton 1792), of equal ones to the later part. Exact in integers of twice the width; O(n log n).
enum CreditSplit {
  /// - Parameter weights: not all 0; their sum fits UInt64.
  static func parts(of amount: Int64, by weights: [UInt64]) -> [Int64] {
    if weights.count == 1 { return [amount] }
    let total = weights.reduce(0, +)
    let size = amount.magnitude
    var parts: [Int64] = []
    var remainders: [UInt64] = []
    parts.reserveCapacity(weights.count)
    remainders.reserveCapacity(weights.count)
    var left = size
    for weight in weights {
      let product = size.multipliedFullWidth(by: weight)
      // Not more than the whole, as no weight is more than their sum.
      let (part, remainder) = total.dividingFullWidth(product)
      left -= part
      remainders.append(remainder)
      parts.append(amount < 0 ? Int64(truncatingIfNeeded: 0 &- part) : Int64(part))
    }
    guard left > 0 else { return parts }
    let order = remainders.indices.sorted {
      remainders[$0] != remainders[$1] ? remainders[$0] > remainders[$1] : $0 > $1
    }
    for index in order.prefix(Int(left)) { parts[index] += amount < 0 ? -1 : 1 }
    return parts
  }
}
