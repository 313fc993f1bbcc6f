import HTTPClient

/// One-off requests of tests.
enum HTTP {
  static func get(_ url: String) throws -> String { try HTTPClient().get(url).text }
}
