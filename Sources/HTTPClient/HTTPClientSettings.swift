/// Limits of one ``HTTPClient``.
public struct HTTPClientSettings: Hashable, Sendable {
  /// For establishing a connection, milliseconds, above 0.
  public var connectTimeoutMs: Int
  /// For a whole exchange from connecting to the last byte, milliseconds, above 0.
  public var timeoutMs: Int
  /// The longest body that is accepted.
  public var responseByteCountMax: Int

  public init(
    connectTimeoutMs: Int = 2_000, timeoutMs: Int = 10_000,
    responseByteCountMax: Int = 64 * 1024 * 1024
  ) {
    self.connectTimeoutMs = connectTimeoutMs
    self.timeoutMs = timeoutMs
    self.responseByteCountMax = responseByteCountMax
  }
}
