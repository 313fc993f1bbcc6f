/// Limits of one ``HTTPClient``.
public struct HTTPClientSettings: Hashable, Sendable {
  /// For establishing a connection, milliseconds, above 0.
  public var connectTimeoutMs: Int
  /// For a whole exchange from connecting to the last byte, milliseconds, above 0.
  public var timeoutMs: Int
  /// Whether connections are made only to ``PublicAddress``es. Looked at when a name's address is known and
  /// before anything is sent there, so that no name leads elsewhere.
  public var refusesPrivateAddresses: Bool
  /// The longest body that is accepted.
  public var responseByteCountMax: Int

  public init(
    connectTimeoutMs: Int = 2_000, timeoutMs: Int = 10_000,
    responseByteCountMax: Int = 64 * 1024 * 1024, refusesPrivateAddresses: Bool = false
  ) {
    self.connectTimeoutMs = connectTimeoutMs
    self.timeoutMs = timeoutMs
    self.refusesPrivateAddresses = refusesPrivateAddresses
    self.responseByteCountMax = responseByteCountMax
  }
}
