import Events
import Glibc
import Testing

@testable import Collector

/// What encrypting costs; printed for Docs/decisions/0015. The bounds are wide, for machines that do other
/// things besides.
@Suite("Cost of encryption", .serialized)
struct PersonKeyCostTests {
  private func nanoseconds(_ count: Int, _ body: () throws -> Void) rethrows -> Double {
    for _ in 0..<count / 10 { try body() }
    let start = Self.processorNanoseconds
    for _ in 0..<count { try body() }
    return Double(Self.processorNanoseconds - start) / Double(count)
  }

  /// Of this thread.
  private static var processorNanoseconds: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  @Test("A value costs some microseconds, and an event without one nothing")
  func cost() throws {
    let store = MemoryPersonKeys()
    let vault = PersonKeyTests.vault(store)
    let gate = PrivacyGate(personKeys: vault)
    func key(_ personal: KeyPolicy.PersonalData) -> WriteKey {
      WriteKey(
        key: "k", site: "shop", policy: KeyPolicy(personalData: personal),
        mapping: CompiledMapping(standardMapping))
    }
    func event(_ properties: String) -> IncomingEvent {
      let payload =
        #"{"type":"track","event":"Order Completed","messageId":"0192f3d2-0000-7000-8000-000000000001","#
        + #""userId":"ada","timestamp":"2026-11-23T09:00:00.000Z","properties":{\#(properties)},"#
        + #""context":{"library":{"name":"analytics.js","version":"2.11.1"},"locale":"de-DE","#
        + #""page":{"path":"/2026/11/title","url":"https://shop.example.org/2026/11/23/title?ref=1234"}}}"#
      return IncomingEvent(
        kind: .custom, key: Key128(low: 1, high: 2), person: PersonKeyTests.ada,
        eventTime: testNow, receivedAt: testNow,
        dimensions: DimensionTuple(site: "shop").encoded, id: "e1", name: "Order Completed",
        source: "segment/web", payload: Array(payload.utf8), fingerprint: 7)
    }
    func gated(_ personal: KeyPolicy.PersonalData, _ properties: String) throws -> Double {
      let writeKey = key(personal)
      let before = event(properties)
      let claims = SealClaims()
      return try nanoseconds(5_000) {
        var facts = RequestFacts(userAgent: "", clientAddress: "", header: { _ in nil })
        facts.claims = claims
        var event = before
        _ = try gate.admit(&event, facts, writeKey)
      }
    }
    let mail = #""email":"ada.lovelace@example.org""#
    let plain = #""plan":"pro","price":12.5"#
    let none = try gated(.encrypt, plain)
    let removed = try gated(.remove, mail)
    let one = try gated(.encrypt, mail)
    let five = try gated(
      .encrypt, (0..<5).map { #""a\#($0)":"ada.lovelace@example.org""# }.joined(separator: ","))
    let made = try nanoseconds(2_000) {
      _ = try PersonKeyTests.wrapping.make(for: PersonKeyTests.ada)
    }
    print(
      """
      gate, ns per event: nothing personal \(Int(none)), one value removed \(Int(removed)), \
      one encrypted \(Int(one)), five encrypted \(Int(five)), each further \(Int((five - one) / 4)); \
      a new key \(Int(made))
      """)
    #expect(one < 100_000 && made < 200_000 && none < removed * 2)
  }
}
