import Events

/// Whose bytes wait: by write key as far as keys have series of their own (``KeyMeters``), and by person
/// roughly, all persons with the same number of 256 counting as one. Costs two additions per event.
struct LaneShares {
  /// Of all that may wait, one key may have this part, so that the others always find room.
  static let keyPart = 2
  /// And one person this one.
  static let personPart = 4

  private static let bucketCount = 256
  /// By the keys' numbers; 0 is nobody's.
  private var keys = [Int](repeating: 0, count: KeyMeters.keysMax + 2)
  private var persons = [Int](repeating: 0, count: bucketCount)

  private static func bucket(of person: Key128) -> Int { Int(person.high % UInt64(bucketCount)) }

  mutating func add(_ bytes: Int, key: Int, person: Key128) {
    keys[key] += bytes
    persons[Self.bucket(of: person)] += bytes
  }

  mutating func removeAll() {
    for key in keys.indices { keys[key] = 0 }
    for bucket in persons.indices { persons[bucket] = 0 }
  }

  func bytes(ofKey key: Int) -> Int { key == 0 ? 0 : keys[key] }

  func bytes(of person: Key128) -> Int { persons[Self.bucket(of: person)] }
}

/// Why a lane takes no more of a request.
public enum Overload: Hashable, Sendable {
  /// Too much waits for the log, of everybody or of this person.
  case log
  /// Too much of this write key waits.
  case key
}
