import Events
import Testing

@testable import Learning

@Suite struct DecisionTokenTests {
  static let token = DecisionToken(
    id: DecisionID(Key128(low: 0x1122_3344_5566_7788, high: 0x99aa_bbcc_ddee_ff00)),
    plan: 0xdead_beef, timeMs: 1_763_978_400_123, chosen: 1,
    propensities: parts([0x4333, 0x799a, 0x4333]), version: 7, features: 0x0102_0304,
    flags: [.holdout, .repeated])

  private static func parts(_ parts: [UInt32]) -> Propensities {
    guard let propensities = Propensities(parts: parts) else {
      preconditionFailure("the parts add up")
    }
    return propensities
  }

  @Test(
    "Chances that add up to a multiple of the number of arms make a token of the second version")
  func second() throws {
    var token = Self.token
    token.propensities = Propensities(uniform: 3)
    #expect(
      token.bytes[0] == 2 && Array(token.bytes[30..<36]) == [0x55, 0x55, 0x55, 0x55, 0x55, 0x55])
    #expect(token.propensities[1] == 1.0 / 3)
    #expect(try DecisionToken(bytes: token.bytes) == token)
    token.propensities = Propensities(uniform: 4)
    #expect(token.bytes[0] == 1)
    // Each version has its own sum.
    for (version, chances) in [(2, Self.token.propensities), (1, Propensities(uniform: 3))] {
      token.propensities = chances
      let error = #expect(throws: DecisionTokenError.self) {
        try DecisionToken(bytes: [UInt8(version)] + token.bytes.dropFirst())
      }
      #expect(error == .chances(chances.whole))
    }
  }

  @Test("The bytes of a token are what they always were")
  func golden() {
    let hex = Self.token.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    #expect(
      hex == "01" + "05" + "99aabbccddeeff001122334455667788" + "deadbeef" + "019ab54e517b"
        + "01" + "03" + "4333799a4333" + "00000007" + "01020304")
  }

  @Test("Tokens read back, with any number of arms and with all of the chance on one")
  func readsBack() throws {
    for count in [1, 2, 3, 10, 255] {
      for chosen in Set([0, count / 2, count - 1]) {
        for propensities in [Propensities(only: chosen, of: count), Propensities(uniform: count)] {
          var token = Self.token
          token.propensities = propensities
          token.chosen = chosen
          #expect(try DecisionToken(bytes: token.bytes) == token)
          let text = token.text(mac: TestMAC.sign)
          let read = try DecisionToken(text: Array(text.utf8), isAuthentic: TestMAC.isAuthentic)
          #expect(read == token)
          #expect(text.utf8.count >= DecisionToken.textByteCountMin)
          #expect(text.utf8.count <= DecisionToken.textByteCountMax)
          if count == 10 { #expect(text.utf8.count == 91) }
        }
      }
    }
  }

  @Test(
    "What was not signed here, was changed or cut off is no token, and the error says what it is")
  func refused() {
    func error(_ bytes: [UInt8]) -> DecisionTokenError? {
      do throws(DecisionTokenError) {
        _ = try DecisionToken(bytes: bytes)
        return nil
      } catch { return error }
    }
    let bytes = Self.token.bytes
    for count in 0..<bytes.count { #expect(error(Array(bytes.prefix(count))) != nil, "\(count)") }
    #expect(error(bytes + [0]) == .tooLong(by: 1))
    #expect(error([3] + bytes.dropFirst()) == .unknownVersion(3))
    func changed(_ place: Int, _ value: UInt8) -> [UInt8] {
      var bytes = bytes
      bytes[place] = value
      return bytes
    }
    #expect(error(changed(28, 3)) == .armOutOfRange(3, count: 3))
    #expect(error(changed(31, bytes[31] &+ 1)) == .chances(65_537))
    var impossible = Self.token
    impossible.propensities = Propensities(only: 0, of: 3)
    #expect(error(impossible.bytes) == .impossibleArm(1))

    func textError(_ text: String) -> DecisionTokenError? {
      do throws(DecisionTokenError) {
        _ = try DecisionToken(text: Array(text.utf8), isAuthentic: TestMAC.isAuthentic)
        return nil
      } catch { return error }
    }
    let text = Self.token.text(mac: TestMAC.sign)
    #expect(textError(text) == nil)
    #expect(textError("approved!") == .notBase64URL)
    #expect(textError("") == .tooShort)
    #expect(textError(String(repeating: "A", count: 5_000)) == .tooLong(by: 5_000))
    for place in [0, 10, text.utf8.count - 2] {
      var letters = Array(text.utf8)
      letters[place] = letters[place] == 65 ? 66 : 65
      #expect(textError(String(decoding: letters, as: UTF8.self)) == .notAuthentic, "\(place)")
    }
  }

  @Test("Ids of slots differ, and are a function of the first one")
  func slots() {
    let id = Self.token.id
    let slots = (0..<100).map { id.slot($0) }
    #expect(slots[0] == id && Set(slots).count == 100)
    #expect(DecisionID(id.description) == id && id.slot(7) == slots[7])
    #expect(DecisionID("7") == nil)
  }
}

/// A MAC for tests.
enum TestMAC {
  @Sendable static func sign(_ bytes: [UInt8]) -> [UInt8] {
    let key = bytes.withUnsafeBytes { SipHash128.hash($0) }
    return withUnsafeBytes(of: (key.low.bigEndian, key.high.bigEndian)) { Array($0) }
  }

  @Sendable static func isAuthentic(_ bytes: [UInt8], _ mac: [UInt8]) -> Bool {
    Array(sign(bytes).prefix(mac.count)) == mac
  }
}
