public import Views

/// What sums are to be added to which windows: differences, negative where something is taken
/// back. Filled by an operator and read by the next; buffers keep their capacity.
public struct Contributions: ~Copyable {
  /// One difference. Its tuple is valid until the collection is cleared.
  public struct Contribution {
    /// An encoded dimension tuple.
    public var tuple: UnsafeRawBufferPointer
    /// Start of the 10 s window, microseconds since the epoch.
    public var start: Int64
    /// What the sums are of.
    public var measure: Measure
    public var sums: Counts
  }

  private struct Entry: BitwiseCopyable {
    var offset: Int
    var byteCount: Int
    var start: Int64
    var measure: Measure
    var sums: Counts
  }

  private var entries: [Entry] = []
  private var bytes: UnsafeMutableRawPointer
  private var byteCount = 0
  private var byteCapacity = 4096

  public init() { bytes = .allocate(byteCount: byteCapacity, alignment: 8) }

  deinit { bytes.deallocate() }

  public var count: Int { entries.count }

  public subscript(index: Int) -> Contribution {
    let entry = entries[index]
    return Contribution(
      tuple: UnsafeRawBufferPointer(start: bytes + entry.offset, count: entry.byteCount),
      start: entry.start, measure: entry.measure, sums: entry.sums)
  }

  public mutating func append(
    tuple: UnsafeRawBufferPointer, start: Int64, measure: Measure, sums: Counts
  ) {
    if byteCount + tuple.count > byteCapacity {
      byteCapacity = max(byteCapacity * 2, byteCount + tuple.count)
      let grown = UnsafeMutableRawPointer.allocate(byteCount: byteCapacity, alignment: 8)
      grown.copyMemory(from: bytes, byteCount: byteCount)
      bytes.deallocate()
      bytes = grown
    }
    if let base = tuple.baseAddress {
      (bytes + byteCount).copyMemory(from: base, byteCount: tuple.count)
    }
    entries.append(
      Entry(
        offset: byteCount, byteCount: tuple.count, start: start, measure: measure, sums: sums))
    byteCount += tuple.count
  }

  public mutating func removeAll() {
    entries.removeAll(keepingCapacity: true)
    byteCount = 0
  }
}
