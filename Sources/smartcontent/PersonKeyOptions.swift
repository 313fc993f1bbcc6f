import Collector
import Definitions
import JetStreamLog
import NATSClient
import Ports

/// The secret that keys of persons are wrapped with, and where these keys are.
enum PersonKeyOptions {
  static let secretVariable = "SMARTCONTENT_PERSON_KEY_SECRET"
  static let secretFileVariable = "SMARTCONTENT_PERSON_KEY_SECRET_FILE"

  /// What the environment gives; nil where it gives none.
  static func wrapping() throws -> PersonKeyWrapping? {
    try secret().map { try PersonKeyWrapping(secret: $0) }
  }

  private static func secret() throws -> [UInt8]? {
    if let text = Environment[secretVariable] {
      return try SharedSecret.personKeys.parse(text, from: secretVariable)
    }
    return try Environment[secretFileVariable].map { try SharedSecret.personKeys.read($0) }
  }

  /// Its stream is copied to as many servers as those of events are.
  static func store(_ address: NATSAddress, _ definitions: Definitions) -> JetStreamPersonKeys {
    JetStreamPersonKeys(
      NATSConnection(address, name: "smartcontent-person-keys"),
      replicas: definitions.streams.events.first?.replicas ?? 1)
  }
}
