import Testing

@testable import Notifications

@Suite("Signatures of webhooks")
struct WebhookSignerTests {
  /// The one that the specification's own libraries are tested with.
  private static let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
  private static let signature = "v1,AQG81rX2n4rTN1fkXoqILSHO9gAOcwya9dP41rhrQDI="
  private static let other = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"

  private func sign(_ secrets: String) throws -> String {
    try WebhookSigner(secrets: secrets).signature(
      id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp: 1_674_087_231,
      body: Array(#"{"test": 2432232314}"#.utf8))
  }

  @Test("are those of the specification")
  func vector() throws {
    #expect(try sign(Self.secret) == Self.signature)
  }

  @Test("are one for each secret, in order, while a secret changes")
  func rotation() throws {
    let both = try sign("\(Self.other) \(Self.secret)").split(separator: " ")
    #expect(both.count == 2)
    #expect(both[1] == Self.signature)
    #expect(try String(both[0]) == sign(Self.other))
  }

  @Test(
    "need a secret of 24 to 64 bytes, and no error shows it",
    arguments: [
      "", " ", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La",
      "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!", "whsec_" + String(repeating: "AAAA", count: 22),
      "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw other",
    ])
  func secrets(text: String) {
    let error = #expect(throws: WebhookSecretError.self) { try WebhookSigner(secrets: text) }
    #expect(error?.description.contains("MfKQ") == false)
  }
}
