import Cryptography
import Events
import Metrics
import Ports
import Synchronization
import Testing

@testable import Collector

@Suite("Keys of persons")
struct PersonKeyTests {
  static let wrapping: PersonKeyWrapping = {
    do {
      return try PersonKeyWrapping(secret: Array(0..<32))
    } catch {
      preconditionFailure("\(error)")
    }
  }()

  static let ada = Key128(low: 1, high: 100)
  static let bob = Key128(low: 2, high: 200)
  private let binding = PersonKey.Binding(site: "shop", event: Key128(low: 3, high: 4))
  private let value = PersonKey.Opened(
    place: "/properties/email", isJSON: true, value: Array(#""ada@example.org""#.utf8))

  static func vault(
    _ store: MemoryPersonKeys, _ limits: PersonKeyLimits = PersonKeyLimits(),
    registry: MetricRegistry = MetricRegistry()
  ) -> PersonKeyVault {
    PersonKeyVault(
      store: store, wrapping: wrapping, limits: limits, metrics: registry,
      log: RunningCollector.quietLog)
  }

  // MARK: Texts

  @Test("A value is read with its key, in its event, and nowhere else")
  func place() throws {
    let key = try Self.wrapping.make(for: Self.ada)
    let sealed = try key.seal(.mail, value, binding)
    #expect(sealed.person == Self.ada && sealed.keyNumber == key.number)
    #expect(try key.open(sealed, binding) == value)
    #expect(try key.seal(.mail, value, binding) != sealed)
    #expect(!String(decoding: sealed.box, as: UTF8.self).contains("ada@"))
    let other = try Self.wrapping.make(for: Self.ada)
    var changed = sealed
    changed.box[20] ^= 1
    var renamed = sealed
    renamed.kind = .other
    for (who, text, place) in [
      (other, sealed, binding), (key, changed, binding), (key, renamed, binding),
      (key, sealed, PersonKey.Binding(site: "else", event: binding.event)),
      (key, sealed, PersonKey.Binding(site: "shop", event: Key128(low: 3, high: 5))),
    ] {
      #expect(throws: CryptographyError.notAuthentic) { try who.open(text, place) }
    }
  }

  @Test("A fingerprint is the same for copies, and another with another key")
  func fingerprint() throws {
    let key = try Self.wrapping.make(for: Self.ada)
    #expect(key.fingerprint(7) == key.fingerprint(7))
    #expect(key.fingerprint(7) != 7 && key.fingerprint(7) != key.fingerprint(8))
    #expect(try Self.wrapping.make(for: Self.ada).fingerprint(7) != key.fingerprint(7))
    #expect(key.fingerprint(0) == 0)
  }

  @Test("A stored key is read with its secret, for its person, and says why where it is not")
  func stored() throws {
    let key = try Self.wrapping.make(for: Self.ada)
    let sealed = try key.seal(.mail, value, binding)
    let stored = StoredPersonKey(person: Self.ada, bytes: key.stored)
    #expect(try Self.wrapping.open(stored).open(sealed, binding) == value)
    #expect(stored.bytes.count <= StoredPersonKey.byteCountMax)
    let other = try PersonKeyWrapping(secret: Array(1..<33))
    #expect(throws: PersonKeyDamage.otherSecret) { try other.open(stored) }
    #expect(throws: PersonKeyDamage.cryptography(.notAuthentic)) {
      try Self.wrapping.open(StoredPersonKey(person: Self.bob, bytes: key.stored))
    }
    #expect(throws: PersonKeyDamage.malformed) {
      try Self.wrapping.open(StoredPersonKey(person: Self.ada, bytes: Array(key.stored.dropLast())))
    }
    #expect(throws: CryptographyError.wrongKeyLength(bytes: 8, expected: 32)) {
      try PersonKeyWrapping(secret: Array(0..<8))
    }
  }

  @Test(
    "The place of a value is told",
    arguments: [
      (#"{"a":{"b/c":["x",{"~":"HERE"}]},"d":1}"#, "/a/b~1c/1/~0"), (#""HERE""#, ""),
      (#"[0,[1,"HERE"]]"#, "/1/1"), (#"{"a":"HERE""#, "/a"),
    ])
  func pointer(_ json: String, _ expected: String) throws {
    let start = try #require(json.firstRange(of: "HERE")).lowerBound
    let offset = json.utf8.distance(from: json.startIndex, to: start)
    let found = Array(json.utf8).withUnsafeBytes { JSONPlace.pointer(to: offset, in: $0) }
    #expect(found == expected)
  }

  // MARK: The cache

  @Test("It remembers so many, for so long, and those that are used the longest")
  func cache() throws {
    let cache = PersonKeyCache(countMax: 4, ageMicros: 100)
    func key(_ number: UInt64) throws -> PersonKey {
      try Self.wrapping.make(for: Key128(low: number, high: 1))
    }
    for number in 1...8 as ClosedRange<UInt64> {
      cache.add(try key(number), now: 0, era: 0)
      _ = cache.key(of: Key128(low: 1, high: 1), now: 0)
      #expect(cache.count <= 4)
    }
    #expect(cache.key(of: Key128(low: 1, high: 1), now: 99) != nil)
    #expect(cache.key(of: Key128(low: 2, high: 1), now: 99) == nil)
    #expect(cache.key(of: Key128(low: 1, high: 1), now: 100) == nil)
    let era = cache.era
    cache.forget([Key128(low: 8, high: 1)])
    #expect(cache.key(of: Key128(low: 8, high: 1), now: 0) == nil)
    cache.add(try key(9), now: 0, era: era)
    #expect(cache.key(of: Key128(low: 9, high: 1), now: 0) == nil)
  }

  // MARK: The vault

  /// What came of one request of one person.
  private final class Settled: Sendable {
    let outcome = Mutex<(keys: [IncomingEvent]?, hasCome: Bool)>((nil, false))
    var hasCome: Bool { outcome.withLock { $0.hasCome } }
    var events: [IncomingEvent]? { outcome.withLock { $0.keys } }
  }

  /// An event with one value, as the gate makes it.
  private func sealed(
    _ vault: PersonKeyVault, _ person: Key128 = PersonKeyTests.ada, mayRemove: Bool = false
  ) throws -> Settled {
    var event = IncomingEvent(
      kind: .custom, key: binding.event, person: person, eventTime: 0, receivedAt: 0,
      dimensions: DimensionTuple(site: "shop").encoded, id: "e", name: "x", source: "segment/web",
      payload: [], fingerprint: 77)
    let claims = SealClaims()
    if let sealer = claims.sealer(of: event, site: "shop", vault) {
      let text = value.value.withUnsafeBytes {
        sealer.seal(.mail, $0, isJSON: true, at: value.place)
      }
      event.payload = Array("{\"email\":\"".utf8) + text + Array("\"}".utf8)
      event.fingerprint = sealer.key.fingerprint(77)
    } else {
      event.payload = Array(#"{"email":"[mail]"}"#.utf8)
    }
    let settled = Settled()
    vault.settle(claims, [event], [], mayRemove: mayRemove) { result in
      settled.outcome.withLock { $0 = (result?.events, true) }
    }
    return settled
  }

  private func isRemembered(_ person: Key128, _ vault: PersonKeyVault) -> Bool {
    do throws(PersonKeyFailure) {
      return try vault.key(of: person).isDurable
    } catch {
      return false
    }
  }

  private func read(_ settled: Settled, _ store: MemoryPersonKeys) throws -> PersonKey.Opened {
    let event = try #require(settled.events?.first)
    let text = try #require(SealedTexts.find(in: event.payload).first)
    let stored = try #require(try store.key(of: text.person))
    let key = try Self.wrapping.open(stored)
    #expect(key.number == text.keyNumber)
    #expect(event.fingerprint == key.fingerprint(77))
    return try key.open(text, binding)
  }

  @Test("A key is durable before its events go on, and then is in memory")
  func made() async throws {
    let store = MemoryPersonKeys()
    let registry = MetricRegistry()
    let vault = Self.vault(store, registry: registry)
    vault.start()
    await eventually { store.newsAreHeard }
    store.hold(true)
    let first = try sealed(vault)
    await eventually { store.calls.count == 1 }
    #expect(!first.hasCome && store.stored.isEmpty)
    store.hold(false)
    await eventually { first.hasCome }
    #expect(try read(first, store) == value)
    await eventually { isRemembered(Self.ada, vault) }
    let second = try sealed(vault)
    #expect(second.hasCome)
    #expect(try read(second, store) == value)
    #expect(store.calls.count == 1)
    let metrics = String(decoding: registry.exposition(.prometheusText), as: UTF8.self)
    #expect(metrics.contains("smartcontent_person_keys_total{outcome=\"made\"} 1"))
    #expect(metrics.contains("smartcontent_person_keys_cached 1"))
    #expect(metrics.contains("smartcontent_personal_values_total{outcome=\"encrypted\"} 2"))
    await vault.stop()
  }

  @Test("Of two collectors that are first at once, both encrypt with the same key in the end")
  func race() async throws {
    let store = MemoryPersonKeys()
    let vaults = [Self.vault(store), Self.vault(store)]
    for vault in vaults { vault.start() }
    store.hold(true)
    let settled = try (0..<20).map { try sealed(vaults[$0 % 2]) }
    store.hold(false)
    await eventually { settled.allSatisfy(\.hasCome) }
    for one in settled { #expect(try read(one, store) == value) }
    let fingerprints = Set(settled.compactMap { $0.events?.first?.fingerprint })
    #expect(fingerprints.count == 1)
    for vault in vaults { await vault.stop() }
  }

  @Test("An erased key is forgotten, also where it may only have been erased")
  func erased() async throws {
    let store = MemoryPersonKeys()
    let vault = Self.vault(store)
    vault.start()
    func remember(_ person: Key128) async throws {
      let settled = try sealed(vault, person)
      await eventually { settled.hasCome }
    }
    // What is asked for before the news of the start were heard is not remembered.
    await eventually { store.newsAreHeard }
    try await remember(Self.bob)
    try await remember(Self.ada)
    #expect(isRemembered(Self.ada, vault) && isRemembered(Self.bob, vault))
    #expect(try store.erase(Self.ada))
    await eventually { !isRemembered(Self.ada, vault) }
    #expect(isRemembered(Self.bob, vault))
    let again = try sealed(vault)
    await eventually { again.hasCome }
    #expect(try read(again, store) == value)
    store.becomeUncertain()
    await eventually { !isRemembered(Self.bob, vault) }
    await vault.stop()
  }

  @Test("Without the store nothing is stored, or without what is personal, and nobody waits twice")
  func away() async throws {
    let store = MemoryPersonKeys()
    let registry = MetricRegistry()
    var limits = PersonKeyLimits()
    limits.pauseMs = 60_000
    let vault = Self.vault(store, limits, registry: registry)
    vault.start()
    store.fail(.unavailable("no server"))
    let refused = try sealed(vault)
    await eventually { refused.hasCome }
    #expect(refused.events == nil)
    let removed = try sealed(vault, mayRemove: true)
    #expect(removed.hasCome)
    let event = try #require(removed.events?.first)
    #expect(event.payload == Array(#"{"email":"[mail]"}"#.utf8))
    #expect(store.calls.count == 1)
    #expect(store.stored.isEmpty)
    let metrics = String(decoding: registry.exposition(.prometheusText), as: UTF8.self)
    #expect(metrics.contains("smartcontent_person_key_failures_total{reason=\"away\"} 2"))
    #expect(metrics.contains("smartcontent_personal_values_total{outcome=\"removed\"} 1"))
    await vault.stop()
  }

  @Test("What was encrypted with a key that did not become durable is removed")
  func lost() async throws {
    let store = MemoryPersonKeys()
    let vault = Self.vault(store)
    vault.start()
    store.fail(.full("20000000 keys"))
    let removed = try sealed(vault, mayRemove: true)
    await eventually { removed.hasCome }
    let event = try #require(removed.events?.first)
    #expect(event.payload == Array(#"{"email":"[mail]"}"#.utf8))
    #expect(event.fingerprint == 0)
    await vault.stop()
  }

  @Test("Requests beyond the room that there is are refused at once")
  func overloaded() async throws {
    let store = MemoryPersonKeys()
    var limits = PersonKeyLimits()
    limits.waitingBytesMax = 400
    let vault = Self.vault(store, limits)
    vault.start()
    store.hold(true)
    let first = try sealed(vault)
    let second = try sealed(vault)
    let third = try sealed(vault)
    #expect(third.hasCome && third.events == nil)
    store.hold(false)
    await eventually { first.hasCome && second.hasCome }
    #expect(try read(first, store) == value)
    await vault.stop()
  }

  @Test("A key of another secret is of no use, and is left as it is")
  func otherSecret() async throws {
    let store = MemoryPersonKeys()
    let key = try PersonKeyWrapping(secret: Array(1..<33)).make(for: Self.ada)
    store.put(StoredPersonKey(person: Self.ada, bytes: key.stored))
    let vault = Self.vault(store)
    vault.start()
    let refused = try sealed(vault)
    await eventually { refused.hasCome }
    #expect(refused.events == nil)
    #expect(store.stored[Self.ada] == key.stored)
    await vault.stop()
  }
}
