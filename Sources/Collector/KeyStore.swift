/// The write keys of an installation, in one file, which commands, the API and people change.
///
/// Keys are kept as their SHA-256 alone: whoever reads the file cannot send events by it. (Short ones
/// that were taken over, such as a number, can be guessed; write keys are no secrets.) Every change
/// reads the file, changes it and replaces it under a lock; collectors follow it, see ``KeyFileFollower``.
public struct KeyStore: Sendable {
  /// Keys of one file, ended ones included.
  static let keysMax = 10_000
  /// How long keys that ended are still listed.
  static let endedKeptDays = 90
  private static let endedKeptMicros = Int64(endedKeptDays) * 86_400_000_000
  /// How long a rotated key is accepted beside its successor, unless something else is asked for.
  public static let overlapMicrosDefault: Int64 = 86_400_000_000
  public static let overlapMicrosMax: Int64 = 366 * 86_400_000_000

  let file: KeyFile

  /// - Parameter path: of the file; it and its folder are made when the first key is.
  public init(path: String) { file = KeyFile(path: path) }

  public var path: String { file.path }

  /// All keys, in the order in which they were made; none where there is no file.
  public func all() throws(KeyStoreError) -> [StoredKey] { try read()?.keys ?? [] }

  func read() throws(KeyStoreError) -> (keys: [StoredKey], version: KeyFile.Version)? {
    guard let (bytes, version) = try file.read() else { return nil }
    do throws(KeyFormatError) {
      return (try KeyFormat.keys(bytes), version)
    } catch {
      throw .malformed(path: path, place: error.place, detail: error.detail)
    }
  }

  // MARK: Changes

  /// Makes a key, or takes one over from another tool.
  ///
  /// - Parameter now: microseconds since the epoch.
  public func add(_ draft: KeyDraft, now: Int64) throws(KeyStoreError) -> NewKey {
    var generator = SystemRandomNumberGenerator()
    return try add(draft, now: now, using: &generator)
  }

  func add(
    _ draft: KeyDraft, now: Int64, using generator: inout some RandomNumberGenerator
  ) throws(KeyStoreError) -> NewKey {
    let policy = try Self.check(draft)
    let value = draft.value ?? KeyValue.make(using: &generator)
    let hash = KeyValue.hash(value)
    var ids: [String] = []
    // Several, because one may be taken, if hardly ever.
    for _ in 0..<4 { ids.append(KeyValue.makeID(using: &generator)) }
    return try change(now: now) { keys throws(KeyStoreError) in
      if let known = keys.first(where: { $0.hash == hash && $0.isAccepted(at: now) }) {
        throw .duplicate(id: known.id)
      }
      let id = try Self.free(ids, keys)
      let key = StoredKey(
        id: id, hash: hash, site: draft.site, source: draft.source ?? id, policy: policy,
        createdAt: now)
      keys.append(key)
      return NewKey(key: value, stored: key)
    }
  }

  /// Makes a successor of an active key, which is accepted beside it for a while.
  public func rotate(
    _ id: String, overlapMicros: Int64 = overlapMicrosDefault, now: Int64
  ) throws(KeyStoreError) -> NewKey {
    var generator = SystemRandomNumberGenerator()
    return try rotate(id, overlapMicros: overlapMicros, now: now, using: &generator)
  }

  func rotate(
    _ id: String, overlapMicros: Int64, now: Int64,
    using generator: inout some RandomNumberGenerator
  ) throws(KeyStoreError) -> NewKey {
    guard (0...Self.overlapMicrosMax).contains(overlapMicros) else {
      throw .invalid(field: "overlap", detail: "allowed is 0 to 366 days")
    }
    let value = KeyValue.make(using: &generator)
    var ids: [String] = []
    for _ in 0..<4 { ids.append(KeyValue.makeID(using: &generator)) }
    return try change(now: now) { keys throws(KeyStoreError) in
      guard let index = keys.firstIndex(where: { $0.id == id }) else { throw .unknown(id: id) }
      let state = keys[index].state(at: now)
      guard state == .active else { throw .notActive(id: id, state: state) }
      let successor = StoredKey(
        id: try Self.free(ids, keys), hash: KeyValue.hash(value), site: keys[index].site,
        source: keys[index].source, policy: keys[index].policy, createdAt: now)
      keys[index].expiresAt = now + overlapMicros
      keys.append(successor)
      return NewKey(key: value, stored: successor)
    }
  }

  /// Changes the policy of a key that has not ended. Events that are stored already stay as they are.
  public func update(
    _ id: String, _ change: KeyPolicyChange, now: Int64
  ) throws(KeyStoreError) -> StoredKey {
    try self.change(now: now) { keys throws(KeyStoreError) in
      guard let index = keys.firstIndex(where: { $0.id == id }) else { throw .unknown(id: id) }
      guard keys[index].isAccepted(at: now) else {
        throw .notActive(id: id, state: keys[index].state(at: now))
      }
      keys[index].policy = try Self.check(change.applied(to: keys[index].policy))
      return keys[index]
    }
  }

  /// From now on the key is not accepted. Once more changes nothing.
  public func revoke(_ id: String, now: Int64) throws(KeyStoreError) -> StoredKey {
    try change(now: now) { keys throws(KeyStoreError) in
      guard let index = keys.firstIndex(where: { $0.id == id }) else { throw .unknown(id: id) }
      if keys[index].revokedAt == nil { keys[index].revokedAt = now }
      return keys[index]
    }
  }

  private func change<Result>(
    now: Int64, _ body: (inout [StoredKey]) throws(KeyStoreError) -> Result
  ) throws(KeyStoreError) -> Result {
    try file.locked { () throws(KeyStoreError) in
      let before = try all()
      var keys = before.filter { ($0.end(at: now) ?? now) > now - Self.endedKeptMicros }
      let result = try body(&keys)
      guard keys.count <= Self.keysMax else { throw .full(max: Self.keysMax) }
      if keys != before { try file.write(KeyFormat.file(keys)) }
      return result
    }
  }

  private static func free(
    _ ids: [String], _ keys: [StoredKey]
  ) throws(KeyStoreError) -> String {
    guard let id = ids.first(where: { id in !keys.contains { $0.id == id } }) else {
      throw .full(max: keysMax)
    }
    return id
  }

  private static func check(_ draft: KeyDraft) throws(KeyStoreError) -> KeyPolicy {
    for (field, text) in [("value", draft.value), ("site", draft.site), ("source", draft.source)] {
      guard let text, !KeyValue.isPrintable(text) else { continue }
      throw .invalid(
        field: field, detail: "allowed are 1 to \(KeyValue.charactersMax) printable characters")
    }
    return try check(draft.policy)
  }

  /// - Returns: the policy with its origins as browsers write them.
  private static func check(_ stated: KeyPolicy) throws(KeyStoreError) -> KeyPolicy {
    var policy = stated
    if let rate = policy.eventsPerSecondMax, !RateLimit.eventsPerSecondRange.contains(rate) {
      throw .invalid(field: "rate", detail: "allowed is 1 to 1000000 events per second")
    }
    policy.origins = []
    for text in stated.origins {
      guard let origin = OriginRule.normalized(text) else {
        throw .invalid(
          field: "origin",
          detail: "allowed are scheme and host, such as https://www.example.org, a port where it is"
            + " another than the scheme's, or https://*.example.org for all hosts below")
      }
      if !policy.origins.contains(origin) { policy.origins.append(origin) }
    }
    guard policy.origins.count <= OriginRule.countMax else {
      throw .invalid(field: "origin", detail: "a key may list \(OriginRule.countMax) of them")
    }
    return policy
  }
}
