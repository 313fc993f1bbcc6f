public import Events

/// Which user an anonymous id belongs to now.
///
/// An event that carries both links its anonymous id to its user; a later link replaces an earlier one,
/// as when a second person signs in on the same device. A link that no event has used for ``keep`` of
/// event-time progress is forgotten, counted in whole hours of the watermark so that using it seldom
/// changes state. A link that was ended keeps its place until it is forgotten, with a user of zero.
///
/// Open addressing with linear probing, at most half full, 40 bytes a place. Limit: of further ids than
/// `countMax` no link is kept, which is counted.
public struct IdentityLinks: ~Copyable {
  struct Link: BitwiseCopyable {
    var person: Key128
    var user: Key128
    /// The hour of the watermark in which it was last used, since the epoch.
    var usedHour: Int32
    var isChanged: Bool
  }

  /// Microseconds.
  public let keep: Int64
  let countMax: Int
  public private(set) var count = 0
  /// Ids whose link was not kept because there were too many.
  public internal(set) var refused: Int64 = 0
  private var places: UnsafeMutablePointer<Link>
  private var mask: Int
  private var nowHour = Int32.min
  private var purgedHour = Int32.min
  public static var name: String { "links" }

  /// Ids whose link changed since the last snapshot; a few may be repeated.
  private var changed: [Key128] = []
  /// True while there were too many to note: the next increment must hold all links.
  private var isLost = false
  /// As many changes as this are always noted.
  var keptCountMin = 1 << 18

  private static let hour: Int64 = 3_600_000_000

  public init(keep: Int64, countMax: Int) {
    self.keep = keep
    self.countMax = countMax
    mask = 63
    places = .allocate(capacity: 64)
    places.initialize(repeating: Self.free, count: 64)
  }

  deinit { places.deallocate() }

  private static let free = Link(
    person: .zero, user: .zero, usedHour: 0, isChanged: false)

  /// The first hour whose links are remembered.
  private var oldestHour: Int32 {
    let hours = Int32(clamping: keep / Self.hour + 1)
    return nowHour < .min + hours ? .min : nowHour - hours
  }

  /// - Parameter watermark: microseconds since the epoch; never goes back.
  public mutating func advance(watermark: Int64) {
    nowHour = max(nowHour, Int32(clamping: watermark / Self.hour))
  }

  /// The user of an anonymous id; nil if it has none. Using a link keeps it.
  @inline(__always)
  public mutating func user(of person: Key128) -> Key128? {
    if count == 0 { return nil }
    let place = find(person)
    guard places[place].person == person, places[place].usedHour >= oldestHour,
      places[place].user != .zero
    else { return nil }
    if places[place].usedHour < nowHour {
      places[place].usedHour = nowHour
      markChanged(place)
    }
    return places[place].user
  }

  /// Links an id; what it was linked to before, if that is still remembered, no longer counts.
  ///
  /// - Returns: true where this is a new link.
  public mutating func link(_ person: Key128, to user: Key128) -> Bool {
    if self.user(of: person) == user { return false }
    var place = find(person)
    if places[place].person != person {
      if count >= countMax { purge() }
      guard count < countMax else {
        refused += 1
        return false
      }
      if (count + 1) * 2 > mask + 1 { rebuild(capacity: (mask + 1) * 2, oldest: .min) }
      place = find(person)
      count += 1
    }
    let isChanged = places[place].isChanged
    places[place] = Link(person: person, user: user, usedHour: nowHour, isChanged: isChanged)
    markChanged(place)
    return true
  }

  /// Ends the link of an id.
  ///
  /// - Parameter user: only where it is this one's; zero: whoever's it is.
  public mutating func unlink(_ person: Key128, from user: Key128) {
    guard let linked = self.user(of: person), user == .zero || user == linked else { return }
    let place = find(person)
    places[place].user = .zero
    markChanged(place)
  }

  private func find(_ person: Key128) -> Int {
    var place = Int(truncatingIfNeeded: (person.low &* 0x9E37_79B9_7F4A_7C15) &>> 20) & mask
    while places[place].person != .zero && places[place].person != person {
      place = (place &+ 1) & mask
    }
    return place
  }

