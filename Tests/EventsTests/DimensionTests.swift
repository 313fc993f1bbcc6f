import Events
import Testing

@Suite("Dimension tuples")
struct DimensionTests {
  @Test("a tuple reads back from its encoding")
  func roundTrip() {
    let tuple = DimensionTuple(
      site: "default", campaign: "c", content: "", variant: "ä😀",
      channel: String(repeating: "x", count: 300), currency: "EUR")
    let read = tuple.encoded.withUnsafeBytes { DimensionTuple(encoded: $0) }
    #expect(read == tuple)
    #expect(Dimension.allCases.map { tuple[$0] }.count == 7)
    var bots = tuple
    bots.traffic = DimensionTuple.bot
    #expect(bots.encoded == tuple.encoded + [3, 0] + Array("bot".utf8))
    #expect(bots.encoded.withUnsafeBytes { DimensionTuple(encoded: $0) } == bots)
  }

  /// Part of frames, state and read models: may never change.
  @Test("the encoding is length and bytes of each dimension in order")
  func encoding() {
    #expect(
      Hex.text(DimensionTuple(site: "ab", variant: "é", currency: "USD").encoded)
        == "02006162" + "0000" + "0000" + "0200c3a9" + "0000" + "0300555344")
  }

  @Test("values that are not strings yet are encoded alike")
  func encodedInPlace() {
    func bytes(_ text: String, _ body: (UnsafeRawBufferPointer) -> [UInt8]) -> [UInt8] {
      Array(text.utf8).withUnsafeBytes(body)
    }
    let tuple = DimensionTuple(
      site: "shop", campaign: "spring", variant: "ü", channel: "web", currency: "EUR")
    let encoded = bytes("shop") { site in
      bytes("spring") { campaign in
        bytes("") { content in
          bytes("ü") { variant in
            bytes("web") { channel in
              bytes("EUR") { currency in
                DimensionTuple.encoded(
                  site: site, campaign: campaign, content: content, variant: variant,
                  channel: channel, currency: currency)
              }
            }
          }
        }
      }
    }
    #expect(encoded == tuple.encoded)
  }

  @Test("an encoding that is cut or has bytes left over is refused")
  func damaged() {
    let encoded = DimensionTuple(site: "ab", channel: "mail").encoded
    for count in 0..<encoded.count {
      #expect(encoded[..<count].withUnsafeBytes { DimensionTuple(encoded: $0) } == nil)
    }
    #expect((encoded + [0, 0]).withUnsafeBytes { DimensionTuple(encoded: $0) } == nil)
    #expect((encoded + [0]).withUnsafeBytes { DimensionTuple(encoded: $0) } == nil)
  }

  @Test("names of dimensions and kinds read back, and others are refused")
  func names() {
    for dimension in Dimension.allCases { #expect(Dimension(name: dimension.name) == dimension) }
    for kind in EventKind.sent { #expect(EventKind(name: kind.name) == kind) }
    for kind in [EventKind.feedback, .decision, .segment, .erasure] {
      #expect(EventKind(name: kind.name) == nil)
    }
    #expect(Dimension(name: "Site") == nil && EventKind(name: "") == nil)
  }

  @Test("wire values of kinds are what they always were")
  func wireValues() {
    #expect(
      EventKind.allCases.map { "\($0.rawValue) \($0.name)" } == [
        "1 impression", "2 view", "3 click", "4 engagement", "5 conversion", "6 identify",
        "7 custom", "8 alias", "9 unlink", "10 exposure", "11 feedback",
        "12 decision", "13 segment", "14 erasure",
      ])
  }
}
