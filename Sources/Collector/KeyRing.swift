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
  private let pseudonyms: Pseudonyms?
  private let encrypts: Bool
  private let state: Mutex<State>

  /// - Parameters:
  ///   - mapping: of the keys of the key store.
  ///   - pseudonyms: of them, too; without, keys whose policy asks for pseudonyms are not accepted.
  ///   - encrypts: whether there is a ``PersonKeyVault``; without, those are not that ask to encrypt.
  public init(
    _ configured: [WriteKey], mapping: CompiledMapping, pseudonyms: Pseudonyms? = nil,
    encrypts: Bool = false
  ) {
    self.pseudonyms = pseudonyms
    self.encrypts = encrypts
    self.configured = configured
    self.mapping = mapping
    state = Mutex(State(table: WriteKeyTable(configured)))
  }

  public var current: WriteKeyTable { state.withLock { $0.table } }

  /// Takes the place of the keys of the key store that were taken before.
  ///
  /// - Parameter keys: those that are accepted; of one hash the last counts.
  /// - Returns: ids of those that cannot be, because there is no secret for their policy.
  @discardableResult
  func take(_ keys: [StoredKey]) -> [String] {
    var withoutSecret: [String] = []
    let before = state.withLock { $0.made }
    var made: [String: (record: StoredKey, key: WriteKey)] = [:]
    var byHash: [[UInt8]: WriteKey] = [:]
    for record in keys {
      let known = before[record.id]
      let key: WriteKey
      if let known, known.record == record {
        key = known.key
      } else if let new = WriteKey(
        record, mapping: mapping, pseudonyms: pseudonyms, encrypts: encrypts,
        rateLimit: known?.key.rateLimit)
      {
        key = new
      } else {
        withoutSecret.append(record.id)
        continue
      }
      made[record.id] = (record, key)
      byHash[record.hash] = key
    }
    let table = WriteKeyTable(configured, stored: byHash)
    state.withLock { $0 = State(table: table, made: made) }
    return withoutSecret
  }
}
