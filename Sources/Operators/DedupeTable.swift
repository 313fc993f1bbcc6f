import Events

/// The remembered event ids of one key group.
///
/// Buckets of one cache line hold three ids with their stamps, so a look-up costs one miss. An id's
/// home is the high half of its key scaled to the number of buckets (Lemire 2016), and full buckets
/// spill into the next; because homes rise with keys, rebuilding reads and writes in order. Nothing
/// is removed: rebuilding at four fifths full drops what has expired. Cost: 27 to 43 bytes per id.
///
/// Groups get the same share of ids, so tables that were equally long would all be rebuilt within a moment, and
/// nothing else done meanwhile. Each has a phase, by which young ones are longer than the ids need and restored ones
/// shorter: then rebuilding is spread over the time in which tables grow by 60 %.
struct DedupeTable: ~Copyable {
  /// 64 bytes; free places hold ``Key128/zero``.
  struct Bucket: BitwiseCopyable {
    var key0 = Key128.zero
    var key1 = Key128.zero
    var key2 = Key128.zero
    var stamp0: UInt32 = 0
    var stamp1: UInt32 = 0
    var stamp2: UInt32 = 0
    /// How many places are taken, in two bits, and a mark of ten bits for each place.
    var state: UInt32 = 0

    @inline(__always) var used: UInt32 { state & 3 }

    @inline(__always) func mark(_ place: Int) -> UInt32 {
      (state >> UInt32(truncatingIfNeeded: 2 &+ place &* 10)) & 0x3ff
    }

    @inline(__always) mutating func set(mark: UInt32, _ place: Int) {
      let shift = UInt32(truncatingIfNeeded: 2 &+ place &* 10)
      state = state & ~(0x3ff << shift) | mark << shift
    }

    /// Where the stamps start; keys start at 0.
    static let stampOffset = 48
  }

  /// An id and when it was first stored, in seconds of log time.
  struct Entry: Comparable, BitwiseCopyable {
    var key: Key128
    var stamp: UInt32
    /// Of its fingerprint; 0 where unknown.
    var mark: UInt32 = 0

    static func < (a: Entry, b: Entry) -> Bool { a.key < b.key }
  }

  /// With fewer a table of few ids would be rebuilt all the time.
  private static let bucketCountMin = 8

  private(set) var count = 0
  private(set) var buckets: UnsafeMutablePointer<Bucket>
  private(set) var bucketCount: Int
  private var countMax: Int
  private let phase: Int

  /// Phases are told apart so finely.
  static let phaseCount = 256
  /// A table with fewer buckets is young.
  private static let youngBucketCountMax = 160

  /// - Parameter phase: below ``phaseCount``.
  init(phase: Int = 0) {
    self.phase = phase
    bucketCount = Self.bucketCountMin
    countMax = Self.countMax(bucketCount)
    buckets = Self.allocate(bucketCount)
  }

  deinit { UnsafeMutableRawPointer(buckets).deallocate() }

  @inline(__always)
  func home(_ key: Key128) -> Int {
    Int(truncatingIfNeeded: key.high.multipliedFullWidth(by: UInt64(bucketCount)).high)
  }

  /// Remembers a key.
  ///
  /// - Parameters:
  ///   - mark: below 1024, remembered with it.
  ///   - stamp: now.
  ///   - oldest: the oldest stamp that has not expired.
  /// - Returns: the mark that it is remembered with; nil if it was not remembered, or only by an expired
  ///   stamp.
  @inline(__always)
  mutating func insert(_ key: Key128, mark: UInt32, stamp: UInt32, oldest: UInt32) -> UInt32? {
    if count >= countMax { rebuild(oldest: oldest) }
    var index = home(key)
    while true {
      let bucket = buckets + index
      // One branch for all three, because which place an id is in cannot be predicted.
      let other0 = bucket.pointee.key0.differs(from: key)
      let other1 = bucket.pointee.key1.differs(from: key)
      let other2 = bucket.pointee.key2.differs(from: key)
      if min(other0, other1, other2) == 0 {
        let place = other0 == 0 ? 0 : other1 == 0 ? 1 : 2
        return Self.renew(bucket, place: place, mark, stamp, oldest)
      }
      if bucket.pointee.used < 3 {
        Self.place(key, stamp, mark, in: bucket)
        count &+= 1
        return nil
      }
      index &+= 1
      if index == bucketCount { index = 0 }
    }
  }

