import Events

/// The dimension tuples in use, interned to small numbers (slots).
///
/// Found by a fast hash and a comparison of all bytes; the 63-bit identity for read models, which
/// costs more, is worked out only for a tuple that is new. A slot lives while anything refers to it:
/// live rows (`liveRefs`, which decide the limit on tuples) or undrained corrections
/// (`pendingRefs`). Open addressing with linear probing; removal shifts entries back (Knuth, TAOCP
/// 3, 6.4 R), so there are no tombstones. Cost: 15 ns for a tuple of 60 bytes.
struct TupleTable: ~Copyable {
  struct Slot: BitwiseCopyable {
    var bytes: UnsafeMutableRawPointer?
    var byteCount: Int
    var hash: UInt32
    /// True once its ``DimensionEntry`` has been handed out.
    var isAnnounced: Bool
    /// True where the snapshots so far give the tuple: what is restored from them has it too.
    var isStored = false
    /// Live rows, and on-time counts that will be live rows.
    var liveRefs: Int32
    var pendingRefs: Int32
    /// ``DimensionTuple/identifier(encoded:)``.
    var id: Int64
  }

  private(set) var slots: UnsafeMutablePointer<Slot>
  private var texts = TextArena()
  private var slotCapacity: Int
  private var slotCount = 0
  private var freeSlots: [UInt32] = []
  /// Slots that have got no reference yet; looked through by ``releaseUnused()``.
  private var freshSlots: [UInt32] = []
  /// Hash in the upper half, slot plus one in the lower; 0 where free.
  private var places: UnsafeMutablePointer<UInt64>
  private var placeMask: Int
  /// Of the tuples that are asked for, by the end of their numbers: hashes, and slots that are probably theirs.
  private static let askedMask = 31
  private let hashes: UnsafeMutablePointer<UInt32>
  private let guesses: UnsafeMutablePointer<Int32>
  /// Slots in use.
  private(set) var count = 0
  /// Tuples with `liveRefs`.
  private(set) var liveCount = 0

  init() {
    slotCapacity = 64
    slots = .allocate(capacity: slotCapacity)
    placeMask = 255
    hashes = .allocate(capacity: Self.askedMask + 1)
    guesses = .allocate(capacity: Self.askedMask + 1)
    guesses.initialize(repeating: -1, count: Self.askedMask + 1)
    places = .allocate(capacity: placeMask + 1)
    places.initialize(repeating: 0, count: placeMask + 1)
  }

  deinit {
    slots.deallocate()
    places.deallocate()
    hashes.deallocate()
    guesses.deallocate()
  }

