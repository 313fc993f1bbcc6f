import Events

/// Who has been away for longest, of many: each person once with a time at which it was seen, at the latest then.
///
/// Being seen costs nothing: whose turn comes is asked when it was seen last, and waits again if that is later. So each waits
/// anew at most once for each time that it was seen. Cost: O(log n) for a newcomer and for who goes, 24 bytes a person.
struct SeenTimes: Sendable {
  private var times = DueTimes()

  mutating func add(_ person: Key128, at time: Int64) { times.add(person, at: time) }

  /// - Parameter lastSeen: nil of who is gone already.
  /// - Returns: who goes now; nil where nobody is left.
  mutating func removeOldest(_ lastSeen: (Key128) -> Int64?) -> Key128? {
    while let next = times.next(until: .max) {
      guard let seen = lastSeen(next.person) else { continue }
      guard seen <= next.time else {
        times.add(next.person, at: seen)
        continue
      }
      return next.person
    }
    return nil
  }
}
