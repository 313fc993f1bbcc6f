import Events

/// What is known of a person beside its touches: one cache line.
///
/// An id that was united with another is a record too, without touches, that names its root.
struct Person: BitwiseCopyable {
  var key: Key128
  var touches: UnsafeMutablePointer<KeptTouch>?
  /// The step at which it is looked at; `.max` for none.
  var timer = Int64.max
  /// The step through which its united ids are kept without touches.
  var linkedUntil = Int64.min
  var count: UInt16 = 0
  /// Of the first touch of the last session.
  var lastStart: UInt16 = 0
  /// Index of the root plus one; 0 for a root.
  var root: UInt32 = 0
  /// Index plus one: of a root's first united id, of a united id's next; 0 for none.
  var nextUnited: UInt32 = 0
  /// Class of the block of touches.
  var size: UInt8 = 0
  var isChanged = false
  /// The number of anchors, and two flags above it.
  private var anchorBits: UInt16 = 0
  var firstAnchor: UnsafeMutablePointer<ExposureAnchor>?

  init(key: Key128) { self.key = key }

  private static let forgetful: UInt16 = 0x8000
  private static let idle: UInt16 = 0x4000

  var anchorCount: UInt16 {
    get { anchorBits & ~(Self.forgetful | Self.idle) }
    set { anchorBits = anchorBits & (Self.forgetful | Self.idle) | newValue }
  }

  /// It came when there were too many persons to remember what it is exposed to once its touches have
  /// left state.
  var isForgetful: Bool {
    get { anchorBits & Self.forgetful != 0 }
    set { anchorBits = newValue ? anchorBits | Self.forgetful : anchorBits & ~Self.forgetful }
  }

  /// It is in state for its anchors alone.
  var isIdle: Bool {
    get { anchorBits & Self.idle != 0 }
    set { anchorBits = newValue ? anchorBits | Self.idle : anchorBits & ~Self.idle }
  }

  var anchors: ExposureAnchors { ExposureAnchors(anchors: firstAnchor, count: Int(anchorCount)) }

  var timeline: PersonTimeline { PersonTimeline(touches: touches, count: Int(count)) }
}

/// The persons of all key groups.
///
/// One hash table of 8-byte places per group, each with 32 bits of the key beside the record's number,
/// so that probing and growing touch no records; open addressing with linear probing, at most half
/// full, removal shifts back (Knuth, TAOCP 3, 6.4 R). Records lie in chunks and never move: growth
/// stops nobody for long. Cost: two cache misses per look-up. Memory: 64 bytes per record and 16 to 32
/// bytes of places.
struct PersonTable: ~Copyable {
  private struct Group {
    var places: UnsafeMutablePointer<UInt64>
    var mask: Int
    var count: Int
  }

  private static let chunkShift = 12
  private static let placeCountMin = 8

  private let groups: UnsafeMutablePointer<Group>
  private var chunks: UnsafeMutablePointer<UnsafeMutablePointer<Person>>
  private var chunkCapacity = 16
  private var chunkCount = 0
  /// What the chunks were cut from.
  private var slabs: [UnsafeMutablePointer<Person>] = []
  /// The first of those that are not in use yet.
  private var nextChunk: UnsafeMutablePointer<Person>?
  private var spareChunks = 0
  /// See ``BlockArena/isGentle``.
  var isGentle = false
  /// Numbers that were given out, freed ones included.
  private(set) var recordCount = 0
  private var freed: [UInt32] = []
  private var placeCount = 0

  init() {
    groups = .allocate(capacity: KeyGroup.count)
    for group in 0..<KeyGroup.count {
      (groups + group).initialize(
        to: Group(places: Self.places(Self.placeCountMin), mask: Self.placeCountMin - 1, count: 0))
    }
    chunks = .allocate(capacity: chunkCapacity)
    placeCount = KeyGroup.count * Self.placeCountMin
  }

  deinit {
    for group in 0..<KeyGroup.count { groups[group].places.deallocate() }
    groups.deallocate()
    for slab in slabs { slab.deallocate() }
    chunks.deallocate()
  }

  var byteCount: Int { placeCount * 8 + (chunkCount << Self.chunkShift) * 64 }

  private static func places(_ count: Int) -> UnsafeMutablePointer<UInt64> {
    let places = UnsafeMutablePointer<UInt64>.allocate(capacity: count)
    places.initialize(repeating: 0, count: count)
    return places
  }

  /// The bits of a key that are beside its number; its lowest eight are the group's.
  @inline(__always)
  private static func tag(_ key: Key128) -> UInt32 { UInt32(truncatingIfNeeded: key.low >> 8) }

  @inline(__always)
  func record(_ index: Int) -> UnsafeMutablePointer<Person> {
    chunks[index >> Self.chunkShift] + (index & (1 << Self.chunkShift - 1))
  }

  /// Asks for what ``guess(_:)`` and ``find(_:)`` read first.
  @inline(__always)
  func prefetchPlace(_ key: Key128) {
    let group = groups + KeyGroup.of(person: key)
    TableMemory.prefetch(group.pointee.places + (Int(Self.tag(key)) & group.pointee.mask))
  }

