/// What was counted most, of more different things than there is room for.
///
/// Metwally, Agrawal, El Abbadi 2005: of k counters the least one is given to what has none, with its count as
/// the error of the new one. Every count is at most n/k too high and never too low, and whatever has more than
/// n/k is there. Merging by Agarwal, Cormode, Huang, Phillips, Wei, Yi 2012 ("Mergeable summaries"): what one
/// side does not have gets its least count, and of the sums the largest k are kept; errors stay below
/// (n₁ + n₂)/k. Of equal counts the smaller key goes first, so the same input gives the same state.
///
/// Cost: a heap: 30 ns an element that has a counter, 600 ns one that takes another's (of 1,000); 40 bytes a
/// counter. Not associative bit by bit, as no such summary
/// is: merge in order of source. Fails where nothing stands out: with n/k above the counts every entry may
/// be chance, which `isCertain` says.
public struct SpaceSaving: Sendable, Equatable {
  public struct Entry: Sendable, Equatable {
    public let key: UInt64
    /// At least the true count.
    public let count: UInt64
    /// The true count is at least `count − error`.
    public let error: UInt64
  }

  public let capacity: Int
  /// Of all elements.
  public private(set) var total: UInt64 = 0
  /// A heap with the counter at its root that is given away first.
  private var heap: [Entry] = []
  private var places: [UInt64: Int] = [:]

  /// - Parameter capacity: 1 to 1,000,000 counters.
  public init(capacity: Int) throws(SketchError) {
    try SketchError.check(
      "capacity", Double(capacity), capacity >= 1 && capacity <= Self.capacityMax, "1 to 1,000,000")
    self.capacity = capacity
  }

  public mutating func insert(_ key: UInt64, count: UInt64 = 1) {
    guard count > 0 else { return }
    total += count
    if let place = places[key] {
      let entry = heap[place]
      heap[place] = Entry(key: key, count: entry.count + count, error: entry.error)
      sink(place)
    } else if heap.count < capacity {
      heap.append(Entry(key: key, count: count, error: 0))
      places[key] = heap.count - 1
      rise(heap.count - 1)
    } else {
      let least = heap[0]
      places[least.key] = nil
      heap[0] = Entry(key: key, count: least.count + count, error: least.count)
      places[key] = 0
      sink(0)
    }
  }

  /// No count is too high by more than this, and nothing with more than this is missing.
  public var errorBound: UInt64 { heap.count < capacity ? 0 : heap[0].count }

  /// Entries from the largest count down, of equal ones by key.
  public func top(_ count: Int) -> [Entry] {
    Array(heap.sorted { Self.isLess($1, $0) }.prefix(max(0, count)))
  }

  /// Whether the first entries are the true ones, in whatever order: each has surely more than any other.
  public func isCertain(top count: Int) -> Bool {
    let sorted = top(heap.count)
    guard count < sorted.count else { return heap.count < capacity }
    let surely = sorted.prefix(count).map { $0.count - $0.error }.min() ?? 0
    return surely >= sorted[count].count
  }

  /// Adds what another one counted.
  public mutating func merge(_ other: Self) throws(SketchError) {
    guard other.capacity == capacity else { throw .mismatch("capacity") }
    let mine = errorBound
    let its = other.errorBound
    var merged: [Entry] = []
    merged.reserveCapacity(heap.count + other.heap.count)
    for entry in heap {
      if let place = other.places[entry.key] {
        let same = other.heap[place]
        merged.append(
          Entry(
            key: entry.key, count: entry.count + same.count, error: entry.error + same.error))
      } else {
        merged.append(
          Entry(key: entry.key, count: entry.count + its, error: entry.error + its))
      }
    }
    for entry in other.heap where places[entry.key] == nil {
      merged.append(Entry(key: entry.key, count: entry.count + mine, error: entry.error + mine))
    }
    merged.sort { Self.isLess($1, $0) }
    total += other.total
    rebuild(Array(merged.prefix(capacity)))
  }

  // MARK: Heap

  /// Whether it is given away earlier: fewer, of equal counts the larger key.
  private static func isLess(_ left: Entry, _ right: Entry) -> Bool {
    left.count != right.count ? left.count < right.count : left.key > right.key
  }

  private mutating func rebuild(_ entries: [Entry]) {
    // Sorted from the root on is a heap.
    heap = entries.reversed()
    places = [:]
    places.reserveCapacity(heap.count)
    for (place, entry) in heap.enumerated() { places[entry.key] = place }
  }

  private mutating func swapAt(_ one: Int, _ other: Int) {
    heap.swapAt(one, other)
    places[heap[one].key] = one
    places[heap[other].key] = other
  }

  private mutating func rise(_ start: Int) {
    var place = start
    while place > 0, Self.isLess(heap[place], heap[(place - 1) / 2]) {
      swapAt(place, (place - 1) / 2)
      place = (place - 1) / 2
    }
  }

  private mutating func sink(_ start: Int) {
    var place = start
    while true {
      var next = place
      for child in [2 * place + 1, 2 * place + 2]
      where child < heap.count && Self.isLess(heap[child], heap[next]) { next = child }
      if next == place { return }
      swapAt(place, next)
      place = next
    }
  }

  public static func == (left: Self, right: Self) -> Bool {
    left.capacity == right.capacity && left.total == right.total
      && left.top(left.heap.count) == right.top(right.heap.count)
  }

  private static let capacityMax = 1_000_000

  // MARK: Bytes

  /// Version 1: `d3 01`, capacity, total, number of entries, and each from the largest down as key (8 bytes),
  /// count and error.
  public func encoded() -> [UInt8] {
    var writer = SketchWriter(kind: .top, version: Self.version)
    writer.put(UInt64(capacity))
    writer.put(total)
    writer.put(UInt64(heap.count))
    for entry in top(heap.count) {
      writer.put(Double(bitPattern: entry.key))
      writer.put(entry.count)
      writer.put(entry.error)
    }
    return writer.bytes
  }

  private static let version: UInt8 = 1

  public init(encoded bytes: UnsafeRawBufferPointer) throws(SketchError) {
    var reader = try SketchReader(
      bytes, kind: .top, name: "a sketch of what was most", version: Self.version)
    let capacity = try reader.number("capacity")
    guard capacity >= 1, capacity <= UInt64(Self.capacityMax) else {
      throw .damaged(field: "capacity", at: 2)
    }
    self.capacity = Int(capacity)
    total = try reader.number("total")
    guard total <= SketchReader.countMax else { throw .damaged(field: "total", at: 3) }
    let count = try reader.number("number of entries")
    guard count <= capacity, count <= reader.left / 10 else {
      throw .damaged(field: "number of entries", at: reader.place)
    }
    var entries: [Entry] = []
    entries.reserveCapacity(Int(count))
    for _ in 0..<count {
      let begin = reader.place
      let key = try reader.double("key").bitPattern
      let number = try reader.number("count")
      let error = try reader.number("error")
      let entry = Entry(key: key, count: number, error: error)
      guard number > 0, error < number, number <= total,
        entries.last.map({ Self.isLess(entry, $0) }) ?? true
      else { throw .damaged(field: "entry", at: begin) }
      entries.append(entry)
    }
    try reader.end()
    rebuild(entries)
    guard places.count == entries.count else { throw .damaged(field: "key", at: 2) }
  }
}
