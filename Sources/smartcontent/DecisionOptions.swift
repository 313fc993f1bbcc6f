import ArgumentParser
import Collector
import DecisionAPI
import Definitions

/// The secret that tokens of decisions are signed with.
enum DecisionOptions {
  static let secretVariable = "SMARTCONTENT_DECISION_SECRET"
  static let secretFileVariable = "SMARTCONTENT_DECISION_SECRET_FILE"

  /// What the environment gives.
  ///
  /// - Returns: nil where nothing is decided.
  static func signer(_ definitions: Definitions) throws -> DecisionSigner? {
    guard !definitions.decisions.isEmpty else { return nil }
    guard let secret = try secret() else {
      throw ValidationError(
        "Streams/decisions.yaml declares decisions, whose tokens are signed: set \(secretVariable) (at"
          + " least 64 hexadecimal digits) or \(secretFileVariable), the same for all processes")
    }
    return try DecisionSigner(secret: secret)
  }

  private static func secret() throws -> [UInt8]? {
    if let text = Environment[secretVariable] {
      return try SharedSecret.decisions.parse(text, from: secretVariable)
    }
    return try Environment[secretFileVariable].map { try SharedSecret.decisions.read($0) }
  }
}
