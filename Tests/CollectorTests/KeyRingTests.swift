import Foundation
import Logging
import Metrics
import Testing

@testable import Collector

@Suite("Keys that change")
struct KeyRingTests {
  private let folder: ScratchFolder
  private let store: KeyStore
  private let clock = ScriptedClock()
  private let metrics = MetricRegistry()
  private static let mapping = CompiledMapping(standardMapping)

  init() throws {
    folder = try ScratchFolder()
    store = KeyStore(path: folder.keys)
  }

  private func follow(_ ring: KeyRing) throws -> KeyFileFollower {
    var log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    log.logLevel = .critical
    return try KeyFileFollower(
      store, ring: ring, metrics: metrics, clock: clock.clock, log: log)
  }

  private var isStale: Bool { metrics.gauge(KeyFileMetrics.isStale).with().value == 1 }
  private var count: Double { metrics.gauge(KeyFileMetrics.keys).with().value }

  @Test("A key is accepted once it is in the file, and no longer when it is revoked")
  func followed() throws {
    let ring = KeyRing([], mapping: Self.mapping)
    let follower = try follow(ring)
    #expect(ring.current.find("wk_demo") == nil)
    follower.look()
    #expect(!isStale, "there has never been a file")
    let id = try store.add(KeyDraft(value: "wk_demo", site: "shop"), now: clock.now).stored.id
    let before = ring.current
    follower.look()
    let key = try #require(ring.current.find("wk_demo"))
    #expect(key.id == id && key.site == "shop" && key.source == id)
    #expect(before.find("wk_demo") == nil, "a request sees one state of the keys")
    #expect(count == 1)
    _ = try store.revoke(id, now: clock.now)
    follower.look()
    #expect(ring.current.find("wk_demo") == nil)
    #expect(count == 0)
  }

  @Test("A rotated key ends when its time has come, though the file stays as it is")
  func ends() throws {
    let ring = KeyRing([], mapping: Self.mapping)
    let old = try store.add(KeyDraft(value: "old", site: "s"), now: clock.now).stored.id
    let new = try store.rotate(old, overlapMicros: 5_000_000, now: clock.now)
    let follower = try follow(ring)
    clock.advance(micros: 4_999_999)
    follower.look()
    #expect(ring.current.find("old")?.id == old)
    #expect(ring.current.find(new.key)?.source == old)
    clock.advance(micros: 1)
    follower.look()
    #expect(ring.current.find("old") == nil)
    #expect(ring.current.find(new.key)?.id == new.stored.id)
  }

  @Test("A file that is broken or goes away leaves the keys as they were, and the metric says so")
  func broken() throws {
    let ring = KeyRing([], mapping: Self.mapping)
    let id = try store.add(KeyDraft(value: "wk_demo", site: "shop"), now: clock.now).stored.id
    let follower = try follow(ring)
    let good = try folder.read(folder.keys)
    for breaking in ["", #"{"version":1,"keys":[{"id":7}]}"#] {
      try folder.write(breaking, folder.keys)
      for _ in 0..<2 { follower.look() }
      #expect(isStale)
      #expect(ring.current.find("wk_demo")?.id == id)
    }
    try folder.write(good, folder.keys)
    follower.look()
    #expect(!isStale)
    try FileManager.default.removeItem(atPath: folder.keys)
    for _ in 0..<2 { follower.look() }
    #expect(isStale)
    #expect(ring.current.find("wk_demo")?.id == id)
    try folder.write(good, folder.keys)
    follower.look()
    #expect(!isStale)
  }

  @Test("A rotated key ends in time though the file is broken meanwhile")
  func endsBroken() throws {
    let ring = KeyRing([], mapping: Self.mapping)
    let old = try store.add(KeyDraft(value: "old", site: "s"), now: clock.now).stored.id
    _ = try store.rotate(old, overlapMicros: 1_000_000, now: clock.now)
    let follower = try follow(ring)
    try folder.write("", folder.keys)
    clock.advance(micros: 1_000_000)
    follower.look()
    #expect(isStale)
    #expect(ring.current.find("old") == nil)
  }

  @Test("A collector does not start on a file that it cannot read")
  func startsBroken() throws {
    try FileManager.default.createDirectory(
      atPath: folder.path + "/home", withIntermediateDirectories: true)
    try folder.write("[]", folder.keys)
    #expect(throws: KeyStoreError.self) { try follow(KeyRing([], mapping: Self.mapping)) }
  }

  @Test(
    "Keys of the configuration stay beside those of the file, which says more where both have one")
  func configured() throws {
    let ring = KeyRing(
      [
        WriteKey(key: "dev", id: "dev", site: "default", mapping: Self.mapping),
        WriteKey(key: "both", site: "default", mapping: Self.mapping),
      ], mapping: Self.mapping)
    let id = try store.add(
      KeyDraft(value: "both", site: "shop", policy: KeyPolicy(eventsPerSecondMax: 5)),
      now: clock.now
    ).stored.id
    let follower = try follow(ring)
    let dev = try #require(ring.current.find("dev"))
    #expect(dev.id == "dev" && dev.source == "dev")
    #expect(ring.current.find("both")?.id == id)
    #expect(ring.current.isRestricted)
    _ = try store.revoke(id, now: clock.now)
    follower.look()
    #expect(ring.current.find("both")?.site == "default")
    #expect(!ring.current.isRestricted)
  }

  @Test("A key without an id of its own has one that does not show it")
  func derived() {
    let key = WriteKey(key: "secret", site: "s", mapping: Self.mapping)
    #expect(key.id.wholeMatch(of: /c_[a-z2-7]{8}/) != nil)
    #expect(key.id == WriteKey(key: "secret", site: "t", mapping: Self.mapping).id)
    #expect(key.id != WriteKey(key: "secret2", site: "s", mapping: Self.mapping).id)
  }

  @Test("What a key has used of its rate survives changes of other keys and of its own record")
  func keepsRate() throws {
    let ring = KeyRing([], mapping: Self.mapping)
    let policy = KeyPolicy(eventsPerSecondMax: 10)
    let id = try store.add(
      KeyDraft(value: "noisy", site: "s", policy: policy), now: clock.now
    ).stored.id
    let follower = try follow(ring)
    let now = clock.clock.steadyMicros()
    let first = try #require(ring.current.find("noisy")?.rateLimit)
    #expect(first.take(25, nowMicros: now) == 0)
    _ = try store.add(KeyDraft(site: "s"), now: clock.now)
    _ = try store.rotate(id, now: clock.now)
    follower.look()
    let second = try #require(ring.current.find("noisy"))
    #expect(try #require(second.rateLimit).emptyMicros(nowMicros: now) > 0)
  }
}
