import Collector
import Cryptography
import Events
import Foundation
import Testing

@Suite("Links")
struct LinkSignerTests {
  private static let secret = [UInt8](0..<32)

  /// Made by another program (Python's hmac): base64url(HMAC-SHA256(key, message)[:16]).
  @Test(
    "A signature is the same for ever",
    arguments: [
      ("https://shop.example/", "dev", "JG8RGucbLrLErV33KyugFQ"),
      ("https://shop.example/é?a=b&c=d#e", "wk_demo", "JqgvaL-rpr5l6G5cSUu7IQ"),
      ("https://shop.example/", "", "ayMT_bUqY5we9pQMF-Hg2g"),
    ])
  func golden(_ destination: String, _ key: String, _ signature: String) throws {
    let signer = try LinkSigner(secret: Self.secret)
    #expect(signer.signature(destination: destination, key: key) == signature)
    #expect(signer.verifies(signature, destination: destination, key: key))
  }

  @Test("A key's end cannot be taken for a destination's beginning")
  func ambiguity() throws {
    let signer = try LinkSigner(secret: Self.secret)
    #expect(
      signer.signature(destination: "https://a/", key: "dev")
        != signer.signature(destination: "vhttps://a/", key: "de"))
  }

  @Test("A link holds the fields that it was given, encoded")
  func link() throws {
    let signer = try LinkSigner(secret: Self.secret)
    let destination = try #require(RedirectDestination("https://shop.example/?a=b c&d"))
    var link = ClickLink(collector: "https://c.example/", destination: destination, key: "dev")
    link.campaign = "früh&ling"
    link.user = "u 1"
    let signature = signer.signature(destination: destination.address, key: "dev")
    let text = link.text(signer)
    #expect(
      text
        == "https://c.example/r/c?u=https%3A%2F%2Fshop.example%2F%3Fa%3Db%20c%26d&k=dev"
        + "&s=\(signature)&cid=fr%C3%BCh%26ling&uid=u%201")
    let query = String(text.split(separator: "?")[1])
    let reading = try read("/r/c", query: query, redirects: RedirectPolicy(signer: signer))
    #expect(try dimensions(try #require(reading.events.first)).campaign == "früh&ling")
  }

  // MARK: Secrets

  private func withFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "links-\(UUID().uuidString)"
    ).path
    defer {
      do { try FileManager.default.removeItem(atPath: folder) } catch { Issue.record(error) }
    }
    try body(folder)
  }

  @Test("A home folder's secret is made once, for its owner alone")
  func made() throws {
    try withFolder { folder in
      let secret = try SharedSecret.links.make(inHome: folder)
      #expect(secret.count == 32)
      #expect(try SharedSecret.links.make(inHome: folder) == secret)
      #expect(try SharedSecret.links.read(SharedSecret.links.path(inHome: folder)) == secret)
      let mode =
        try FileManager.default.attributesOfItem(
          atPath: SharedSecret.links.path(inHome: folder))[.posixPermissions] as? Int
      #expect(mode == 0o600)
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: folder + "/secrets") == ["links"])
    }
  }

  @Test("All who ask at once for the first time get the same secret")
  func race() async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "links-\(UUID().uuidString)"
    ).path
    let secrets = try await withThrowingTaskGroup(of: [UInt8].self) { group in
      for _ in 0..<16 { group.addTask { try SharedSecret.links.make(inHome: folder) } }
      return try await group.reduce(into: Set<[UInt8]>()) { $0.insert($1) }
    }
    #expect(secrets.count == 1)
    try FileManager.default.removeItem(atPath: folder)
  }

  @Test(
    "What is no secret is refused without being shown",
    arguments: [
      "", "00", String(repeating: "0", count: 62), String(repeating: "0", count: 65),
      String(repeating: "g", count: 64), "secret",
    ])
  func malformed(_ text: String) throws {
    #expect(throws: SharedSecretError.malformed(.links, origin: "X")) {
      try SharedSecret.links.parse(text, from: "X")
    }
    let description = "\(SharedSecretError.malformed(.links, origin: "X"))"
    #expect(description.contains("X is not") && description.contains("openssl rand -hex 32"))
  }

  @Test("A longer secret, white space and capitals are all right")
  func lenient() throws {
    let text = String(repeating: "aB", count: 40)
    #expect(
      try SharedSecret.links.parse(" \(text)\n", from: "X") == [UInt8](repeating: 0xab, count: 40))
  }

  @Test("A file that is not there is named")
  func missing() throws {
    #expect(throws: SharedSecretError.self) { try SharedSecret.links.read("/nowhere/links") }
    #expect(throws: CryptographyError.wrongKeyLength(bytes: 31, expected: 32)) {
      _ = try LinkSigner(secret: Array(0..<31))
    }
  }
}