  /// The bytes of a slot in use; valid until it is freed.
  func bytes(_ slot: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: slots[slot].bytes, count: slots[slot].byteCount)
  }

  /// Finds a tuple, or gives it a slot without references, which it keeps until
  /// ``releaseUnused()``.
  @inline(__always)
  mutating func intern(_ tuple: UnsafeRawBufferPointer) -> Int {
    intern(tuple, hash: TupleHash.hash(tuple))
  }

  /// Like ``intern(_:)``, for all tuples of a frame one after the other: `index` is the number of the one
  /// that is wanted. Where the table is large the lines that later ones need are asked for.
  @inline(__always)
  mutating func intern(_ index: Int, of count: Int, _ tuple: (Int) -> UnsafeRawBufferPointer) -> Int
  {
    if index == 0 { for step in 0..<3 * TableMemory.ahead { ask(step, count, tuple) } }
    ask(index &+ 3 &* TableMemory.ahead, count, tuple)
    return intern(tuple(index), hash: hashes[index & Self.askedMask])
  }

  /// Hashes tuple number `step`, and asks for its place, the slot of one before it, and the text of one
  /// before that.
  @inline(__always)
  private func ask(_ step: Int, _ count: Int, _ tuple: (Int) -> UnsafeRawBufferPointer) {
    // A thousand tuples stay in the second-level cache.
    let isLarge = placeMask >= 1 << 12
    if step < count {
      let hash = TupleHash.hash(tuple(step))
      hashes[step & Self.askedMask] = hash
      if isLarge { TableMemory.prefetch(places + (Int(hash) & placeMask)) }
    }
    guard isLarge else { return }
    let near = step &- TableMemory.ahead
    if near >= 0 && near < count {
      let slot = guess(hashes[near & Self.askedMask])
      guesses[near & Self.askedMask] = Int32(truncatingIfNeeded: slot)
      if slot >= 0 { TableMemory.prefetch(whole: slots + slot) }
    }
    let nearer = near &- TableMemory.ahead
    if nearer >= 0 && nearer < count, guesses[nearer & Self.askedMask] >= 0 {
      let slot = slots + Int(guesses[nearer & Self.askedMask])
      if let bytes = slot.pointee.bytes {
        TableMemory.prefetch(bytes)
        TableMemory.prefetch(bytes + slot.pointee.byteCount - 1)
      }
    }
  }

  /// - Returns: the slot of the first tuple with the hash, or -1.
  @inline(__always)
  private func guess(_ hash: UInt32) -> Int {
    var place = Int(hash) & placeMask
    while true {
      let entry = places[place]
      if entry == 0 || UInt32(truncatingIfNeeded: entry >> 32) == hash {
        return Int(truncatingIfNeeded: entry & 0xffff_ffff) &- 1
      }
      place = (place &+ 1) & placeMask
    }
  }

  /// Asks for what ``releaseLive(_:)`` reads of a slot.
  @inline(__always)
  func prefetchSlot(_ slot: Int) { TableMemory.prefetch(whole: slots + slot) }

  /// Asks for what ``releaseLive(_:)`` needs besides where it gives a tuple up.
  @inline(__always)
  func prefetchRelease(_ slot: Int) {
    let slot = slots + slot
    guard slot.pointee.liveRefs <= 1, let bytes = slot.pointee.bytes else { return }
    TableMemory.prefetch(places + (Int(slot.pointee.hash) & placeMask))
    TableMemory.prefetch(bytes)
  }

  @inline(__always)
  private mutating func intern(_ tuple: UnsafeRawBufferPointer, hash: UInt32) -> Int {
    var place = Int(hash) & placeMask
    while true {
      let entry = places[place]
      if entry == 0 { return add(tuple, hash: hash) }
      if UInt32(truncatingIfNeeded: entry >> 32) == hash {
        let slot = Int(truncatingIfNeeded: entry & 0xffff_ffff) &- 1
        if TupleHash.equal(bytes(slot), tuple) { return slot }
      }
      place = (place &+ 1) & placeMask
    }
  }

  mutating func retainLive(_ slot: Int) {
    if slots[slot].liveRefs == 0 { liveCount += 1 }
    slots[slot].liveRefs += 1
  }

  mutating func releaseLive(_ slot: Int) {
    slots[slot].liveRefs -= 1
    guard slots[slot].liveRefs == 0 else { return }
    liveCount -= 1
    slots[slot].isStored = false
    if slots[slot].pendingRefs == 0 { remove(slot) }
  }

  mutating func retainPending(_ slot: Int) { slots[slot].pendingRefs += 1 }

  mutating func releasePending(_ slot: Int) {
    slots[slot].pendingRefs -= 1
    if slots[slot].pendingRefs == 0 && slots[slot].liveRefs == 0 { remove(slot) }
  }

  mutating func markAnnounced(_ slot: Int) { slots[slot].isAnnounced = true }

  /// The slots of tuples with live rows.
  var liveSlots: [Int] {
    (0..<slotCount).filter { slots[$0].bytes != nil && slots[$0].liveRefs > 0 }
  }

  mutating func markStored(_ slot: Int) { slots[slot].isStored = slots[slot].liveRefs > 0 }

  /// The slot of a tuple in use, by its identity and ``Slot/hash``; -1 if there is none.
  func find(id: Int64, hash: UInt32) -> Int {
    var place = Int(hash) & placeMask
    while true {
      let entry = places[place]
      if entry == 0 { return -1 }
      let slot = Int(truncatingIfNeeded: entry & 0xffff_ffff) &- 1
      if UInt32(truncatingIfNeeded: entry >> 32) == hash, slots[slot].id == id { return slot }
      place = (place &+ 1) & placeMask
    }
  }

  /// Memory in bytes, about: tuples are counted as 64 bytes each.
  var byteCount: Int {
    slotCapacity * MemoryLayout<Slot>.stride + (placeMask + 1) * 8 + count * 64
  }

  /// Frees the slots that were handed out since the last call and got no reference.
  mutating func releaseUnused() {
    for slot in freshSlots {
      let entry = slots[Int(slot)]
      if entry.bytes != nil && entry.liveRefs == 0 && entry.pendingRefs == 0 { remove(Int(slot)) }
    }
    freshSlots.removeAll(keepingCapacity: true)
  }

  // MARK: Changes

  @inline(never)
  private mutating func add(_ tuple: UnsafeRawBufferPointer, hash: UInt32) -> Int {
    guard EncodedTuple.isValid(tuple) else {
      return EncodedTuple.malformed.withUnsafeBytes { intern($0) }
    }
    if count * 4 >= (placeMask + 1) * 2 { growPlaces() }
    let slot: Int
    if let free = freeSlots.popLast() {
      slot = Int(free)
    } else {
      if slotCount == slotCapacity { growSlots() }
      slot = slotCount
      slotCount += 1
    }
    let bytes = texts.allocate(tuple.count)
    bytes.copyMemory(from: tuple.baseAddress ?? UnsafeRawPointer(bytes), byteCount: tuple.count)
    (slots + slot).initialize(
      to: Slot(
        bytes: bytes, byteCount: tuple.count, hash: hash, isAnnounced: false, liveRefs: 0,
        pendingRefs: 0, id: DimensionTuple.identifier(encoded: tuple)))
    link(slot, hash)
    count += 1
    freshSlots.append(UInt32(slot))
    return slot
  }

  private mutating func remove(_ slot: Int) {
    var hole = Int(slots[slot].hash) & placeMask
    while places[hole] & 0xffff_ffff != UInt64(slot + 1) { hole = (hole + 1) & placeMask }
    var next = (hole + 1) & placeMask
    while places[next] != 0 {
      let home = Int(places[next] >> 32) & placeMask
      // The entry may move back only to places at or after its home.
      if (next - home) & placeMask >= (next - hole) & placeMask {
        places[hole] = places[next]
        hole = next
      }
      next = (next + 1) & placeMask
    }
    places[hole] = 0
    if let bytes = slots[slot].bytes { texts.release(bytes, slots[slot].byteCount) }
    slots[slot].bytes = nil
    freeSlots.append(UInt32(slot))
    count -= 1
  }

  private func link(_ slot: Int, _ hash: UInt32) {
    var place = Int(hash) & placeMask
    while places[place] != 0 { place = (place + 1) & placeMask }
    places[place] = UInt64(hash) << 32 | UInt64(slot + 1)
  }

  private mutating func growPlaces() {
    let old = places
    let oldCount = placeMask + 1
    placeMask = oldCount * 2 - 1
    places = TableMemory.allocate(UInt64.self, count: oldCount * 2)
    places.initialize(repeating: 0, count: oldCount * 2)
    for place in 0..<oldCount where old[place] != 0 {
      link(Int(old[place] & 0xffff_ffff) - 1, UInt32(truncatingIfNeeded: old[place] >> 32))
    }
    old.deallocate()
  }

  private mutating func growSlots() {
    precondition(slotCapacity < WindowKey.slotMax, "slots fit their bits in a window key")
    let old = slots
    slots = TableMemory.allocate(Slot.self, count: slotCapacity * 2)
    slots.moveInitialize(from: old, count: slotCount)
    old.deallocate()
    slotCapacity *= 2
  }
}
