import CMemory

/// Memory of tables that are too large for the caches, and hints about it.
///
/// A look-up in such a table costs cache misses, one after the other: place, entry, text. A frame brings
/// many look-ups, so tables take them a group at a time and ask for the lines of one level of the whole
/// group before they touch any (Chen et al. 2004, "Improving hash join performance through
/// prefetching"): the misses of a group overlap. Large arrays lie on pages of 2 MiB where the system has
/// them, because with pages of 4 KiB nearly each miss is two: the address of the page is not known
/// either.
enum TableMemory {
  /// Look-ups that are made together: their lines stay in the first-level cache until they are used.
  static let groupCount = 64
  /// How far ahead a loop over entries in order asks for what they refer to.
  static let ahead = 16
  private static let largePage = 1 << 21

  /// Memory that is not initialized; `deallocate()` frees it.
  static func allocate<T: BitwiseCopyable>(_ type: T.Type, count: Int) -> UnsafeMutablePointer<T> {
    let byteCount = count * MemoryLayout<T>.stride
    if byteCount < largePage { return .allocate(capacity: count) }
    let raw = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: largePage)
    smartcontent_want_large_pages(raw, byteCount)
    return raw.bindMemory(to: T.self, capacity: count)
  }

  /// Asks for the line at an address, which need not be valid.
  @inline(__always)
  static func prefetch(_ address: UnsafeRawPointer) { smartcontent_prefetch(address) }

  /// Asks for the lines of a value; one that is not longer than a line has two at most.
  @inline(__always)
  static func prefetch<T>(whole value: UnsafeMutablePointer<T>) {
    smartcontent_prefetch(value)
    smartcontent_prefetch(UnsafeRawPointer(value + 1) - 1)
  }
}
