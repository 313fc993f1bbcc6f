public import Events

/// Facts to join with: which group a value of one dimension belongs to, such as an ad its campaign.
///
/// Groups are numbered in the order of their encoded tuples, so the same facts give the same numbers
/// however they are listed. Open addressing with linear probing, at most half full; it never changes.
/// Cost: 10 ns per look-up while it fits the cache.
public struct JoinTable: ~Copyable {
  /// The dimension whose values are looked up.
  public let dimension: Dimension
  /// The groups' encoded ``DimensionTuple``s, in order.
  public let groups: [[UInt8]]
  /// Identifies the facts: the same for the same facts.
  public let hash: UInt64

  private struct Place: BitwiseCopyable {
    var hash: UInt32
    /// Group plus one; 0 where free.
    var group: UInt32
    var offset: UInt32
    var byteCount: UInt32
  }

  private let places: UnsafeMutablePointer<Place>
  private let placeMask: Int
  private let text: UnsafeMutablePointer<UInt8>

  /// The number of groups, and the group of every value that the facts do not name.
  public var groupCount: Int { groups.count }

  /// - Parameter facts: values, at most 2^24, with the tuple of their group; of a value listed twice
  ///   the last one counts.
  public init(dimension: Dimension, facts: [(value: String, group: DimensionTuple)]) {
    var groupOf: [String: [UInt8]] = [:]
    for fact in facts { groupOf[fact.value] = fact.group.encoded }
    precondition(groupOf.count <= 1 << 24, "at most 2^24 facts")
    self.dimension = dimension
    groups = Set(groupOf.values).sorted { $0.lexicographicallyPrecedes($1) }
    let numbers = Dictionary(uniqueKeysWithValues: groups.enumerated().map { ($1, $0) })
    var size = 8
    while size < groupOf.count * 2 { size *= 2 }
    placeMask = size - 1
    places = .allocate(capacity: size)
    places.initialize(
      repeating: Place(hash: 0, group: 0, offset: 0, byteCount: 0), count: size)
    text = .allocate(capacity: max(1, groupOf.keys.reduce(0) { $0 + $1.utf8.count }))
    var identity = SipHash128()
    identity.update(byte: UInt8(dimension.rawValue))
    var offset = 0
    for (value, group) in groupOf.sorted(by: { $0.key < $1.key }) {
      identity.update(field: value)
      group.withUnsafeBytes { identity.update(field: $0) }
      let start = offset
      for byte in value.utf8 {
        text[offset] = byte
        offset += 1
      }
      let hash = TupleHash.hash(UnsafeRawBufferPointer(start: text + start, count: offset - start))
      var place = Int(hash) & placeMask
      while places[place].group != 0 { place = (place + 1) & placeMask }
      places[place] = Place(
        hash: hash, group: UInt32((numbers[group] ?? 0) + 1), offset: UInt32(start),
        byteCount: UInt32(offset - start))
    }
    hash = identity.finalize().low
  }

  deinit {
    places.deallocate()
    text.deallocate()
  }

  /// - Returns: the group of a value, or ``groupCount`` where the facts do not name it.
  public func group(of value: UnsafeRawBufferPointer) -> Int {
    let hash = TupleHash.hash(value)
    var index = Int(hash) & placeMask
    while true {
      let place = places[index]
      if place.group == 0 { return groups.count }
      if place.hash == hash {
        let known = UnsafeRawBufferPointer(
          start: text + Int(place.offset), count: Int(place.byteCount))
        if TupleHash.equal(known, value) { return Int(place.group) - 1 }
      }
      index = (index &+ 1) & placeMask
    }
  }

  /// - Returns: the group of a tuple by its value of ``dimension``; ``groupCount`` where there is none,
  ///   or where the bytes are not a tuple.
  public func group(ofTuple tuple: UnsafeRawBufferPointer) -> Int {
    var offset = 0
    var place = 0
    while offset + 2 <= tuple.count {
      let end = offset + 2 + (Int(tuple[offset]) | Int(tuple[offset + 1]) << 8)
      guard end <= tuple.count else { break }
      if place == dimension.rawValue {
        return group(of: UnsafeRawBufferPointer(rebasing: tuple[offset + 2..<end]))
      }
      place += 1
      offset = end
    }
    return groups.count
  }
}
