import Collector

/// The secret that pseudonyms of persons are made with.
enum PseudonymOptions {
  static let secretVariable = "SMARTCONTENT_PSEUDONYM_SECRET"
  static let secretFileVariable = "SMARTCONTENT_PSEUDONYM_SECRET_FILE"

  /// What the environment gives; nil where it gives none.
  static func pseudonyms() throws -> Pseudonyms? {
    try secret().map { try Pseudonyms(secret: $0) }
  }

  private static func secret() throws -> [UInt8]? {
    if let text = Environment[secretVariable] {
      return try SharedSecret.pseudonyms.parse(text, from: secretVariable)
    }
    return try Environment[secretFileVariable].map { try SharedSecret.pseudonyms.read($0) }
  }
}