  /// - Returns: the number of the record that is probably the key's, found without looking at it, or
  ///   -1.
  @inline(__always)
  func guess(_ key: Key128) -> Int {
    let group = groups + KeyGroup.of(person: key)
    let tag = Self.tag(key)
    let mask = group.pointee.mask
    var place = Int(tag) & mask
    while true {
      let entry = group.pointee.places[place]
      if entry == 0 || UInt32(truncatingIfNeeded: entry >> 32) == tag {
        return Int(truncatingIfNeeded: entry & 0xffff_ffff) &- 1
      }
      place = (place &+ 1) & mask
    }
  }

  /// - Returns: the number of the key's record, or -1.
  @inline(__always)
  func find(_ key: Key128) -> Int {
    let group = groups + KeyGroup.of(person: key)
    let tag = Self.tag(key)
    let mask = group.pointee.mask
    var place = Int(tag) & mask
    while true {
      let entry = group.pointee.places[place]
      if entry == 0 { return -1 }
      if UInt32(truncatingIfNeeded: entry >> 32) == tag {
        let index = Int(truncatingIfNeeded: entry & 0xffff_ffff) &- 1
        if record(index).pointee.key == key { return index }
      }
      place = (place &+ 1) & mask
    }
  }

  /// Adds a record for a key that has none.
  mutating func add(_ key: Key128) -> Int {
    let index: Int
    if let free = freed.popLast() {
      index = Int(free)
    } else {
      if recordCount == chunkCount << Self.chunkShift { addChunk() }
      index = recordCount
      recordCount += 1
    }
    record(index).initialize(to: Person(key: key))
    let group = groups + KeyGroup.of(person: key)
    if (group.pointee.count + 1) * 2 > group.pointee.mask + 1 { grow(group) }
    group.pointee.count += 1
    Self.link(group, UInt64(Self.tag(key)) << 32 | UInt64(index + 1))
    return index
  }

  mutating func remove(_ index: Int) {
    let key = record(index).pointee.key
    let group = groups + KeyGroup.of(person: key)
    let places = group.pointee.places
    let mask = group.pointee.mask
    var hole = Int(Self.tag(key)) & mask
    while places[hole] & 0xffff_ffff != UInt64(index + 1) { hole = (hole &+ 1) & mask }
    var next = (hole &+ 1) & mask
    while places[next] != 0 {
      let home = Int(places[next] >> 32) & mask
      // The entry may move back only to places at or after its home.
      if (next &- home) & mask >= (next &- hole) & mask {
        places[hole] = places[next]
        hole = next
      }
      next = (next &+ 1) & mask
    }
    places[hole] = 0
    group.pointee.count -= 1
    record(index).pointee = Person(key: .zero)
    freed.append(UInt32(index))
  }

  /// The numbers of a group's records, in order of their keys.
  func ordered(_ group: Int) -> [Int] {
    let group = groups[group]
    var found: [(key: Key128, index: Int)] = []
    found.reserveCapacity(group.count)
    for place in 0...group.mask where group.places[place] != 0 {
      let index = Int(group.places[place] & 0xffff_ffff) - 1
      found.append((record(index).pointee.key, index))
    }
    found.sort { $0.key < $1.key }
    return found.map(\.index)
  }

  /// True where a person of another group is in state.
  func holdsRecords(outside range: Range<Int>) -> Bool {
    for group in 0..<KeyGroup.count where groups[group].count > 0 && !range.contains(group) {
      return true
    }
    return false
  }

  private static func link(_ group: UnsafeMutablePointer<Group>, _ entry: UInt64) {
    let mask = group.pointee.mask
    var place = Int(entry >> 32) & mask
    while group.pointee.places[place] != 0 { place = (place &+ 1) & mask }
    group.pointee.places[place] = entry
  }

  private mutating func grow(_ group: UnsafeMutablePointer<Group>) {
    let old = group.pointee.places
    let oldCount = group.pointee.mask + 1
    group.pointee.places = Self.places(oldCount * 2)
    group.pointee.mask = oldCount * 2 - 1
    placeCount += oldCount
    for place in 0..<oldCount where old[place] != 0 { Self.link(group, old[place]) }
    old.deallocate()
  }

  private mutating func addChunk() {
    if chunkCount == chunkCapacity {
      let old = chunks
      chunkCapacity *= 2
      chunks = .allocate(capacity: chunkCapacity)
      chunks.update(from: old, count: chunkCount)
      old.deallocate()
    }
    precondition(MemoryLayout<Person>.stride == 64, "a record is one cache line")
    let slab = spareChunks > 0 ? nextChunk.unsafelyUnwrapped : addSlab()
    chunks[chunkCount] = slab
    nextChunk = slab + (1 << Self.chunkShift)
    spareChunks -= 1
    chunkCount += 1
  }

  /// Memory for the next chunks: for one as long as there are few, else for large pages.
  private mutating func addSlab() -> UnsafeMutablePointer<Person> {
    spareChunks = chunkCount < 16 ? 1 : 16
    // The one before is full; the first ones are short.
    if chunkCount > 16, let last = slabs.last {
      TableMemory.wantLargePages(last, byteCount: 64 * spareChunks << Self.chunkShift)
    }
    let recordCount = spareChunks << Self.chunkShift
    let slab: UnsafeMutablePointer<Person>
    if spareChunks > 1 {
      slab = TableMemory.allocate(Person.self, count: recordCount, isGentle: isGentle)
    } else {
      let raw = UnsafeMutableRawPointer.allocate(byteCount: 64 * recordCount, alignment: 64)
      slab = raw.bindMemory(to: Person.self, capacity: recordCount)
    }
    slabs.append(slab)
    return slab
  }
}
