/// A write key as the key store has it: what it stands for, and a hash in place of the key itself.
public struct StoredKey: Hashable, Sendable {
  public enum State: String, Sendable {
    /// -> ending (a successor was made), revoked.
    case active
    /// Accepted until its end, so that pages and apps have time to change. -> ended, revoked.
    case ending
    case ended
    case revoked
  }

  /// Names the key where it must not be shown itself: in commands, metrics and logs.
  public var id: String
  /// SHA-256 of the key, 32 bytes.
  public var hash: [UInt8]
  public var site: String
  /// The same for a key and its successors: event ids are unique within a source.
  public var source: String
  public var policy: KeyPolicy
  /// Microseconds since the epoch.
  public var createdAt: Int64
  /// When it ends because a successor has taken over; nil: never.
  public var expiresAt: Int64?
  public var revokedAt: Int64?

  public init(
    id: String, hash: [UInt8], site: String, source: String, policy: KeyPolicy, createdAt: Int64,
    expiresAt: Int64? = nil, revokedAt: Int64? = nil
  ) {
    self.id = id
    self.hash = hash
    self.site = site
    self.source = source
    self.policy = policy
    self.createdAt = createdAt
    self.expiresAt = expiresAt
    self.revokedAt = revokedAt
  }

  /// - Parameter now: microseconds since the epoch.
  public func state(at now: Int64) -> State {
    if revokedAt != nil { return .revoked }
    guard let expiresAt else { return .active }
    return now < expiresAt ? .ending : .ended
  }

  /// Whether events by it are taken.
  public func isAccepted(at now: Int64) -> Bool {
    switch state(at: now) {
    case .active, .ending: true
    case .ended, .revoked: false
    }
  }

  /// When it was accepted last; nil while it is.
  func end(at now: Int64) -> Int64? {
    isAccepted(at: now) ? nil : min(revokedAt ?? .max, expiresAt ?? .max)
  }
}

/// What somebody who makes a key says about it.
public struct KeyDraft: Sendable {
  /// The key itself where it is taken over from another tool; nil: one is made.
  public var value: String?
  public var site: String
  /// Nil: the new key's id.
  public var source: String?
  public var policy: KeyPolicy

  public init(
    value: String? = nil, site: String, source: String? = nil, policy: KeyPolicy = KeyPolicy()
  ) {
    self.value = value
    self.site = site
    self.source = source
    self.policy = policy
  }
}

/// A key that was just made. It is shown once: nobody can read it from its hash.
public struct NewKey: Sendable {
  public let key: String
  public let stored: StoredKey
}
