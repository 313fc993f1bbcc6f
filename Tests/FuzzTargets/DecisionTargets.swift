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
    shadows: [.init(name: "plain", chances: [0.5, 0.25, 0.25])], server: "s")

  private static let promoted = DecisionPromotion(
    plan: "hero", version: 3, policy: "plain", since: 1_763_978_400_000_000, cause: .person,
    note: "a sale", evidence: .init(decisions: 40, lower: 0.25, upper: 0.5))

  static let all: [FuzzTarget] = [
    FuzzTarget(
      "decision-promotion", seeds: [promoted.payload],
      words: [
        "\"promotion_of\":", "\"advantage\":[", "\"by\":", "lower_bound", "1e9", "-1", "null", "]",
      ], run: promotion),
    FuzzTarget(
      "decision-retraction",
      seeds: [
        LoggedRetractionEvent(.decision(token.id)).payload,
        LoggedRetractionEvent(.person(token.id.key)).payload,
      ], words: ["\"retract\":", "\"retract_person\":", "null", "\""], run: retraction),
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
    FuzzTarget(
      "segment-event", seeds: [segment.payload],
      words: ["\"segment\":", "\"change\":", "\"left\"", "\"number\":", "-1", "1e9", "null"],
      run: segmentEvent),
    FuzzTarget(
      "logged-allocation",
      seeds: [#"{"properties":{"allocation":{"a":0.3,"b":0.7}}}"#.bytes],
      words: ["\"allocation\"", ":{", "0.5", "1e-9", "-1", "null", "{", "\"c\":"], run: allocation),
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

  @Sendable private static func promotion(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    guard let event = readPromotion(input) else { return }
    let again = event.payload.span.bytes.withUnsafeBytes { readPromotion($0) }
    try BrokenLaw.unless(again == event, "a promotion that is written is the one that was read")
  }

  private static func readPromotion(_ input: UnsafeRawBufferPointer) -> DecisionPromotion? {
    do throws(JSONError) {
      return try DecisionPromotion(payload: input)
    } catch { return nil }
  }

  @Sendable private static func retraction(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    guard let event = readRetraction(input) else { return }
    let again = event.payload.span.bytes.withUnsafeBytes { readRetraction($0) }
    try BrokenLaw.unless(again == event, "a retraction that is written is the one that was read")
  }

  private static func readRetraction(_ input: UnsafeRawBufferPointer) -> LoggedRetractionEvent? {
    do throws(JSONError) {
      return try LoggedRetractionEvent(payload: input)
    } catch { return nil }
  }

  private static func read(_ input: UnsafeRawBufferPointer) -> LoggedDecisionEvent? {
    do throws(LoggedDecisionError) {
      return try LoggedDecisionEvent(payload: input) { _, _ in true }
    } catch { return nil }
  }

  private static let segment = SegmentEvent(
    person: Key128(low: 7, high: 9), site: "shop", segment: "loyal", change: .entered, number: 3,
    at: 1_763_978_400_000_000)

  @Sendable private static func segmentEvent(
    _ input: UnsafeRawBufferPointer
  ) throws(BrokenLaw) {
    guard let event = readSegment(input) else { return }
    let again = event.payload.span.bytes.withUnsafeBytes { readSegment($0) }
    try BrokenLaw.unless(again == event, "a change that is written is the one that was read")
  }

  private static func readSegment(_ input: UnsafeRawBufferPointer) -> SegmentEvent? {
    do throws(JSONError) {
      return try SegmentEvent(payload: input, person: segment.person, site: "shop", at: segment.at)
    } catch { return nil }
  }

  @Sendable private static func allocation(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    guard let allocation = LoggedAllocation(payload: input) else { return }
    let parts = allocation.chances.map(\.part)
    try BrokenLaw.unless(
      (2...LoggedAllocation.variantsMax).contains(parts.count), "variants are few")
    try BrokenLaw.unless(
      parts.reduce(0.0) { $0 + Double($1) } <= 1.01 * LoggedAllocation.one, "chances are shares")
  }

  @Sendable private static func echo(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let found = DecisionEcho.find(in: input)
    try BrokenLaw.unless(found.count <= DecisionEcho.countMax, "an event names so many at most")
    try BrokenLaw.unless(
      found.allSatisfy { $0.count <= DecisionToken.textByteCountMax }, "tokens are short")
  }
}
