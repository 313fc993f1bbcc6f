import Events
import Foundation
import Synchronization
import Testing

@testable import Collector

@Suite("Key store")
struct KeyStoreTests {
  private let folder: ScratchFolder
  private let store: KeyStore

  init() throws {
    folder = try ScratchFolder()
    store = KeyStore(path: folder.keys)
  }

  private func failure(_ body: () throws -> Void) -> KeyStoreError? {
    #expect(throws: KeyStoreError.self) { try body() }
  }

  @Test("A made key is shown once and kept as its hash, in a file for its owner alone")
  func made() throws {
    let new = try store.add(KeyDraft(site: "shop"), now: testNow)
    #expect(new.key.wholeMatch(of: /wk_[a-z2-7]{26}/) != nil)
    #expect(new.stored.id.wholeMatch(of: /k_[a-z2-7]{8}/) != nil)
    #expect(new.stored.source == new.stored.id)
    #expect(try store.all() == [new.stored])
    #expect(!(try folder.read(folder.keys)).contains(new.key))
    let attributes = try FileManager.default.attributesOfItem(atPath: folder.keys)
    #expect(attributes[.posixPermissions] as? Int == 0o600)
    // Postgres of `dev` may run as another user, below this folder.
    let home = try FileManager.default.attributesOfItem(atPath: folder.path + "/home")
    #expect(home[.posixPermissions] as? Int == 0o711)
    let again = try store.add(KeyDraft(site: "shop"), now: testNow)
    #expect(again.key != new.key)
    #expect(try store.all().map(\.id) == [new.stored.id, again.stored.id])
  }

  @Test("The file is as it has always been, byte for byte")
  func golden() throws {
    var generator = CountingGenerator()
    let policy = KeyPolicy(
      origins: ["HTTPS://www.Example.org:443/", "https://*.example.net"], eventsPerSecondMax: 50,
      address: .drop, personalData: .keep, identifiers: .pseudonym, honoursDoNotTrack: true,
      honoursGlobalPrivacyControl: true)
    let first = try store.add(
      KeyDraft(value: "wk_demo", site: "shop", source: "web", policy: policy), now: testNow,
      using: &generator)
    let second = try store.rotate(
      first.stored.id, overlapMicros: 60_000_000, now: testNow + 1, using: &generator)
    _ = try store.revoke(second.stored.id, now: testNow + 1_500_000)
    let policyText =
      #""policy":{"origins":["https://www.example.org","https://*.example.net"],"#
      + #""events_per_second_max":50,"address":"drop","personal_data":"keep","#
      + #""identifiers":"pseudonym","honours_dnt":true,"honours_gpc":true}}"#
    // SHA-256 as `printf wk_demo | sha256sum` has it.
    let expected =
      #"{"version":1,"keys":["# + "\n"
      + #"{"id":"\#(first.stored.id)","#
      + #""sha256":"d6bb9a4965bd32050601f95bf7bb5bac329a769dbef3a9a33b11cf2521cbbd6d","#
      + #""site":"shop","source":"web","created_at":"2026-11-23T09:00:00.000Z","#
      + #""expires_at":"2026-11-23T09:01:00.000001Z",\#(policyText),"# + "\n"
      + #"{"id":"\#(second.stored.id)","sha256":"\#(hexadecimal(second.stored.hash))","#
      + #""site":"shop","source":"web","created_at":"2026-11-23T09:00:00.000001Z","#
      + #""revoked_at":"2026-11-23T09:00:01.500Z",\#(policyText)"# + "\n]}\n"
    #expect(try folder.read(folder.keys) == expected)
  }

