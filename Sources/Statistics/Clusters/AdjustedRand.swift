/// How far two divisions of the same points agree, beyond what chance gives: 1 the same, 0 chance.
///
/// Hubert and Arabie 1985, "Comparing partitions". Cost: one pass over the points, and the pairs of clusters.
public enum AdjustedRand {
  public static func index(_ first: [Int], _ second: [Int]) -> Double {
    func pairs(_ counts: some Sequence<Int>) -> Double {
      counts.reduce(0) { $0 + Double($1) * Double($1 - 1) / 2 }
    }
    var (a, b): ([Int: Int], [Int: Int]) = ([:], [:])
    var both: [SIMD2<Int>: Int] = [:]
    for (x, y) in zip(first, second) {
      a[x, default: 0] += 1
      b[y, default: 0] += 1
      both[SIMD2(x, y), default: 0] += 1
    }
    let all = pairs([first.count])
    guard all > 0 else { return 1 }
    let (inFirst, inSecond, inBoth) = (pairs(a.values), pairs(b.values), pairs(both.values))
    let expected = inFirst * inSecond / all
    let most = (inFirst + inSecond) / 2
    return most == expected ? 1 : (inBoth - expected) / (most - expected)
  }
}
