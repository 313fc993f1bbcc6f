public import Events
import Statistics

/// Room for what is kept of persons, shared by those who read streams at the same time.
public struct PersonRoom: Sendable {
  /// Takes so many bytes; false where there is no room for them.
  let take: @Sendable (_ bytes: Int) -> Bool

  public init(_ take: @escaping @Sendable (_ bytes: Int) -> Bool) { self.take = take }

  public static let unbounded = PersonRoom { _ in true }
}

/// Which keys may be of one person: those that sign-ins and aliases connect, directly or over others.
///
/// Union-find by least keys, so that the result is that of a set of connections, in whatever order they come. Cost: two
/// look-ups for a connection, 40 bytes for each key that is connected with another.
public struct IdentityGraph: Sendable {
  private var numbers: [Key128: UInt32] = [:]
  private var keys: [Key128] = []
  /// Of a number the one that it points at; itself where it is the least.
  private var parents: [UInt32] = []

  public init() {}

  public var count: Int { keys.count }

  public mutating func link(_ a: Key128, _ b: Key128) {
    let (x, y) = (root(number(of: a)), root(number(of: b)))
    guard x != y else { return }
    if keys[Int(x)] < keys[Int(y)] { parents[Int(y)] = x } else { parents[Int(x)] = y }
  }

  public mutating func merge(_ other: IdentityGraph) {
    for (number, key) in other.keys.enumerated() {
      link(key, other.keys[Int(other.parents[number])])
    }
  }

  private mutating func number(of key: Key128) -> UInt32 {
    if let number = numbers[key] { return number }
    let number = UInt32(keys.count)
    numbers[key] = number
    keys.append(key)
    parents.append(number)
    return number
  }

  private mutating func root(_ number: UInt32) -> UInt32 {
    var number = number
    while parents[Int(number)] != number {
      let next = parents[Int(parents[Int(number)])]
      parents[Int(number)] = next
      number = next
    }
    return number
  }

  /// Divides all keys among so many shares; connected ones are in the same.
  public func shares(_ count: Int) -> PersonShares {
    var graph = self
    var places: [Key128: UInt16] = [:]
    places.reserveCapacity(keys.count)
    for (number, key) in keys.enumerated() {
      let least = keys[Int(graph.root(UInt32(number)))]
      places[key] = UInt16(PersonShares.place(of: least, count))
    }
    return PersonShares(count: count, connected: places)
  }
}

/// All keys divided among some shares.
public struct PersonShares: Sendable {
  let count: Int
  /// Of those that are connected with others.
  let connected: [Key128: UInt16]

  @inline(__always)
  func place(of key: Key128) -> Int {
    connected.isEmpty
      ? Self.place(of: key, count)
      : connected[key].map { Int($0) } ?? Self.place(of: key, count)
  }

  static func place(of key: Key128, _ count: Int) -> Int {
    Int(HyperLogLog.mix(key.low ^ key.high) % UInt64(count))
  }
}

/// One of the shares.
public struct PersonShare: Sendable {
  let shares: PersonShares
  let number: Int

  public init(_ shares: PersonShares, _ number: Int) {
    self.shares = shares
    self.number = number
  }

  @inline(__always)
  func has(_ key: Key128) -> Bool { shares.place(of: key) == number }
}

/// What is left of a scan whose touches found no room: how many there were, and who may be whom.
public struct PersonOverflow: Sendable {
  /// A little more than are kept of persons: what repeats a sign-in later is not told apart.
  public internal(set) var bytes = 0
  public internal(set) var graph = IdentityGraph()

  /// Into how many shares to divide the persons, so that each finds room with some to spare: at least 2.
  public func shareCount(bytesMax: Int) -> Int {
    max(2, Int((Double(bytes) * 1.25 / Double(max(1, bytesMax))).rounded(.up)))
  }
}
