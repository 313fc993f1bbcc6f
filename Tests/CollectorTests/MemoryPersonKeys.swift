import Events
import Foundation
import Ports

/// Keys of persons in memory, which fail when they are told to.
final class MemoryPersonKeys: PersonKeyStore, @unchecked Sendable {  // All under `condition`.
  private let condition = NSCondition()
  private var keys: [Key128: [UInt8]] = [:]
  private var failure: PersonKeyError?
  private var isHeld = false
  private var news: [PersonKeyNews] = [.uncertain]
  private var isListening = false
  private var settled: [[Key128]] = []

  var stored: [Key128: [UInt8]] { condition.withLock { keys } }
  /// The persons of each call.
  var calls: [[Key128]] { condition.withLock { settled } }

  /// Whether somebody has heard all of them, and asks for more.
  var newsAreHeard: Bool { condition.withLock { news.isEmpty && isListening } }

  func fail(_ error: PersonKeyError?) { condition.withLock { failure = error } }

  /// Calls wait until they are let go.
  func hold(_ isHeld: Bool) {
    condition.withLock {
      self.isHeld = isHeld
      condition.broadcast()
    }
  }

  func put(_ key: StoredPersonKey) { condition.withLock { keys[key.person] = key.bytes } }

  func settle(
    _ wanted: [StoredPersonKey]
  ) throws(PersonKeyError) -> [Result<StoredPersonKey, PersonKeyError>] {
    let outcome = condition.withLock {
      () -> Result<[Result<StoredPersonKey, PersonKeyError>], PersonKeyError> in
      settled.append(wanted.map(\.person))
      condition.broadcast()
      while isHeld { condition.wait() }
      if let failure { return .failure(failure) }
      return .success(
        wanted.map { one in
          let bytes = keys[one.person] ?? one.bytes
          keys[one.person] = bytes
          return .success(StoredPersonKey(person: one.person, bytes: bytes))
        })
    }
    return try outcome.get()
  }

  func key(of person: Key128) throws(PersonKeyError) -> StoredPersonKey? {
    condition.withLock { keys[person].map { StoredPersonKey(person: person, bytes: $0) } }
  }

  func erase(_ person: Key128) throws(PersonKeyError) -> Bool {
    condition.withLock {
      let hadOne = keys.removeValue(forKey: person) != nil
      news.append(.erased([person]))
      condition.broadcast()
      return hadOne
    }
  }

  /// The connection was lost, and is back.
  func becomeUncertain() {
    condition.withLock {
      news.append(.uncertain)
      condition.broadcast()
    }
  }

  func erasures() -> any PersonKeyErasures { News(self) }

  private final class News: PersonKeyErasures {
    private let store: MemoryPersonKeys

    init(_ store: MemoryPersonKeys) { self.store = store }

    func next(timeoutMs: Int) -> PersonKeyNews {
      store.condition.withLock {
        let deadline = Date(timeIntervalSinceNow: Double(timeoutMs) / 1000)
        while store.news.isEmpty {
          store.isListening = true
          if !store.condition.wait(until: deadline) { return .none }
        }
        store.isListening = false
        return store.news.removeFirst()
      }
    }
  }
}
