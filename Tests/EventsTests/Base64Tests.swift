import Events
import Testing

@Suite("Base 64")
struct Base64Tests {
  @Test(
    "RFC 4648 section 10",
    arguments: [
      ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
      ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ])
  func vectors(plain: String, encoded: String) {
    #expect(Base64.encode(Array(plain.utf8)) == encoded)
    #expect(Base64.decode(encoded.utf8) == Array(plain.utf8))
  }

  @Test("all bytes read back")
  func roundTrip() {
    var random = SeededGenerator(seed: 9)
    for count in 0..<300 {
      let bytes = (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &random) }
      #expect(Base64.decode(Base64.encode(bytes).utf8) == bytes)
    }
  }

  @Test(
    "what is not canonical is refused",
    arguments: [
      "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "A===", "====", "Zg==Zg==", "Zm 8=", "Zm-_", "Zg=a",
    ])
  func refused(text: String) {
    #expect(Base64.decode(text.utf8) == nil)
  }
}
