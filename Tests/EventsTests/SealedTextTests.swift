import Events
import Testing

@Suite("Encrypted values as texts")
struct SealedTextTests {
  static let sealed = SealedText(
    kind: .mail, person: Key128(low: 0x0123_4567_89ab_cdef, high: 0xfedc_ba98_7654_3210),
    keyNumber: 0x1122_3344_5566_7788, box: Array(0..<70))

  private static let golden =
    "[mail:v1._ty6mHZUMhABI0VniavN7xEiM0RVZneI."
    + "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-P0BBQkNERQ]"

  private func text(_ bytes: [UInt8]?) -> String? {
    bytes.map { String(decoding: $0, as: UTF8.self) }
  }

  @Test("Its form is for ever")
  func form() {
    #expect(text(Self.sealed.text) == Self.golden)
    #expect(SealedText(Self.golden) == Self.sealed)
  }

  @Test("Each kind comes back", arguments: Removed.allCases)
  func kinds(_ kind: Removed) {
    var sealed = Self.sealed
    sealed.kind = kind
    #expect(SealedText(String(decoding: sealed.text, as: UTF8.self)) == sealed)
  }

  private static let lookalikes: [String] = [
    "", "[mail]", "[mail:v1.]", "[mail:v2\(golden.dropFirst(8))", "\(golden.dropLast())",
    "\(golden) ", "x\(golden)", "[name\(golden.dropFirst(5))", golden.replacing(".A", with: "-A"),
    golden.replacing("ERQ]", with: "ERR]"), golden.replacing("_ty6", with: "+ty6"),
    golden.replacing("]", with: "=]"), "[mail:v1._ty6mHZUMhABI0VniavN7xEiM0RVZneI.]",
  ]

  @Test("What only looks like one is none", arguments: lookalikes)
  func others(_ text: String) {
    #expect(SealedText(text) == nil)
  }

  @Test("They are found wherever they stand, and replaced there")
  func places() {
    let other = Base64.encode(Array(#"{"q":["\#(Self.golden)",1]}"#.utf8))
    let web = String(
      decoding: Base64URL.encode(Array("~~~??? \(Self.golden) ~~~???".utf8)), as: UTF8.self)
    #expect(web.contains("-") || web.contains("_"))
    let twice = Base64.encode(Array(#"{"inner":"\#(other)"}"#.utf8))
    for (whole, expected) in [
      (Self.golden, "[mail]"), ("a \(Self.golden), b", "a [mail], b"),
      (#"{"a":"\#(Self.golden)","b":"[mail]"}"#, #"{"a":"[mail]","b":"[mail]"}"#),
      (#"{"a":"{\"b\":\"\#(Self.golden)\"}"}"#, #"{"a":"{\"b\":\"[mail]\"}"}"#),
      (Self.golden + Self.golden, "[mail][mail]"),
      (#"{"px":"\#(other)"}"#, #"{"px":"\#(Base64.encode(Array(#"{"q":["[mail]",1]}"#.utf8)))"}"#),
      (
        #"{"cx":"\#(web)"}"#,
        #"{"cx":"\#(String(decoding: Base64URL.encode(Array("~~~??? [mail] ~~~???".utf8)), as: UTF8.self))"}"#
      ),
    ] {
      #expect(text(SealedTexts.removed(from: Array(whole.utf8))) == expected)
      #expect(Set(SealedTexts.find(in: Array(whole.utf8))) == [Self.sealed])
      #expect(text(SealedTexts.rewrite(Array(whole.utf8)) { $0.text }) == whole)
      #expect(SealedTexts.rewrite(Array(whole.utf8)) { _ in nil } == nil)
    }
    #expect(SealedTexts.find(in: Array(#"{"x":"\#(twice)"}"#.utf8)) == [Self.sealed])
    #expect(SealedTexts.removed(from: Array(#"{"a":"[mail]","b":"AAAA"}"#.utf8)) == nil)
    #expect(SealedTexts.removed(from: "to \(Self.golden)") == "to [mail]")
  }

  @Test("It fits any schema, whole or within a text, as what is removed does")
  func schemas() throws {
    let schema =
      #"{"x-event":"Signed Up","properties":{"who":{"type":"integer"},"day":{"format":"email"},"note":{"maxLength":16}}}"#
    let (read, problems) = EventSchema.read(Array(schema.utf8), named: "signed")
    let versions = EventSchemas([try #require(read, "\(problems)")])
    let check = try #require(versions.versions(of: "Signed Up", .custom))
    func fits(_ json: String) throws -> Bool {
      if case .fits = check.check(try JSONTree(Array(json.utf8)), stated: nil) { return true }
      return false
    }
    #expect(try fits(#"{"who":"\#(Self.golden)","day":"\#(Self.golden)"}"#))
    #expect(try fits(#"{"note":"ask \#(Self.golden)"}"#))
    #expect(try !fits(#"{"note":"ask \#(Self.golden) or somebody else"}"#))
    #expect(try !fits(#"{"who":"ask \#(Self.golden)"}"#))
  }
}
