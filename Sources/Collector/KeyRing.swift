import Synchronization

/// The write keys that are accepted now: those of the configuration, and beside them those of the key
/// store, which may change at any time.
///
/// Requests read ``current`` once each, which costs about 20 ns.
public final class KeyRing: Sendable {
  private struct State {
    var table: WriteKeyTable
    /// By id: the record and what was made of it. A key whose record stays keeps its rate limit.
    var made: [String: (record: StoredKey, key: WriteKey)] = [:]
  }

  private let configured: [WriteKey]
  private let mapping: CompiledMapping
  private let state: Mutex<State>

  /// - Parameter mapping: of the keys of the key store.
  public init(_ configured: [WriteKey], mapping: CompiledMapping) {
    self.configured = configured
    self.mapping = mapping
    state = Mutex(State(table: WriteKeyTable(configured)))
  }

  public var current: WriteKeyTable { state.withLock { $0.table } }

  /// Takes the place of the keys of the key store that were taken before.
  ///
  /// - Parameter keys: those that are accepted; of one hash the last counts.
  func take(_ keys: [StoredKey]) {
    let before = state.withLock { $0.made }
    var made: [String: (record: StoredKey, key: WriteKey)] = [:]
    var byHash: [[UInt8]: WriteKey] = [:]
    for record in keys {
      let known = before[record.id]
      let key: WriteKey
      if let known, known.record == record {
        key = known.key
      } else {
        key = WriteKey(record, mapping: mapping, rateLimit: known?.key.rateLimit)
      }
      made[record.id] = (record, key)
      byHash[record.hash] = key
    }
    let table = WriteKeyTable(configured, stored: byHash)
    state.withLock { $0 = State(table: table, made: made) }
  }
}
