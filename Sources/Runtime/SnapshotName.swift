/// The name of a stored snapshot, which says what it holds.
///
///     base-00000000000000000500                             everything, up to frame 500
///     increment-00000000000000000500-00000000000000000730   changes by frames 501 to 730
///
/// A file of increments holds one or more of them, one after the other.
struct SnapshotName: Hashable, Comparable, CustomStringConvertible {
  var isBase: Bool
  /// The frame after which it starts; 0 for bases.
  var from: UInt64
  /// The last frame that is in it.
  var to: UInt64

  static func base(_ sequence: UInt64) -> SnapshotName {
    SnapshotName(isBase: true, from: 0, to: sequence)
  }

  static func increment(from: UInt64, to: UInt64) -> SnapshotName {
    SnapshotName(isBase: false, from: from, to: to)
  }

  private init(isBase: Bool, from: UInt64, to: UInt64) {
    self.isBase = isBase
    self.from = from
    self.to = to
  }

  /// - Returns: nil for any other name.
  init?(_ text: String) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    let numbers = parts.dropFirst().compactMap { part in part.count == 20 ? UInt64(part) : nil }
    guard numbers.count == parts.count - 1 else { return nil }
    switch (parts[0], numbers.count) {
    case ("base", 1): self = .base(numbers[0])
    case ("increment", 2) where numbers[0] < numbers[1]:
      self = .increment(from: numbers[0], to: numbers[1])
    default: return nil
    }
  }

  var description: String {
    isBase ? "base-\(Self.digits(to))" : "increment-\(Self.digits(from))-\(Self.digits(to))"
  }

  private static func digits(_ sequence: UInt64) -> String {
    let digits = String(sequence)
    return String(repeating: "0", count: 20 - digits.count) + digits
  }

  static func < (a: SnapshotName, b: SnapshotName) -> Bool {
    (a.to, a.from, a.isBase ? 1 : 0) < (b.to, b.from, b.isBase ? 1 : 0)
  }
}

/// A base, or none where increments start at frame 0, and increments that follow it without a gap.
struct SnapshotChain: Equatable {
  var base: SnapshotName?
  var increments: [SnapshotName] = []

  var names: [SnapshotName] { (base.map { [$0] } ?? []) + increments }

  /// The last frame that is in it; 0 for an empty one.
  var end: UInt64 { increments.last?.to ?? base?.to ?? 0 }

  /// The chain that reaches farthest; of several the one with the newest base, then with the fewest
  /// increments.
  static func best(of names: some Sequence<SnapshotName>) -> SnapshotChain {
    let increments = Set(names.filter { !$0.isBase })
    let bases = Set(names.filter(\.isBase))
    let starting = Dictionary(grouping: increments, by: \.from)
    // From the last start backwards: how far one gets from it, and by how many increments.
    var reach: [UInt64: (end: UInt64, count: Int, next: SnapshotName)] = [:]
    for from in starting.keys.sorted(by: >) {
      for next in (starting[from] ?? []).sorted() {
        let rest = reach[next.to]
        let found = (end: rest?.end ?? next.to, count: (rest?.count ?? 0) + 1, next: next)
        if let known = reach[from], (known.end, -known.count) >= (found.end, -found.count) {
          continue
        }
        reach[from] = found
      }
    }
    func end(_ start: UInt64) -> UInt64 { reach[start]?.end ?? start }
    var chain = SnapshotChain()
    let best = bases.max { (end($0.to), $0.to) < (end($1.to), $1.to) }
    if let best, end(best.to) >= end(0) { chain.base = best }
    while let next = reach[chain.end]?.next { chain.increments.append(next) }
    return chain
  }

  /// Without the increments past a sequence, where what is left ends less than so many frames earlier;
  /// else as it is.
  func upTo(_ sequence: UInt64, givingUpAtMost frameCount: UInt64) -> SnapshotChain {
    var chain = self
    while let last = chain.increments.last, last.to > sequence { chain.increments.removeLast() }
    let isEarlier = chain.end > 0 && chain.end <= sequence
    return isEarlier && end - chain.end <= frameCount ? chain : self
  }
}
