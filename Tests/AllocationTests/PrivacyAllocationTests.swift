@testable import Collector
import Events
import Logging
import Metrics
import Ports
import Testing

/// What the gate of privacy allocates for events in which there is nothing to find.
@Suite("Allocations of gates", .serialized)
struct PrivacyAllocationTests {
  /// As a page sends it, with what looks most like personal data: ids, times and an address.
  private static let text = #"""
    {"type":"track","event":"Content Clicked","messageId":"ajs-next-1767225600000-0192f3d2-0000-7000-8000-000000000001",
    "anonymousId":"0192f3d2-0000-7000-8000-0000000000aa","timestamp":"2026-11-23T09:00:00.000Z",
    "sentAt":"2026-11-23T09:00:00.120Z","properties":{"campaign_id":"spring","content_id":"post-1","variant_id":"a",
    "channel":"web","price":12.5,"sku":"9780306406157"},"context":{"library":{"name":"analytics.js","version":"2.11.1"},
    "locale":"de-DE","page":{"path":"/2026/11/some%20title","referrer":"https://www.example.org/?q=two%20words",
    "title":"Ünïcode — a title","url":"https://shop.example.org/2026/11/23/title?ref=1234&x=%7B1%7D"},
    "timezone":"Europe/Berlin"},"integrations":{}}
    """#

  /// Is not asked, because nothing is found.
  private final class NoKeys: PersonKeyStore {
    func settle(
      _ wanted: [StoredPersonKey]
    ) throws(PersonKeyError) -> [Result<StoredPersonKey, PersonKeyError>] {
      throw .unavailable("there is none")
    }
    func key(of person: Key128) throws(PersonKeyError) -> StoredPersonKey? { nil }
    func erase(_ person: Key128) throws(PersonKeyError) -> Bool { false }
    func erasures() -> any PersonKeyErasures { preconditionFailure("the vault is not started") }
  }

  @Test("The gate of privacy allocates nothing where it finds nothing")
  func removing() throws { try check("privacy", Self.text.replacing("%", with: "-"), .remove) }

  @Test("It allocates little to decode addresses")
  func decoding() throws { try check("privacy-encoded", Self.text, .remove) }

  @Test("No more where it would encrypt what it finds")
  func encrypting() throws {
    try check("privacy-encrypt", Self.text.replacing("%", with: "-"), .encrypt)
  }

  private func check(
    _ name: String, _ text: String, _ personal: KeyPolicy.PersonalData
  ) throws {
    let payload = Array(text.utf8)
    let gate = PrivacyGate(
      personKeys: PersonKeyVault(
        store: NoKeys(), wrapping: try PersonKeyWrapping(secret: Array(0..<32)),
        metrics: MetricRegistry(), log: Logger(label: "test")))
    let key = WriteKey(
      key: "k", site: "s", policy: KeyPolicy(personalData: personal),
      mapping: CompiledMapping(
        EventMapping(
          names: [:], calls: [:], properties: [:], revenue: [], currency: [],
          defaultCurrency: "USD")))
    var facts = RequestFacts(
      userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
      clientAddress: "198.51.100.7", header: { _ in nil })
    var event = IncomingEvent(
      kind: .click, key: Key128(low: 1, high: 2), person: Key128(low: 3, high: 4),
      eventTime: 1_767_225_600_000_000, receivedAt: 1_767_225_600_000_000,
      dimensions: DimensionTuple(site: "s", campaign: "spring", content: "post-1").encoded,
      id: "ajs-next-1767225600000-0192f3d2-0000-7000-8000-000000000001", name: "Content Clicked",
      source: "segment/web", payload: payload)
    let claims = SealClaims()
    facts.claims = claims
    _ = try gate.admit(&event, facts, key)
    try AllocationTests.check(name) {
      for _ in 0..<10_000 { _ = try gate.admit(&event, facts, key) }
    }
    #expect(event.payload == payload)
    #expect(claims.unsettled == nil && claims.sealed == 0)
  }
}
