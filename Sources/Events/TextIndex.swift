/// Finds the number of a text in a ``TextColumn`` that holds each text once.
///
/// Open addressing by checksum, at most half full; what is compared is the column's own text. Some 30 ns for a text
/// that is there.
struct TextIndex {
  private struct Slot {
    var checksum: UInt32
    /// Of the text, from 1; 0 where there is none.
    var number: UInt32
  }

  private static let slotsMin = 64

  private var slots = [Slot](repeating: Slot(checksum: 0, number: 0), count: slotsMin)

  /// The number of a text, which is appended to the column where it is not there yet.
  mutating func number(of text: UnsafeRawBufferPointer, in column: inout TextColumn) -> UInt32 {
    let checksum = CRC32C.checksum(text)
    var index = Int(checksum) & (slots.count &- 1)
    while slots[index].number != 0 {
      let slot = slots[index]
      if slot.checksum == checksum, column.holds(text, at: Int(slot.number) - 1) {
        return slot.number - 1
      }
      index = (index &+ 1) & (slots.count &- 1)
    }
    let number = UInt32(column.count)
    column.append(text)
    slots[index] = Slot(checksum: checksum, number: number + 1)
    if column.count * 2 > slots.count { grow() }
    return number
  }

  mutating func removeAll() {
    slots.withUnsafeMutableBufferPointer {
      $0.update(repeating: Slot(checksum: 0, number: 0))
    }
  }

  private mutating func grow() {
    let before = slots
    slots = [Slot](repeating: Slot(checksum: 0, number: 0), count: before.count * 2)
    for slot in before where slot.number != 0 {
      var index = Int(slot.checksum) & (slots.count - 1)
      while slots[index].number != 0 { index = (index + 1) & (slots.count - 1) }
      slots[index] = slot
    }
  }
}
