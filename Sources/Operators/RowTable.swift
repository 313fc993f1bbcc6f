/// Rows of a window by the slot of their tuple: a hash table of plain values that keeps its entries in
/// the order of their insertion, and never stops for long to grow.
///
///     key ──hash──▶ segment ──▶ place ──▶ entry          places: 4-byte numbers of entries
///                   0 … n                  chunks of 1,024, which never move
///
/// Linear hashing (Litwin 1980): with every ``entriesPerSegment`` entries one segment, the next in turn,
/// is divided in two, so that growing costs the same at every size and nothing is ever copied or hashed
/// again as a whole: a million rows in one table of places stopped processing for 30 ms, in four
/// windows at once. Within a segment: linear probing, at most half full. Entries are never removed one by
/// one, so an entry's index is stable and can be kept in lists. Cost: two cache misses, some 3 ns more
/// than a ``FlatTable`` that fits the cache; 16 bytes per entry beside the value.
struct RowTable<Value: BitwiseCopyable>: ~Copyable {
  struct Entry: BitwiseCopyable {
    var key: UInt64
    var value: Value
  }

  private struct Segment {
    /// Index of an entry plus one; 0 where free.
    var places: UnsafeMutablePointer<UInt32>
    /// Number of places, a power of two, less one.
    var mask: UInt32
    var count: UInt32 = 0

    init(placeCount: Int) {
      places = .allocate(capacity: placeCount)
      places.initialize(repeating: 0, count: placeCount)
      mask = UInt32(placeCount - 1)
    }

    @inline(__always)
    func place(_ hash: UInt64) -> Int {
      Int(truncatingIfNeeded: (hash &>> 32) & UInt64(mask))
    }

    mutating func link(_ index: Int, _ hash: UInt64) {
      var place = place(hash)
      while places[place] != 0 { place = (place &+ 1) & Int(mask) }
      places[place] = UInt32(truncatingIfNeeded: index &+ 1)
      count &+= 1
    }
  }

  /// On average; just before a segment is divided it holds twice as many, in 2,048 places.
  private static var entriesPerSegment: Int { 480 }
  private static var chunkShift: Int { 10 }
  private static var chunkCount: Int { 1 << chunkShift }

  private(set) var count = 0
  private var segments: UnsafeMutablePointer<Segment>
  private var segmentCount = 1
  private var segmentCapacity = 1
  /// The largest power of two up to ``segmentCount``, less one.
  private var levelMask: UInt64 = 0
  private var chunks: UnsafeMutablePointer<UnsafeMutablePointer<Entry>>
  private var chunkCapacity = 1
  /// Entries that fit into the chunks that there are.
  private var entryCapacity = 8
  private var placeCount = 16

  init() {
    segments = .allocate(capacity: 1)
    segments.initialize(to: Segment(placeCount: 16))
    chunks = .allocate(capacity: 1)
    chunks.initialize(to: .allocate(capacity: 8))
  }

  deinit {
    for segment in 0..<segmentCount { segments[segment].places.deallocate() }
    segments.deallocate()
    for chunk in 0..<filledChunkCount { chunks[chunk].deallocate() }
    chunks.deallocate()
  }

  private var filledChunkCount: Int { (entryCapacity + Self.chunkCount - 1) >> Self.chunkShift }

  /// Memory in bytes.
  var byteCount: Int {
    entryCapacity * MemoryLayout<Entry>.stride + placeCount * 4
      + segmentCapacity * MemoryLayout<Segment>.stride + chunkCapacity * 8
  }

  /// An entry, by its index; valid until the next insertion.
  @inline(__always)
  func entry(_ index: Int) -> UnsafeMutablePointer<Entry> {
    chunks[index &>> Self.chunkShift] + (index & (Self.chunkCount &- 1))
  }

  /// Steele and Vigna's finalizer: every bit of the key moves every bit of the hash.
  @inline(__always)
  private static func hash(_ key: UInt64) -> UInt64 {
    var hash = key &+ 0x9E37_79B9_7F4A_7C15
    hash = (hash ^ (hash &>> 30)) &* 0xBF58_476D_1CE4_E5B9
    hash = (hash ^ (hash &>> 27)) &* 0x94D0_49BB_1331_11EB
    return hash ^ (hash &>> 31)
  }

