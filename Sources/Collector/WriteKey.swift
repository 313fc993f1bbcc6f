import Events
import Synchronization

/// The public key that a site's pixels and SDKs send: it says whose the events are and what they
/// mean. It is no secret; it only allows adding events.
public final class WriteKey: Sendable {
  /// Names it where the key itself is not to be shown: in metrics, answers and logs.
  public let id: String
  public let site: String
  /// Names the sender within the site; event ids are unique only within a source.
  public let source: String
  public let policy: KeyPolicy
  let mapping: CompiledMapping
  let identity: EventIdentity.OfKey
  /// Nil where its policy has no limit.
  let rateLimit: RateLimit?
  private let pseudonyms: Pseudonyms?
  /// As requests name it; nil for a key of the key store, which knows its hash alone.
  let value: String?

  /// - Parameters:
  ///   - id: by default made of the key.
  ///   - source: defaults to the key itself.
  ///   - pseudonyms: what ids of persons become where the policy says so.
  public init(
    key: String, id: String? = nil, site: String, source: String? = nil,
    policy: KeyPolicy = KeyPolicy(), pseudonyms: Pseudonyms? = nil, mapping: CompiledMapping
  ) {
    precondition(
      policy.identifiers == .keep || pseudonyms != nil, "a policy of pseudonyms has its secret")
    self.pseudonyms = policy.identifiers == .pseudonym ? pseudonyms : nil
    value = key
    self.id = id ?? KeyValue.derivedID(key)
    self.site = site
    self.source = source ?? key
    identity = EventIdentity.OfKey(site: site, source: self.source)
    self.policy = policy
    self.mapping = mapping
    rateLimit = policy.eventsPerSecondMax.map { RateLimit(eventsPerSecond: $0) }
  }

  /// - Parameters:
  ///   - pseudonyms: what ids of persons become where the policy says so.
  ///   - encrypts: whether there is a secret for the keys of persons.
  ///   - rateLimit: what was left of the limit before the key's record was changed.
  /// - Returns: nil where the policy asks for pseudonyms or encryption and there is no secret for them: rather
  ///   no event than one with a person's name on it, or one that has lost what was to be kept.
  init?(
    _ stored: StoredKey, mapping: CompiledMapping, pseudonyms: Pseudonyms?, encrypts: Bool = false,
    rateLimit: RateLimit? = nil
  ) {
    if stored.policy.identifiers == .pseudonym && pseudonyms == nil { return nil }
    if stored.policy.personalData == .encrypt && !encrypts { return nil }
    self.pseudonyms = stored.policy.identifiers == .pseudonym ? pseudonyms : nil
    value = nil
    id = stored.id
    site = stored.site
    source = stored.source
    identity = EventIdentity.OfKey(site: site, source: source)
    policy = stored.policy
    self.mapping = mapping
    let rate = stored.policy.eventsPerSecondMax
    self.rateLimit =
      rateLimit?.eventsPerSecond == rate
      ? rateLimit : rate.map { RateLimit(eventsPerSecond: $0) }
  }

  /// A person's id as it may be in the log: itself or a pseudonym, by the policy. Of no id none.
  func identify(_ id: String) -> String {
    guard let pseudonyms, !id.isEmpty else { return id }
    return pseudonyms.pseudonym(of: id, site: site)
  }

  /// Whether ``identify(_:)`` gives pseudonyms.
  var isPseudonymous: Bool { pseudonyms != nil }

  /// Whether pages may send events by it; see ``KeyPolicy/origins``.
  func allows(origin: String) -> Bool {
    policy.origins.isEmpty || OriginRule.allows(origin, policy.origins)
  }
}

/// The write keys that a collector accepts at one moment.
///
/// Keys of the key store are known by their hashes alone. When a request names one for the first time it
/// is hashed, and from then on found by its name, so that a request costs no hash. Each key has one name,
/// so what is remembered is never more than there are keys; unknown ones are hashed each time.
public struct WriteKeyTable: Sendable {
  private final class StoredKeys: Sendable {
    let byHash: [[UInt8]: WriteKey]
    let byName = Mutex<[String: WriteKey]>([:])

    init(_ byHash: [[UInt8]: WriteKey]) { self.byHash = byHash }
  }

  /// The last `Authorization` field with a key: most requests have the same as the one before.
  private final class LastField: Sendable {
    let last = Mutex<(text: String, key: WriteKey)?>(nil)
  }

  private let configured: [String: WriteKey]
  private let lastField = LastField()
  private let stored: StoredKeys?
  private let every: WriteKey?
  /// Whether any key has a limit or a list of origins: where none has, requests are not asked.
  let isRestricted: Bool

  /// - Parameters:
  ///   - keys: of the configuration; of one key the last counts.
  ///   - stored: by SHA-256. A key that is also among `keys` is what it is here.
  init(_ keys: [WriteKey], stored: [[UInt8]: WriteKey]) {
    var configured: [String: WriteKey] = [:]
    for key in keys {
      guard let value = key.value else { continue }
      configured[value] = stored.isEmpty ? key : stored[KeyValue.hash(value)] ?? key
    }
    self.configured = configured
    self.stored = stored.isEmpty ? nil : StoredKeys(stored)
    every = nil
    isRestricted = (Array(configured.values) + stored.values).contains {
      $0.rateLimit != nil || !$0.policy.origins.isEmpty
    }
  }

  public init(_ keys: [WriteKey]) { self.init(keys, stored: [:]) }

  /// Whatever the key, it is this one.
  init(every key: WriteKey) {
    configured = [:]
    stored = nil
    every = key
    isRestricted = false
  }

  /// The key that an `Authorization` field names as its user.
  func find(authorization field: String) -> WriteKey? {
    let known = lastField.last.withLock { $0.flatMap { $0.text == field ? $0.key : nil } }
    if let known { return known }
    guard let name = BasicAuthorization.writeKey(field), !name.isEmpty, let key = find(name)
    else { return nil }
    lastField.last.withLock { $0 = (field, key) }
    return key
  }

  public func find(_ key: String) -> WriteKey? {
    if let found = every ?? configured[key] { return found }
    guard let stored else { return nil }
    if let found = stored.byName.withLock({ $0[key] }) { return found }
    guard key.utf8.count <= KeyValue.bytesMax, let found = stored.byHash[KeyValue.hash(key)] else {
      return nil
    }
    stored.byName.withLock { $0[key] = found }
    return found
  }
}
