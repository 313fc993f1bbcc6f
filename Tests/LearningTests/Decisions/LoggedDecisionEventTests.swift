import Events
import Testing

@testable import Learning

@Suite struct LoggedDecisionEventTests {
  static func event() -> LoggedDecisionEvent {
    let features = DecisionFeatures([
      .init("hour", .number(10)), .init("device", .text("mobile \"x\"")),
      .init("known", .flag(true)),
    ])
    var token = DecisionTokenTests.token
    token.features = features.digest
    return LoggedDecisionEvent(
      token: token, tokenText: token.text(mac: TestMAC.sign), plan: "hero", policy: "thompson",
      model: Position(generation: 1, sequences: [0: 12, 3: 4]), at: 1_763_978_400_000_000,
      arms: ["a", "b", "ünder"], features: features,
      shadows: [.init(name: "plain", chances: [0.5, 0.25, 0.25])], server: "s1")
  }

  private func read(_ payload: [UInt8]) -> Result<LoggedDecisionEvent, LoggedDecisionError> {
    payload.withUnsafeBytes { bytes in
      do throws(LoggedDecisionError) {
        return .success(
          try LoggedDecisionEvent(payload: bytes, isAuthentic: TestMAC.isAuthentic))
      } catch { return .failure(error) }
    }
  }

  @Test("A decision is written as it always was, and reads back")
  func readsBack() throws {
    let event = Self.event()
    let text = String(decoding: event.payload, as: UTF8.self)
    let token = event.tokenText
    #expect(
      text
        == #"{"decision":"\#(token)","plan":"hero","policy":"thompson","version":7,"model":"1~0.12~3.4","at":1763978400000000,"arms":["a","b","ünder"],"p":[17203,31130,17203],"chosen":1,"features":{"device":"mobile \"x\"","hour":10.0,"known":true},"holdout":true,"default":false,"repeated":true,"shadows":{"plain":[2147483648,1073741824,1073741824]},"server":"s1"}"#
    )
    #expect(try read(event.payload).get() == event)
    // As it was before, in 65,536ths.
    let before = text.replacing("[2147483648,1073741824,1073741824]", with: "[32768,16384,16384]")
    #expect(try read(Array(before.utf8)).get() == event)
    let reward = try event.payload.withUnsafeBytes { try LoggedRewardEvent(payload: $0) }
    #expect(reward == nil)
  }

  @Test("What is no decision says why")
  func refused() throws {
    func text(_ change: (inout String) -> Void) -> Result<LoggedDecisionEvent, LoggedDecisionError>
    {
      var text = String(decoding: Self.event().payload, as: UTF8.self)
      change(&text)
      return read(Array(text.utf8))
    }
    #expect(text { $0 = "{}" } == .failure(.missing("decision")))
    #expect(text { $0.replace("hero\"", with: "hero\",\"plan2\":\"\"") }.isSuccess)
    #expect(text { $0.replace("\"plan\":", with: "\"no\":") } == .failure(.missing("plan")))
    #expect(text { $0.replace("1~0.12~3.4", with: "x") } == .failure(.missing("model")))
    #expect(text { $0.replace("\"at\":", with: "\"no\":") } == .failure(.missing("at")))
    #expect(text { $0.replace("[17203,", with: "[17204,") } == .failure(.disagrees))
    #expect(text { $0.replace("\"ünder\"", with: "\"c\",\"d\"") } == .failure(.disagrees))
    let forged = text { $0.replace(Self.event().tokenText.prefix(4), with: "AQWa") }
    #expect(forged == .failure(.token(.notAuthentic)))
    guard case .failure(.json) = text({ $0.removeLast() }) else {
      Issue.record("a payload that is cut off was read")
      return
    }
  }

  @Test("A stated reward reads back, and is between 0 and 1")
  func rewards() throws {
    let id = DecisionTokenTests.token.id
    for (value, kept) in [(0.25, 0.25), (-1, 0), (7, 1)] {
      let reward = LoggedRewardEvent(decision: id, value: value)
      #expect(reward.value == kept)
      #expect(try reward.payload.withUnsafeBytes { try LoggedRewardEvent(payload: $0) } == reward)
    }
  }

  @Test("Features are in order of name, the last of a name counts, and what is none is left out")
  func features() throws {
    let features = DecisionFeatures([
      .init("b", .number(1)), .init("a", .text("x")), .init("b", .flag(false)),
      .init("", .number(1)), .init("c", .number(.nan)),
      .init("d", .text(String(repeating: "x", count: 257))),
    ])
    #expect(features.all == [.init("a", .text("x")), .init("b", .flag(false))])
    #expect(features["b"] == .flag(false) && features["c"] == nil)
    #expect(features.only(["a", "z"]).all == [.init("a", .text("x"))])
    #expect(DecisionFeatures.none.digest == 0 && features.digest != features.only(["a"]).digest)
    let json = Array(#"{"n":1e3,"o":{"x":1},"l":[1],"z":null,"t":"u","f":true}"#.utf8)
    let read = try json.withUnsafeBytes { bytes in
      var scanner = JSONScanner(bytes)
      return try DecisionFeatures(&scanner)
    }
    #expect(read.all.map(\.name) == ["f", "n", "t"])
  }
}

extension Result {
  fileprivate var isSuccess: Bool {
    if case .success = self { return true }
    return false
  }
}