  /// Segments below the next in turn are divided already, and take one bit more of the hash.
  @inline(__always)
  private func segment(_ hash: UInt64) -> Int {
    let wide = hash & (levelMask &<< 1 | 1)
    return Int(truncatingIfNeeded: wide < UInt64(segmentCount) ? wide : hash & levelMask)
  }

  /// - Returns: the index of the key's entry, or -1.
  @inline(__always)
  func find(_ key: UInt64) -> Int {
    let hash = Self.hash(key)
    let segment = segments[segment(hash)]
    var place = segment.place(hash)
    while true {
      let index = Int(segment.places[place]) &- 1
      if index < 0 || entry(index).pointee.key == key { return index }
      place = (place &+ 1) & Int(segment.mask)
    }
  }

  /// Adds an entry for a key that has none.
  ///
  /// - Returns: its index.
  mutating func insert(_ key: UInt64, _ value: Value) -> Int {
    if count == entryCapacity { addChunk() }
    let index = count
    entry(index).initialize(to: Entry(key: key, value: value))
    count &+= 1
    let hash = Self.hash(key)
    let owner = segment(hash)
    if segments[owner].count &* 2 > segments[owner].mask { relink(owner, placeFactor: 2) }
    segments[owner].link(index, hash)
    if count > segmentCount * Self.entriesPerSegment { divide() }
    return index
  }

  // MARK: Growth

  private mutating func addChunk() {
    precondition(count < 1 << 30, "a table has at most 2^30 entries")
    if entryCapacity < Self.chunkCount {
      let larger = UnsafeMutablePointer<Entry>.allocate(capacity: entryCapacity * 2)
      larger.update(from: chunks[0], count: count)
      chunks[0].deallocate()
      chunks[0] = larger
      entryCapacity *= 2
      return
    }
    let chunk = entryCapacity >> Self.chunkShift
    if chunk == chunkCapacity {
      let larger = UnsafeMutablePointer<UnsafeMutablePointer<Entry>>.allocate(capacity: chunk * 2)
      larger.moveInitialize(from: chunks, count: chunk)
      chunks.deallocate()
      chunks = larger
      chunkCapacity = chunk * 2
    }
    (chunks + chunk).initialize(to: .allocate(capacity: Self.chunkCount))
    entryCapacity += Self.chunkCount
  }

  /// Gives the segment after the last those entries of the next one in turn that have its bit.
  private mutating func divide() {
    if segmentCount == segmentCapacity {
      let larger = UnsafeMutablePointer<Segment>.allocate(capacity: segmentCapacity * 2)
      larger.moveInitialize(from: segments, count: segmentCount)
      segments.deallocate()
      segments = larger
      segmentCapacity *= 2
    }
    let next = segmentCount - (Int(levelMask) + 1)
    // As many as the divided one has, which hold all of its entries, however few stay.
    let added = Int(segments[next].mask) + 1
    (segments + segmentCount).initialize(to: Segment(placeCount: added))
    placeCount += added
    segmentCount += 1
    if segmentCount == 2 * (Int(levelMask) + 1) { levelMask = levelMask << 1 | 1 }
    relink(next, placeFactor: 1)
  }

  /// Puts a segment's entries where they belong now: into it, with so many times the places, or into
  /// the one that it was divided into.
  private mutating func relink(_ owner: Int, placeFactor: Int) {
    let old = segments[owner]
    let oldPlaceCount = Int(old.mask) + 1
    segments[owner] = Segment(placeCount: oldPlaceCount * placeFactor)
    placeCount += oldPlaceCount * (placeFactor - 1)
    for place in 0..<oldPlaceCount where old.places[place] != 0 {
      let index = Int(old.places[place]) - 1
      let hash = Self.hash(entry(index).pointee.key)
      segments[segment(hash)].link(index, hash)
    }
    old.places.deallocate()
  }
}