  @inline(never)
  private static func renew(
    _ bucket: UnsafeMutablePointer<Bucket>, place: Int, _ mark: UInt32, _ stamp: UInt32,
    _ oldest: UInt32
  ) -> UInt32? {
    let stored = UnsafeMutableRawPointer(bucket) + (Bucket.stampOffset + place * 4)
    if stored.load(as: UInt32.self) >= oldest { return bucket.pointee.mark(place) }
    stored.storeBytes(of: stamp, as: UInt32.self)
    bucket.pointee.set(mark: mark, place)
    return nil
  }

  /// - Precondition: the bucket has room.
  @inline(__always)
  private static func place(
    _ key: Key128, _ stamp: UInt32, _ mark: UInt32, in bucket: UnsafeMutablePointer<Bucket>
  ) {
    let raw = UnsafeMutableRawPointer(bucket)
    let used = Int(bucket.pointee.used)
    raw.storeBytes(of: key, toByteOffset: used &* 16, as: Key128.self)
    raw.storeBytes(of: stamp, toByteOffset: Bucket.stampOffset &+ used &* 4, as: UInt32.self)
    bucket.pointee.set(mark: mark, used)
    bucket.pointee.state &+= 1
  }

  /// Copies what has not expired into a table of the size that it needs.
  @inline(never)
  mutating func rebuild(oldest: UInt32) {
    let live = Self.countLive(buckets, bucketCount, oldest)
    let old = buckets
    let oldCount = bucketCount
    start(for: live)
    let new = buckets
    let newCount = bucketCount
    // Entries are written down whether they have expired or not, and the count says which stay: a branch
    // could not be predicted.
    let most = 192
    withUnsafeTemporaryAllocation(of: Entry.self, capacity: most + 3) { kept in
      var count = 0
      for index in 0..<oldCount {
        let bucket = old + index
        let (live0, live1, live2) = Self.live(bucket, oldest)
        kept[count] = Entry(
          key: bucket.pointee.key0, stamp: bucket.pointee.stamp0, mark: bucket.pointee.mark(0))
        count &+= live0
        kept[count] = Entry(
          key: bucket.pointee.key1, stamp: bucket.pointee.stamp1, mark: bucket.pointee.mark(1))
        count &+= live1
        kept[count] = Entry(
          key: bucket.pointee.key2, stamp: bucket.pointee.stamp2, mark: bucket.pointee.mark(2))
        count &+= live2
        if count < most && index &+ 1 < oldCount { continue }
        for place in 0..<count { Self.add(kept[place], new, newCount) }
        count = 0
      }
    }
    UnsafeMutableRawPointer(old).deallocate()
  }

  /// Remembers a key with the stamp that it has in a snapshot.
  mutating func restore(_ entry: Entry, oldest: UInt32) {
    if count >= countMax { rebuild(oldest: oldest) }
    var index = home(entry.key)
    while true {
      let bucket = buckets + index
      let keys = UnsafeMutableRawPointer(bucket).assumingMemoryBound(to: Key128.self)
      for place in 0..<Int(bucket.pointee.used) where keys[place] == entry.key {
        let stamp = UnsafeMutableRawPointer(bucket) + (Bucket.stampOffset + place * 4)
        stamp.storeBytes(of: entry.stamp, as: UInt32.self)
        return
      }
      if bucket.pointee.used < 3 {
        Self.place(entry.key, entry.stamp, entry.mark, in: bucket)
        count &+= 1
        return
      }
      index &+= 1
      if index == bucketCount { index = 0 }
    }
  }

  /// The unexpired ids in order of key: the same whatever the table's history.
  func sorted(oldest: UInt32) -> [Entry] {
    var entries: [Entry] = []
    entries.reserveCapacity(count)
    Self.forEachLive(buckets, bucketCount, oldest) { entries.append($0) }
    // Places rise with keys but for a few steps, so insertion takes nearly linear time. What spilled
    // over the end lies at the start and would go a long way: it is taken out first.
    var front: [Entry] = []
    while front.count < entries.count, home(entries[front.count].key) > bucketCount / 2 {
      front.append(entries[front.count])
    }
    entries.removeFirst(front.count)
    entries.append(contentsOf: front)
    entries.withUnsafeMutableBufferPointer { entries in
      for end in entries.indices.dropFirst() {
        let entry = entries[end]
        var place = end
        while place > 0, entry < entries[place - 1] {
          entries[place] = entries[place - 1]
          place -= 1
        }
        entries[place] = entry
      }
    }
    return entries
  }

