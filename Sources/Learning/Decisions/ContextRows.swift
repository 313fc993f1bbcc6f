import States

/// What is summed up by context, for a bounded number of contexts: those with the smallest digests. All others together are
/// one more.
///
///     digests  3  8  21  40 │ 57 and greater: others
///
/// Which contexts have a row of their own follows from those that there were, not from their order: a row whose digest is the
/// greatest goes to the others when there is no room, and then the limit is its digest.
struct ContextRows<Row: ContextRow>: Equatable {
  private let countMax: Int
  private var digests: [UInt32] = []
  private var rows: [Row] = []
  private var others: Row
  /// Contexts whose digests are not below it are among the others.
  private var limit: UInt64 = 1 << 32
  private let empty: Row

  /// - Parameters:
  ///   - countMax: contexts with a row of their own, at least 1.
  ///   - empty: a row that has nothing.
  init(countMax: Int, empty: Row) {
    self.countMax = max(1, countMax)
    self.empty = empty
    others = empty
  }

  /// Changes a context's row, which is there for it; one that comes to nothing is removed.
  mutating func change(_ digest: UInt32, _ body: (inout Row) -> Void) {
    guard UInt64(digest) < limit else { return body(&others) }
    var place = place(of: digest)
    if place == digests.count || digests[place] != digest {
      if digests.count == countMax {
        let last = digests.count - 1
        guard digest < digests[last] else {
          limit = UInt64(digest)
          return body(&others)
        }
        limit = UInt64(digests.removeLast())
        others.add(rows.removeLast())
        place = min(place, digests.count)
      }
      digests.insert(digest, at: place)
      rows.insert(empty, at: place)
    }
    body(&rows[place])
    guard rows[place].isEmpty else { return }
    digests.remove(at: place)
    rows.remove(at: place)
  }

  /// A context's row; nil where nothing is known of it.
  func row(_ digest: UInt32) -> Row? {
    guard UInt64(digest) < limit else { return others }
    let place = place(of: digest)
    return place < digests.count && digests[place] == digest ? rows[place] : nil
  }

  /// All rows, in order of their digests, the others last.
  var all: [Row] { others.isEmpty ? rows : rows + [others] }

  /// The first digest that is not below one.
  private func place(of digest: UInt32) -> Int {
    var (low, high) = (0, digests.count)
    while low < high {
      let middle = (low + high) / 2
      if digests[middle] < digest { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// Sums that belong to a context.
protocol ContextRow: Equatable, CodedState {
  var isEmpty: Bool { get }
  mutating func add(_ other: Self)
}

extension ContextRows: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.check(countMax)
    try codec.code(&digests)
    try codec.code(&rows, over: empty)
    try codec.code(&others)
    try codec.code(&limit)
    guard digests.count == rows.count else { throw .malformed("a context has no row") }
  }
}
