import Events

@testable import Learning

/// What clients send back of decisions, and what the log has of them.
enum DecisionTargets {
  private static let token = DecisionToken(
    id: DecisionID(Key128(low: 7, high: 9)), plan: 5, timeMs: 1_763_978_400_000, chosen: 1,
    propensities: Propensities([1, 2, 1]), version: 3, features: 4, flags: .holdout)
  private static let event = LoggedDecisionEvent(
    token: token, tokenText: token.text { _ in [UInt8](repeating: 0, count: 10) }, plan: "hero",
    policy: "thompson", model: Position(generation: 1, sequences: [0: 12]),
    at: 1_763_978_400_000_000, arms: ["a", "b", "c"], candidates: [0, 1],
    features: DecisionFeatures([.init("hour", .number(10)), .init("device", .text("tv"))]),
    shadows: [.init(name: "plain", propensities: Propensities(uniform: 3))], server: "s")

  static let all: [FuzzTarget] = [
    FuzzTarget("decision-token", seeds: [token.bytes], run: tokenBytes),
    FuzzTarget(
      "decision-event", seeds: [event.payload],
      words: [
        "\"decision\":", "\"plan\":", "\"p\":[", "\"arms\":[", "\"features\":{", "\"shadows\":{",
        "\"candidates\":[", "\"at\":", "\"model\":", "1~0.1", "65536", "true", "null", "{", "]",
      ], run: payload),
    FuzzTarget(
      "decision-echo",
      seeds: [
        #"{"properties":{"decision":["\#(event.tokenText)"]},"$feature_flag_request_id":"x"}"#.bytes
      ],
      words: ["\"decision\":", "\"$feature_flag_request_id\":", "[", "{", "\"", "\\u0061"],
      run: echo),
  ]

  /// A token is written in one way alone.
  @Sendable private static func tokenBytes(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let token: DecisionToken
    do throws(DecisionTokenError) {
      token = try DecisionToken(bytes: input)
    } catch { return }
    try BrokenLaw.unless(token.bytes.elementsEqual(input), "a token is its bytes")
    try BrokenLaw.unless(token.propensities.parts[token.chosen] > 0, "the arm has a chance")
  }

  /// What was read of a decision is read again of what is written of it.
  @Sendable private static func payload(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    guard let event = read(input) else { return }
    let again = event.payload.span.bytes.withUnsafeBytes { read($0) }
    try BrokenLaw.unless(again == event, "a decision that is written is the one that was read")
  }

  private static func read(_ input: UnsafeRawBufferPointer) -> LoggedDecisionEvent? {
    do throws(LoggedDecisionError) {
      return try LoggedDecisionEvent(payload: input) { _, _ in true }
    } catch { return nil }
  }

  @Sendable private static func echo(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let found = DecisionEcho.find(in: input)
    try BrokenLaw.unless(found.count <= DecisionEcho.countMax, "an event names so many at most")
    try BrokenLaw.unless(
      found.allSatisfy { $0.count <= DecisionToken.textByteCountMax }, "tokens are short")
  }
}
