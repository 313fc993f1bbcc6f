/// The public key that a site's pixels and SDKs send: it says whose the events are and what they
/// mean. It is no secret; it only allows adding events.
public struct WriteKey: Sendable {
  public let key: String
  public let site: String
  /// Names the sender within the site; event ids are unique only within a source.
  public let source: String
  public let policy: KeyPolicy
  let mapping: CompiledMapping

  /// - Parameters:
  ///   - source: defaults to the key itself.
  public init(
    key: String, site: String, source: String? = nil, policy: KeyPolicy = KeyPolicy(),
    mapping: CompiledMapping
  ) {
    self.key = key
    self.site = site
    self.source = source ?? key
    self.policy = policy
    self.mapping = mapping
  }
}

/// The write keys that a collector accepts.
public struct WriteKeyTable: Sendable {
  private let keys: [String: WriteKey]
  private let every: WriteKey?

  public init(_ keys: [WriteKey]) {
    self.keys = Dictionary(keys.map { ($0.key, $0) }, uniquingKeysWith: { $1 })
    every = nil
  }

  /// Whatever the key, it is this one.
  init(every key: WriteKey) {
    keys = [:]
    every = key
  }

  public func find(_ key: String) -> WriteKey? { every ?? keys[key] }
}
