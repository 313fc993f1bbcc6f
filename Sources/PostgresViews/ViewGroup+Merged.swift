import Events
import Ports
import Views

extension ViewGroup {
  /// Adds up groups of the same bucket, dimensions and currency, in whatever order they come; the sums are in rising order.
  static func summed(_ groups: [ViewGroup]) -> [ViewGroup] {
    var sums: [ViewGroup] = []
    for group in groups.sorted(by: { order($0, $1) < 0 }) {
      if let last = sums.last, order(last, group) == 0 {
        sums[sums.count - 1].counts += group.counts
        sums[sums.count - 1].revision = max(last.revision, group.revision)
      } else {
        sums.append(group)
      }
    }
    return sums
  }

  /// Adds up groups of the same bucket, dimensions and currency.
  ///
  /// - Parameter parts: each in rising order.
  static func merged(_ parts: [[ViewGroup]]) -> [ViewGroup] {
    var parts = parts.filter { !$0.isEmpty }
    while parts.count > 1 {
      parts = stride(from: 0, to: parts.count, by: 2).map { index in
        index + 1 < parts.count ? merged(parts[index], parts[index + 1]) : parts[index]
      }
    }
    return parts.first ?? []
  }

  private static func merged(_ a: [ViewGroup], _ b: [ViewGroup]) -> [ViewGroup] {
    guard let last = a.last, let first = b.first else { return a + b }
    // Mostly one stretch of time comes after the other.
    if order(last, first) < 0 { return a + b }
    var groups: [ViewGroup] = []
    groups.reserveCapacity(a.count + b.count)
    var (i, j) = (0, 0)
    while i < a.count && j < b.count {
      let order = order(a[i], b[j])
      if order == 0 {
        var sum = a[i]
        sum.counts += b[j].counts
        sum.revision = max(sum.revision, b[j].revision)
        groups.append(sum)
      } else {
        groups.append(order < 0 ? a[i] : b[j])
      }
      if order <= 0 { i += 1 }
      if order >= 0 { j += 1 }
    }
    groups += a[i...]
    groups += b[j...]
    return groups
  }

  /// Below 0 where `a` comes first, 0 where they are of the same bucket, dimensions and currency.
  private static func order(_ a: ViewGroup, _ b: ViewGroup) -> Int {
    if a.bucket != b.bucket { return a.bucket - b.bucket }
    for index in a.dimensions.indices {
      let order = TextBytes.order(a.dimensions[index], b.dimensions[index])
      if order != 0 { return order }
    }
    return TextBytes.order(a.currency, b.currency)
  }
}