  private func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { String(format: "%02x", $0) }.joined()
  }

  @Test(
    "A key of another tool is taken over as it is",
    arguments: ["wk_demo", "1", "G-XXXX", "phc_demo", "UA 1/2", "schlüssel", "a:b", "🔑"])
  func takenOver(value: String) throws {
    let new = try store.add(KeyDraft(value: value, site: "default"), now: testNow)
    #expect(new.key == value)
    let ring = KeyRing([], mapping: CompiledMapping(standardMapping))
    ring.take(try store.all())
    for _ in 0..<2 { #expect(ring.current.find(value)?.id == new.stored.id) }
    #expect(ring.current.find(value + "x") == nil)
    #expect(ring.current.find("") == nil)
  }

  @Test(
    "What is no key, site, source, origin or rate is refused, with what is allowed",
    arguments: [
      (KeyDraft(value: "", site: "s"), "value: allowed are 1 to 128 printable characters"),
      (
        KeyDraft(value: String(repeating: "x", count: 129), site: "s"),
        "value: allowed are 1 to 128 printable characters"
      ),
      (KeyDraft(value: "a\nb", site: "s"), "value: allowed are 1 to 128 printable characters"),
      (KeyDraft(value: "a\u{200b}", site: "s"), "value: allowed are 1 to 128 printable characters"),
      (KeyDraft(site: ""), "site: allowed are 1 to 128 printable characters"),
      (KeyDraft(site: "s", source: "\u{0}"), "source: allowed are 1 to 128 printable characters"),
      (
        KeyDraft(site: "s", policy: KeyPolicy(eventsPerSecondMax: 0)),
        "rate: allowed is 1 to 1000000 events per second"
      ),
      (
        KeyDraft(site: "s", policy: KeyPolicy(origins: ["www.example.org"])),
        "origin: allowed are scheme and host, such as https://www.example.org, a port where it is"
          + " another than the scheme's, or https://*.example.org for all hosts below"
      ),
      (
        KeyDraft(
          site: "s", policy: KeyPolicy(origins: (0...100).map { "https://h\($0).example" })),
        "origin: a key may list 100 of them"
      ),
    ])
  func refused(draft: KeyDraft, expected: String) throws {
    let error = failure { _ = try store.add(draft, now: testNow) }
    #expect(error?.description == expected)
    #expect(!FileManager.default.fileExists(atPath: folder.keys))
  }

  @Test("A key is there once; one that was revoked may come back")
  func duplicate() throws {
    let first = try store.add(KeyDraft(value: "1", site: "a"), now: testNow)
    let error = failure { _ = try store.add(KeyDraft(value: "1", site: "b"), now: testNow) }
    #expect(error == .duplicate(id: first.stored.id))
    #expect(!"\(try #require(error))".contains("\"1\""))
    _ = try store.revoke(first.stored.id, now: testNow)
    let second = try store.add(KeyDraft(value: "1", site: "b"), now: testNow)
    let ring = KeyRing([], mapping: CompiledMapping(standardMapping))
    ring.take(try store.all().filter { $0.isAccepted(at: testNow) })
    #expect(ring.current.find("1")?.id == second.stored.id)
  }

  @Test("A rotated key ends after the overlap; its successor has its site, source and policy")
  func rotated() throws {
    let policy = KeyPolicy(origins: ["https://a.example"], eventsPerSecondMax: 7)
    let old = try store.add(
      KeyDraft(value: "phc_demo", site: "shop", source: "web", policy: policy), now: testNow)
    let new = try store.rotate(old.stored.id, overlapMicros: 1000, now: testNow)
    #expect(new.stored.site == "shop" && new.stored.source == "web")
    #expect(new.stored.policy == policy)
    let record = try #require(try store.all().first)
    #expect(record.state(at: testNow) == .ending)
    #expect(record.state(at: testNow + 999) == .ending)
    #expect(record.state(at: testNow + 1000) == .ended)
    #expect(new.stored.state(at: .max) == .active)
  }

  @Test("Only an active key is rotated, and only what is there is changed")
  func notActive() throws {
    let old = try store.add(KeyDraft(site: "s"), now: testNow).stored.id
    let new = try store.rotate(old, overlapMicros: 10, now: testNow).stored.id
    #expect(
      failure { _ = try store.rotate(old, now: testNow) } == .notActive(id: old, state: .ending))
    #expect(
      failure { _ = try store.rotate(old, now: testNow + 10) } == .notActive(id: old, state: .ended)
    )
    _ = try store.revoke(new, now: testNow)
    #expect(
      failure { _ = try store.rotate(new, now: testNow) } == .notActive(id: new, state: .revoked))
    #expect(failure { _ = try store.rotate("k_x", now: testNow) } == .unknown(id: "k_x"))
    #expect(failure { _ = try store.revoke("k_x", now: testNow) } == .unknown(id: "k_x"))
    #expect(
      failure { _ = try store.rotate(old, overlapMicros: -1, now: testNow) }
        == .invalid(field: "overlap", detail: "allowed is 0 to 366 days"))
  }

  @Test("A key is revoked once: the first time stays")
  func revokedTwice() throws {
    let id = try store.add(KeyDraft(site: "s"), now: testNow).stored.id
    #expect(try store.revoke(id, now: testNow + 1).revokedAt == testNow + 1)
    #expect(try store.revoke(id, now: testNow + 2).revokedAt == testNow + 1)
  }

  @Test("Keys that ended are listed for 90 days, then they go with the next change")
  func forgotten() throws {
    let revoked = try store.add(KeyDraft(site: "s"), now: testNow).stored.id
    let rotated = try store.add(KeyDraft(site: "s"), now: testNow).stored.id
    _ = try store.revoke(revoked, now: testNow)
    let day: Int64 = 86_400_000_000
    let successor = try store.rotate(rotated, overlapMicros: 10 * day, now: testNow).stored.id
    let later = try store.add(KeyDraft(site: "s"), now: testNow + 90 * day).stored.id
    #expect(try store.all().map(\.id) == [rotated, successor, later])
    let last = try store.add(KeyDraft(site: "s"), now: testNow + 100 * day).stored.id
    #expect(try store.all().map(\.id) == [successor, later, last])
  }

  private static let hash = String(repeating: "0f", count: 32)
  private static let good =
    #""id":"k_1","sha256":"\#(hash)","site":"s","source":"w","created_at":"2026-11-23T09:00:00Z""#

  @Test(
    "A file that is none of keys is refused, with the place and what is expected there",
    arguments: [
      ("{", "the JSON ends at byte 1, where a key in double quotes is expected"),
      ("{}", "the members version and keys are expected"),
      (#"{"version":2,"keys":[]}"#, "version: allowed is 1 to 1"),
      (
        #"{"version":1,"keys":[],"colour":1}"#,
        "the member colour is not known; allowed: version, keys"
      ),
      (
        #"{"version":1,"keys":[{"key":"wk_demo"}]}"#,
        "keys[0]: the member key is not known; allowed: id, sha256, site, source, created_at,"
          + " expires_at, revoked_at, policy"
      ),
      (
        #"{"version":1,"keys":[{"wk_2demo!":1}]}"#,
        "keys[0]: a member is not known; allowed: id, sha256, site, source, created_at,"
          + " expires_at, revoked_at, policy"
      ),
      (
        #"{"version":1,"keys":[{\#(good),"policy":{"rate":5}}]}"#,
        "keys[0].policy: the member rate is not known; allowed: origins, events_per_second_max,"
          + " address, personal_data, identifiers, honours_dnt, honours_gpc"
      ),
      (
        #"{"version":1,"keys":[{\#(good),"policy":{"origins":["https://a.example","a"]}}]}"#,
        "keys[0].policy.origins[1]: an origin such as https://www.example.org is expected"
      ),
      (
        #"{"version":1,"keys":[{\#(good),"policy":{"events_per_second_max":0}}]}"#,
        "keys[0].policy.events_per_second_max: allowed is 1 to 1000000"
      ),
      (
        #"{"version":1,"keys":[{\#(good),"site":"t"}]}"#,
        "keys[0].site: the member is there twice"
      ),
      (#"{"version":1,"keys":[{\#(good)},{\#(good)}]}"#, "keys[1]: the id is there twice"),
      (
        #"{"version":1,"keys":[{"id":"k_1","site":"s"}]}"#,
        "keys[0]: the members id, sha256, site, source and created_at are expected"
      ),
      (
        #"{"version":1,"keys":[{"sha256":"0F"}]}"#,
        "keys[0].sha256: 64 hexadecimal digits in lower case are expected"
      ),
      (
        #"{"version":1,"keys":[{"created_at":"today"}]}"#,
        "keys[0].created_at: a time such as 2026-11-23T09:00:00Z is expected"
      ),
      (
        #"{"version":1,"keys":[]} x"#,
        "at byte 24 of the JSON nothing after the value is expected"
      ),
    ])
  func malformed(text: String, expected: String) throws {
    try FileManager.default.createDirectory(
      atPath: folder.path + "/home", withIntermediateDirectories: true)
    try folder.write(text, folder.keys)
    let error = failure { _ = try store.all() }
    #expect(error?.description == "\(folder.keys): \(expected)")
    // Nor is it replaced.
    #expect(failure { _ = try store.add(KeyDraft(site: "s"), now: testNow) } == error)
    #expect(try folder.read(folder.keys) == text)
  }

  @Test(
    "A change names what is to be another; null takes a limit or a list away",
    arguments: [
      (#"{}"#, 50, ["https://a.example"]),
      (#"{"events_per_second_max":7}"#, 7, ["https://a.example"]),
      (#"{"events_per_second_max":null}"#, nil, ["https://a.example"]),
      (#"{"origins":null}"#, 50, []), (#"{"origins":[]}"#, 50, []),
      (
        #"{"origins":["https://b.example"],"events_per_second_max":null}"#, nil,
        ["https://b.example"]
      ),
    ] as [(String, Int?, [String])])
  func changed(change: String, rate: Int?, origins: [String]) throws {
    let policy = KeyPolicy(origins: ["https://a.example"], eventsPerSecondMax: 50)
    let new = try store.add(KeyDraft(site: "shop", policy: policy), now: testNow)
    let updated = try store.update(
      new.stored.id, try KeyFormat.change(Array(#"{"policy":\#(change)}"#.utf8)), now: testNow)
    #expect(updated.policy.eventsPerSecondMax == rate)
    #expect(updated.policy.origins == origins)
    #expect(try store.all() == [updated])
    let successor = try store.rotate(new.stored.id, now: testNow).stored
    #expect(successor.policy == updated.policy)
  }

  @Test("Writers at the same time lose nothing of each other")
  func together() async throws {
    let store = store
    try await withThrowingTaskGroup(of: Void.self) { group in
      for writer in 0..<4 {
        group.addTask {
          for number in 0..<10 {
            _ = try store.add(KeyDraft(value: "\(writer)-\(number)", site: "s"), now: testNow)
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(try store.all().count == 40)
  }

  @Test("What a crash left of a write is no obstacle")
  func crashed() throws {
    let first = try store.add(KeyDraft(site: "s"), now: testNow)
    try folder.write("{\"version\":1,\"ke", folder.keys + ".new")
    #expect(try store.all() == [first.stored])
    let second = try store.add(KeyDraft(site: "s"), now: testNow)
    #expect(try store.all() == [first.stored, second.stored])
  }

  @Test("A writer that does not end is named after a while")
  func busy() throws {
    let file = KeyFile(path: folder.keys, lockWaitMs: 20)
    try file.locked { () throws(KeyStoreError) in
      _ = #expect(throws: KeyStoreError.busy(path: folder.keys)) { try file.locked {} }
    }
    try file.locked {}
  }

  @Test("A folder that may not be made is named")
  func noFolder() throws {
    try folder.write("", folder.path + "/file")
    let store = KeyStore(path: folder.path + "/file/keys.json")
    let error = failure { _ = try store.add(KeyDraft(site: "s"), now: testNow) }
    #expect("\(try #require(error))".contains("\(folder.path)/file"))
  }

  @Test("Listed keys say how they stand, and neither key nor hash")
  func listed() throws {
    let new = try store.add(KeyDraft(value: "wk_demo", site: "shop", source: "web"), now: testNow)
    let id = new.stored.id
    #expect(
      text(StoredKey.json(try store.all(), now: testNow))
        == #"{"keys":[{"id":"\#(id)","state":"active","site":"shop","source":"web","#
        + #""created_at":"2026-11-23T09:00:00.000Z","policy":{"origins":[],"#
        + #""address":"truncate","personal_data":"remove","identifiers":"keep","#
        + #""honours_dnt":false,"honours_gpc":false}}]}"#)
    #expect(text(new.json(now: testNow)).hasPrefix(#"{"key":"wk_demo","id":"\#(id)","#))
  }
}