  private mutating func markChanged(_ place: Int) {
    if places[place].isChanged || isLost { return }
    places[place].isChanged = true
    changed.append(places[place].person)
    if changed.count > keptCountMin && changed.count > count / 2 {
      for person in changed { places[find(person)].isChanged = false }
      changed = []
      isLost = true
    }
  }

  /// Forgets what may be forgotten; at most once in each hour.
  private mutating func purge() {
    guard purgedHour < nowHour else { return }
    purgedHour = nowHour
    rebuild(capacity: mask + 1, oldest: oldestHour)
  }

  private mutating func rebuild(capacity: Int, oldest: Int32) {
    let old = places
    let oldCapacity = mask + 1
    places = .allocate(capacity: capacity)
    places.initialize(repeating: Self.free, count: capacity)
    mask = capacity - 1
    count = 0
    for index in 0..<oldCapacity where old[index].person != .zero && old[index].usedHour >= oldest {
      places[find(old[index].person)] = old[index]
      count += 1
    }
    old.deallocate()
  }

  // MARK: Snapshots

  private static let sectionID: UInt16 = 40
  private static let sectionVersion: UInt16 = 2
  private static let entryByteCount = 36

  public var stateSize: StateSize {
    StateSize(
      keyCount: count, keyCountMax: countMax,
      byteCount: (mask + 1) * MemoryLayout<Link>.stride + changed.count * 16)
  }

  public var changeByteCount: Int { (isLost ? count : changed.count) * Self.entryByteCount }

  /// Writes links in rising order of ids: all that are remembered, or those that have changed.
  public mutating func snapshot(isComplete: Bool, into writer: inout SnapshotWriter) {
    var links: [Link] = []
    let isComplete = isComplete || isLost
    if isComplete {
      for place in 0...mask
      where places[place].person != .zero && places[place].usedHour >= oldestHour {
        links.append(places[place])
      }
    } else {
      for person in changed {
        let place = find(person)
        guard places[place].isChanged else { continue }
        links.append(places[place])
        places[place].isChanged = false
      }
    }
    forgetChanges()
    links.sort { $0.person < $1.person }
    writer.begin(section: Self.sectionID, version: Self.sectionVersion)
    writer.put(UInt8(isComplete ? 1 : 0))
    writer.put(nowHour)
    writer.put(refused)
    writer.put(UInt64(links.count))
    for link in links {
      writer.put(link.person.low)
      writer.put(link.person.high)
      writer.put(link.user.low)
      writer.put(link.user.high)
      writer.put(link.usedHour)
    }
    writer.end()
  }

  /// Forgets what has changed, as if a snapshot had been taken.
  public mutating func forgetChanges() {
    for person in changed { places[find(person)].isChanged = false }
    changed.removeAll(keepingCapacity: true)
    isLost = false
  }

  /// - Parameter groups: key groups whose ids are taken over; others are passed over.
  public mutating func restore(
    from reader: inout SnapshotReader, keeping groups: Range<Int>
  ) throws(SnapshotFormatError) {
    try reader.open(section: Self.sectionID, version: Self.sectionVersion)
    // An increment that holds all links replaces those before it; bases of several streams add up.
    if try reader.get(UInt8.self) == 1 && reader.kind == .increment {
      places.update(repeating: Self.free, count: mask + 1)
      count = 0
    }
    changed = []
    isLost = false
    nowHour = max(nowHour, try reader.get(Int32.self))
    refused = try reader.get(Int64.self)
    let entryCount = try reader.getCount(elementByteCount: Self.entryByteCount)
    for _ in 0..<entryCount {
      let person = Key128(low: try reader.get(UInt64.self), high: try reader.get(UInt64.self))
      let user = Key128(low: try reader.get(UInt64.self), high: try reader.get(UInt64.self))
      let usedHour = try reader.get(Int32.self)
      guard person != .zero, usedHour <= nowHour else {
        throw reader.malformed("a link without an id, or of a later hour than its snapshot")
      }
      guard groups.contains(KeyGroup.of(person: person)) else { continue }
      if (count + 1) * 2 > mask + 1 { rebuild(capacity: (mask + 1) * 2, oldest: .min) }
      let place = find(person)
      if places[place].person == .zero { count += 1 }
      places[place] = Link(person: person, user: user, usedHour: usedHour, isChanged: false)
    }
    try reader.close()
  }
}
