/// Which entries of a ``FlatTable`` have changed since the last snapshot.
///
/// One bit per entry, so that marking twice costs a look, and the indices in the order in which they
/// were marked, so that a snapshot costs what has changed. About 5 bytes per changed entry.
struct ChangeMarks {
  private var bits: [UInt64] = []
  private(set) var indices: [UInt32] = []

  var count: Int { indices.count }

  @inline(__always)
  mutating func mark(_ index: Int) {
    let word = index &>> 6
    let bit: UInt64 = 1 &<< UInt64(truncatingIfNeeded: index & 63)
    if word < bits.count && bits[word] & bit != 0 { return }
    add(index, word, bit)
  }

  @inline(never)
  private mutating func add(_ index: Int, _ word: Int, _ bit: UInt64) {
    while word >= bits.count { bits.append(0) }
    bits[word] |= bit
    indices.append(UInt32(truncatingIfNeeded: index))
  }

  mutating func removeAll() {
    for index in indices { bits[Int(index >> 6)] = 0 }
    indices.removeAll(keepingCapacity: true)
  }
}
