/// Which group an event belongs to: the numbers of its values, packed.
struct GroupKey: Hashable, BitwiseCopyable {
  var low: UInt64
  var high: UInt64

  /// In the place of a value's number: `(other)`.
  static let other: UInt64 = 0xff_ffff
  static let otherSegment: UInt64 = 0xffff
  static let otherAgent: UInt64 = 0x3fff
  static let otherName: UInt64 = 0x3fff
  static let otherHour: UInt64 = 0xff
  static let otherCurrency: UInt64 = 0xff

  @inline(__always)
  init(
    tuple: UInt64, payload: UInt64, segment: UInt64, bucket: UInt64, hour: UInt64, currency: UInt64,
    agent: UInt64, name: UInt64
  ) {
    low = tuple | payload << 24 | segment << 48
    high = bucket | hour << 20 | currency << 28 | agent << 36 | name << 50
  }

  var tuple: UInt64 { low & 0xff_ffff }
  var payload: UInt64 { low >> 24 & 0xff_ffff }
  var segment: UInt64 { low >> 48 }
  var bucket: UInt64 { high & 0xf_ffff }
  var hour: UInt64 { high >> 20 & 0xff }
  var currency: UInt64 { high >> 28 & 0xff }
  var agent: UInt64 { high >> 36 & 0x3fff }
  var name: UInt64 { high >> 50 }

  /// The group of a bucket and currency for what has none of its own.
  var ofOthers: GroupKey {
    GroupKey(
      tuple: Self.other, payload: Self.other, segment: Self.otherSegment, bucket: bucket,
      hour: Self.otherHour, currency: currency, agent: Self.otherAgent, name: Self.otherName)
  }

  /// The same group of another segment's number.
  @inline(__always)
  init(_ key: GroupKey, segment: UInt64) {
    self = key
    low = low & 0xffff_ffff_ffff | segment << 48
  }

  /// The same group of another currency's number.
  init(_ key: GroupKey, currency: UInt64) {
    self = key
    high = high & ~(0xff << 28) | currency << 28
  }

  /// No group's.
  static let none = GroupKey(
    tuple: 0, payload: 0, segment: 0, bucket: 0xf_ffff, hour: 0, currency: 0, agent: 0, name: 0)

  /// Whether some of its values were one too many.
  @inline(__always)
  var hasOther: Bool {
    tuple == Self.other || payload == Self.other || agent == Self.otherAgent
      || name == Self.otherName
  }

  var isOfOthers: Bool { low == .max && agent == Self.otherAgent && name == Self.otherName }

  @inline(__always)
  var hash: Int {
    let product = (low ^ 0x9e37_79b9_7f4a_7c15).multipliedFullWidth(
      by: high ^ 0xe703_7ed1_a0b4_28db)
    return Int(truncatingIfNeeded: product.high ^ product.low)
  }
}

/// Groups by their keys, numbered in order of their first appearance.
///
/// Open addressing with linear probing, at most half full.
struct GroupIndex: ~Copyable {
  private(set) var keys: [GroupKey] = []
  /// 1 + the number of a group; 0 where free.
  private var places: UnsafeMutablePointer<UInt32>
  private var mask = 1023

  init() {
    places = .allocate(capacity: mask + 1)
    places.initialize(repeating: 0, count: mask + 1)
  }

  deinit { places.deallocate() }

  var count: Int { keys.count }

  /// - Returns: −1 where there is no such group.
  @inline(__always)
  func find(_ key: GroupKey) -> Int {
    var place = key.hash & mask
    while true {
      let entry = places[place]
      if entry == 0 { return -1 }
      let number = Int(entry) &- 1
      if keys[number] == key { return number }
      place = (place &+ 1) & mask
    }
  }

  /// - Precondition: there is no such group.
  mutating func add(_ key: GroupKey) -> Int {
    if count * 2 >= mask { grow() }
    keys.append(key)
    link(count - 1)
    return count - 1
  }

  private func link(_ number: Int) {
    var place = keys[number].hash & mask
    while places[place] != 0 { place = (place + 1) & mask }
    places[place] = UInt32(number + 1)
  }

  private mutating func grow() {
    places.deallocate()
    mask = mask * 2 + 1
    places = .allocate(capacity: mask + 1)
    places.initialize(repeating: 0, count: mask + 1)
    for number in 0..<count { link(number) }
  }
}

/// The time bucket of an event, and the times that share it.
struct TimeBucket {
  private(set) var number: UInt64 = 0
  private var from = Int64.max
  private var to = Int64.min

  init() {}

  /// The last of the buckets that starts at or before a time; the first one for earlier times.
  init(of time: Int64, in starts: [Int64]) {
    var low = 0
    var high = starts.count
    while low < high {
      let middle = (low + high) / 2
      if starts[middle] <= time { low = middle + 1 } else { high = middle }
    }
    let index = max(0, low - 1)
    number = UInt64(index)
    from = index == 0 ? .min : starts[index]
    to = index + 1 < starts.count ? starts[index + 1] : .max
  }

  @inline(__always)
  func contains(_ time: Int64) -> Bool { time >= from && time < to }
}
