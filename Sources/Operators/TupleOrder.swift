/// The tuples of several windows' rows in order of their ids, which are sorted once for all of them.
///
/// A drain hands out the rows of each window in order of id, mostly of the same tuples in every window:
///
///     begin ─▶ note(slot, id) for each row ─▶ sort ─▶ forEach for each window
///
/// Cost: a sort of the tuples, and then some 10 ns a row.
struct TupleOrder: ~Copyable {
  /// By slot: the number of its id among all.
  private var ranks = FlatTable<UInt32>(capacity: 1024)
  private var tuples: [(id: Int64, slot: UInt32)] = []
  /// By rank: a row's index plus one, while a window's rows are put in order.
  private var places: [UInt32] = []
  /// By rank; shared by all rows of the tuple.
  private var texts: [[UInt8]] = []

  /// Emptying a larger table would take longer than most drains.
  private static let keptByteCount = 1 << 18

  mutating func begin() {
    if ranks.byteCount > Self.keptByteCount {
      ranks = FlatTable(capacity: 1024)
    } else if ranks.count > 0 {
      ranks.removeAll()
    }
    tuples.removeAll(keepingCapacity: true)
  }

  @inline(__always)
  mutating func note(_ slot: Int, in table: borrowing TupleTable) {
    let key = UInt64(truncatingIfNeeded: slot)
    if ranks.find(key) >= 0 { return }
    _ = ranks.insert(key, 0)
    tuples.append((table.slots[slot].id, UInt32(truncatingIfNeeded: slot)))
  }

  mutating func sort(_ table: borrowing TupleTable) {
    tuples.sort { $0.id < $1.id }
    texts.removeAll(keepingCapacity: true)
    for (rank, tuple) in tuples.enumerated() {
      let entry = ranks.find(UInt64(tuple.slot))
      ranks.entries[entry].value = UInt32(truncatingIfNeeded: rank)
      texts.append(Array(table.bytes(Int(tuple.slot))))
    }
    places = Array(repeating: 0, count: tuples.count)
  }

  /// Calls `body` with each row's index, id and text, in order of id.
  ///
  /// - Parameters:
  ///   - indices: of rows whose slots have been noted; no slot is there twice.
  ///   - slot: gives a row's.
  mutating func forEach(
    _ indices: [UInt32], slot: (Int) -> Int, _ body: (Int, Int64, [UInt8]) -> Void
  ) {
    for index in indices {
      let entry = ranks.find(UInt64(truncatingIfNeeded: slot(Int(index))))
      places[Int(ranks.entries[entry].value)] = index &+ 1
    }
    var left = indices.count
    var rank = 0
    while left > 0 {
      let index = Int(places[rank]) &- 1
      if index >= 0 {
        places[rank] = 0
        left &-= 1
        body(index, tuples[rank].id, texts[rank])
      }
      rank &+= 1
    }
  }
}
