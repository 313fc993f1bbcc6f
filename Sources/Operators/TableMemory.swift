import CMemory

/// Memory of tables that are too large for the caches, and hints about it.
///
/// A look-up in such a table costs cache misses, one after the other: place, entry, text. A frame brings
/// many look-ups, so while it is at work on one a table asks for the text of a later one, the entry of one
/// after that and the place of a third (Chen et al. 2004, "Improving hash join performance through
/// prefetching": software pipelines): misses overlap with each other and with work. Large arrays lie on
/// pages of 2 MiB where the system has them, because with pages of 4 KiB nearly each miss is two: the
/// address of the page is not known either.
enum TableMemory {
  /// Look-ups from one level to the next: some 20 ns each, while a miss takes 100 to 200 ns.
  static let ahead = 8
  private static let largePage = 1 << 21

  /// Memory that is not initialized; `deallocate()` frees it.
  ///
  /// - Parameter isGentle: it lies on small pages first, which are made one by one as they are written: a large one
  ///   takes milliseconds on some machines. See ``wantLargePages(_:byteCount:)``.
  static func allocate<T: BitwiseCopyable>(
    _ type: T.Type, count: Int, isGentle: Bool = false
  ) -> UnsafeMutablePointer<T> {
    let byteCount = count * MemoryLayout<T>.stride
    if byteCount < largePage { return .allocate(capacity: count) }
    let raw = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: largePage)
    if !isGentle { smartcontent_want_large_pages(raw, byteCount) }
    return raw.bindMemory(to: T.self, capacity: count)
  }

  /// Says of memory that has been written that large pages may be made of its small ones, as the kernel finds the time.
  static func wantLargePages(_ start: UnsafeMutableRawPointer, byteCount: Int) {
    if byteCount >= largePage { smartcontent_want_large_pages(start, byteCount) }
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