  /// Memory in bytes.
  var byteCount: Int { bucketCount * MemoryLayout<Bucket>.stride }

  /// Replaces everything by `entries`, whose keys differ.
  mutating func fill(_ entries: [Entry]) {
    UnsafeMutableRawPointer(buckets).deallocate()
    let half = Self.halfFull(entries.count)
    start(for: entries.count, bucketCount: half - half * phase / (4 * Self.phaseCount))
    for entry in entries { Self.add(entry, buckets, bucketCount) }
  }

  /// Puts empty buckets in place of the present ones, which the caller frees.
  private mutating func start(for live: Int) {
    let half = Self.halfFull(live)
    let isYoung = half < Self.youngBucketCountMax
    start(
      for: live,
      bucketCount: isYoung ? half + half * 3 * phase / (5 * Self.phaseCount) : half)
  }

  /// Half full the next rebuild is 60 % more ids away.
  private static func halfFull(_ live: Int) -> Int { (live * 2 + 2) / 3 }

  private mutating func start(for live: Int, bucketCount wanted: Int) {
    bucketCount = max(Self.bucketCountMin, wanted)
    buckets = Self.allocate(bucketCount)
    count = live
    countMax = Self.countMax(bucketCount)
  }

  /// For each place of a bucket 1 where its id has not expired, else 0.
  @inline(__always)
  private static func live(_ bucket: UnsafeMutablePointer<Bucket>, _ oldest: UInt32) -> (
    Int, Int, Int
  ) {
    let used = bucket.pointee.used
    return (
      (used > 0 ? 1 : 0) & (bucket.pointee.stamp0 >= oldest ? 1 : 0),
      (used > 1 ? 1 : 0) & (bucket.pointee.stamp1 >= oldest ? 1 : 0),
      (used > 2 ? 1 : 0) & (bucket.pointee.stamp2 >= oldest ? 1 : 0)
    )
  }

  private static func countLive(
    _ buckets: UnsafeMutablePointer<Bucket>, _ bucketCount: Int, _ oldest: UInt32
  ) -> Int {
    var sum = 0
    for index in 0..<bucketCount {
      let (live0, live1, live2) = live(buckets + index, oldest)
      sum &+= live0 &+ live1 &+ live2
    }
    return sum
  }

  private static func forEachLive(
    _ buckets: UnsafeMutablePointer<Bucket>, _ bucketCount: Int, _ oldest: UInt32,
    _ body: (Entry) -> Void
  ) {
    for index in 0..<bucketCount {
      let bucket = buckets[index]
      if bucket.used > 0 && bucket.stamp0 >= oldest {
        body(Entry(key: bucket.key0, stamp: bucket.stamp0, mark: bucket.mark(0)))
      }
      if bucket.used > 1 && bucket.stamp1 >= oldest {
        body(Entry(key: bucket.key1, stamp: bucket.stamp1, mark: bucket.mark(1)))
      }
      if bucket.used > 2 && bucket.stamp2 >= oldest {
        body(Entry(key: bucket.key2, stamp: bucket.stamp2, mark: bucket.mark(2)))
      }
    }
  }

  private static func add(
    _ entry: Entry, _ buckets: UnsafeMutablePointer<Bucket>, _ bucketCount: Int
  ) {
    var index = Int(
      truncatingIfNeeded: entry.key.high.multipliedFullWidth(by: UInt64(bucketCount)).high)
    while buckets[index].used == 3 {
      index &+= 1
      if index == bucketCount { index = 0 }
    }
    place(entry.key, entry.stamp, entry.mark, in: buckets + index)
  }

  private static func countMax(_ bucketCount: Int) -> Int { bucketCount * 3 * 4 / 5 }

  private static func allocate(_ count: Int) -> UnsafeMutablePointer<Bucket> {
    let raw = UnsafeMutableRawPointer.allocate(byteCount: count * 64, alignment: 64)
    let buckets = raw.bindMemory(to: Bucket.self, capacity: count)
    buckets.initialize(repeating: Bucket(), count: count)
    return buckets
  }
}

extension Key128 {
  /// Zero if and only if the keys are the same.
  @inline(__always)
  fileprivate func differs(from other: Key128) -> UInt64 {
    (low ^ other.low) | (high ^ other.high)
  }
}
