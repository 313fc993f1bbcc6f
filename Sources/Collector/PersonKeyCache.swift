import Events
import Synchronization

/// Keys of persons that are known to be durable, the ones used of late. Bounded in number and in time.
///
/// Two tables: when the young one has half of ``countMax``, it takes the place of the old one, whose keys are
/// let go; a key of the old one that is used moves to the young one. So a look-up is one or two of a
/// dictionary, about 60 ns, and nothing is sorted. Safe to use from any thread.
final class PersonKeyCache: Sendable {
  private struct Entry {
    let key: PersonKey
    /// Steady time.
    let expires: Int64
  }

  private struct State {
    var young: [Key128: Entry] = [:]
    var old: [Key128: Entry] = [:]
    /// Goes on with each erasure, so that a key that was read before it is not remembered after it.
    var era = 0
  }

  let countMax: Int
  private let ageMicros: Int64
  private let state = Mutex(State())

  init(countMax: Int, ageMicros: Int64) {
    self.countMax = countMax
    self.ageMicros = ageMicros
  }

  var count: Int { state.withLock { $0.young.count + $0.old.count } }

  /// See ``add(_:now:era:)``.
  var era: Int { state.withLock { $0.era } }

  func key(of person: Key128, now: Int64) -> PersonKey? {
    state.withLock { state in
      if let entry = state.young[person] {
        if now < entry.expires { return entry.key }
        state.young[person] = nil
        return nil
      }
      guard let entry = state.old.removeValue(forKey: person), now < entry.expires else {
        return nil
      }
      put(entry, &state)
      return entry.key
    }
  }

  /// - Parameter era: when the key was asked for; nothing is remembered where one was erased since.
  func add(_ key: PersonKey, now: Int64, era: Int) {
    state.withLock { state in
      guard state.era == era else { return }
      put(Entry(key: key, expires: now + ageMicros), &state)
    }
  }

  private func put(_ entry: Entry, _ state: inout State) {
    if state.young.count >= max(1, countMax / 2) {
      state.old = state.young
      state.young = [:]
    }
    state.young[entry.key.person] = entry
    state.old[entry.key.person] = nil
  }

  func forget(_ persons: [Key128]) {
    state.withLock { state in
      state.era += 1
      for person in persons {
        state.young[person] = nil
        state.old[person] = nil
      }
    }
  }

  func forgetAll() {
    state.withLock { state in
      state.era += 1
      state.young = [:]
      state.old = [:]
    }
  }
}
