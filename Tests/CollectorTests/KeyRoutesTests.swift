import Foundation
import HTTPServer
import Testing

@testable import Collector

@Suite("Keys over HTTP")
struct KeyRoutesTests {
  private let folder: ScratchFolder
  private let store: KeyStore
  private let clock = ScriptedClock()

  init() throws {
    folder = try ScratchFolder()
    store = KeyStore(path: folder.keys)
  }

  private struct Client {
    let port: Int

    func ask(
      _ method: String, _ path: String, _ body: String = "", headers: String = ""
    ) async throws -> RawRequest.Answer {
      try await RawRequest.send(method, path, headers: headers, body: Array(body.utf8), port: port)
    }
  }

  /// A collector that follows the store, with the API beside it.
  private func withServer(
    check: @escaping @Sendable (HTTPRequest) throws(Problem) -> Void = { _ in },
    _ body: (Client) async throws -> Void
  ) async throws {
    let ring = KeyRing([], mapping: CompiledMapping(standardMapping))
    try await RunningCollector.run(
      clock: clock.clock, publisher: .storing,
      routes: { pipeline, metrics, routes in
        do {
          let follower = try KeyFileFollower(
            store, ring: ring, metrics: metrics, clock: clock.clock,
            log: RunningCollector.quietLog)
          IngestRoutes(
            keys: ring.current, pipeline: pipeline, producer: RunningCollector.producer,
            metrics: metrics, clock: clock.clock
          ).add(to: &routes)
          KeyRoutes(
            store, check: check, changed: { follower.look() }, clock: clock.clock,
            log: RunningCollector.quietLog
          ).declare(on: &routes)
        } catch {
          Issue.record("\(error)")
        }
      },
      { port, _ in try await body(Client(port: port)) })
  }

  private static func member(_ name: String, _ answer: RawRequest.Answer) throws -> String {
    let object = try JSONSerialization.jsonObject(with: Data(answer.body.utf8))
    return try #require((object as? [String: Any])?[name] as? String, "\(answer.body)")
  }

  @Test("A key is made, used at once, rotated and revoked")
  func life() async throws {
    try await withServer { client in
      func sends(_ key: String) async throws -> Int {
        try await client.ask("GET", "/p.gif?uid=u&k=\(key)").status
      }
      #expect(try await client.ask("GET", "/v1/keys").body == #"{"keys":[]}"#)
      let made = try await client.ask(
        "POST", "/v1/keys", #"{"site":"shop","source":"web","policy":{"honours_gpc":true}}"#)
      #expect(made.status == 201)
      #expect(made.head.contains("cache-control: no-store"))
      let key = try Self.member("key", made)
      let id = try Self.member("id", made)
      #expect(try Self.member("source", made) == "web")
      #expect(made.body.contains(#""honours_gpc":true"#))
      #expect(try await sends(key) == 200)

      let changed = try await client.ask(
        "PATCH", "/v1/keys/\(id)", #"{"policy":{"personal_data":"keep","honours_dnt":true}}"#)
      #expect(changed.status == 200)
      #expect(
        changed.body.contains(
          #""personal_data":"keep","identifiers":"keep","honours_dnt":true,"honours_gpc":true"#))
      #expect(
        try await client.ask("PATCH", "/v1/keys/\(id)", #"{"policy":{"address":"all"}}"#).body
          .contains("policy.address: allowed: drop, truncate"))
      #expect(try await client.ask("PATCH", "/v1/keys/k_x", "{}").status == 404)

      let rotated = try await client.ask(
        "POST", "/v1/keys/\(id)/rotate", #"{"overlap_seconds":60}"#)
      #expect(rotated.status == 201)
      let next = try Self.member("key", rotated)
      let nextID = try Self.member("id", rotated)
      #expect(try await sends(key) == 200)
      #expect(try await sends(next) == 200)
      let revoked = try await client.ask("DELETE", "/v1/keys/\(nextID)")
      #expect(revoked.status == 200)
      #expect(try Self.member("state", revoked) == "revoked")
      #expect(try await sends(next) == 401)
      #expect(try await client.ask("DELETE", "/v1/keys/\(nextID)").body == revoked.body)

      let list = try await client.ask("GET", "/v1/keys")
      #expect(list.body == text(StoredKey.json(try store.all(), now: clock.now)))
      for secret in [key, next] { #expect(!list.body.contains(secret)) }
    }
  }

  @Test("A rotation without a body lasts a day")
  func rotation() async throws {
    let id = try store.add(KeyDraft(site: "s"), now: clock.now).stored.id
    try await withServer { client in
      let answer = try await client.ask("POST", "/v1/keys/\(id)/rotate")
      #expect(answer.status == 201)
      #expect(try store.all().first?.expiresAt == clock.now + 86_400_000_000)
    }
  }

  @Test(
    "What is wrong is said, with its place and the status of its kind",
    arguments: [
      ("POST /v1/keys", "", 400, "invalid_key", "an object is expected"),
      ("POST /v1/keys", "{}", 400, "invalid_key", "the member site is expected"),
      (
        "POST /v1/keys", #"{"site":"s","rate":1}"#, 400, "invalid_key",
        "the member rate is not known; allowed: value, site, source, policy"
      ),
      (
        "POST /v1/keys", #"{"site":"s","policy":{"origins":["x"]}}"#, 400, "invalid_key",
        "policy.origins[0]: an origin such as https://www.example.org is expected"
      ),
      (
        "POST /v1/keys", #"{"site":"s","value":"taken"}"#, 409, "duplicate_key",
        "this key is there already"
      ),
      ("POST /v1/keys/k_x/rotate", "", 404, "unknown_key", "no key has the id k_x"),
      ("DELETE /v1/keys/k_x", "", 404, "unknown_key", "no key has the id k_x"),
      (
        "POST /v1/keys/ID/rotate", #"{"overlap_seconds":-1}"#, 400, "invalid_key",
        "overlap_seconds: allowed is 0 to 31622400"
      ),
      ("POST /v1/keys/ENDED/rotate", "", 409, "key_not_active", "is not active but revoked"),
    ])
  func problems(
    request: String, body: String, status: Int, code: String, detail: String
  ) async throws {
    let id = try store.add(KeyDraft(value: "taken", site: "s"), now: clock.now).stored.id
    let ended = try store.add(KeyDraft(site: "s"), now: clock.now).stored.id
    _ = try store.revoke(ended, now: clock.now)
    let words = request.replacing("ID", with: id).replacing("ENDED", with: ended)
      .split(separator: " ").map(String.init)
    try await withServer { client in
      let answer = try await client.ask(words[0], words[1], body)
      #expect(answer.status == status)
      #expect(answer.body.contains(#""code":"\#(code)""#), "\(answer.body)")
      #expect(answer.body.contains(detail), "\(answer.body)")
    }
  }

  @Test("Every route asks who it is, and changes nothing before")
  func guarded() async throws {
    let id = try store.add(KeyDraft(site: "s"), now: clock.now).stored.id
    let refuse: @Sendable (HTTPRequest) throws(Problem) -> Void = { _ throws(Problem) in
      throw Problem(.unauthorized, code: "token_missing", detail: "no")
    }
    try await withServer(check: refuse) { client in
      for request in [
        "GET /v1/keys", "POST /v1/keys", "POST /v1/keys/\(id)/rotate", "DELETE /v1/keys/\(id)",
      ] {
        let words = request.split(separator: " ").map(String.init)
        let answer = try await client.ask(words[0], words[1], #"{"site":"s"}"#)
        #expect(answer.status == 401, "\(request)")
      }
    }
    #expect(try store.all().map { $0.state(at: clock.now) } == [.active])
  }

  @Test("Pages of other servers change no keys")
  func crossOrigin() async throws {
    try await withServer { client in
      // The test's requests are to the host x.
      for (origin, status) in [
        ("http://x", 201), ("https://X", 201), ("https://evil.example", 403), ("null", 403),
      ] {
        let answer = try await client.ask(
          "POST", "/v1/keys", #"{"site":"s"}"#, headers: "Origin: \(origin)\r\n")
        #expect(answer.status == status, "\(origin)")
        #expect(!answer.head.contains("access-control-allow-origin"))
      }
    }
    #expect(try store.all().count == 2)
  }

  @Test("A broken file is a 503 that does not say where it is")
  func broken() async throws {
    try await withServer { client in
      try FileManager.default.createDirectory(
        atPath: folder.path + "/home", withIntermediateDirectories: true)
      try folder.write("[]", folder.keys)
      for (method, body) in [("GET", ""), ("POST", #"{"site":"s"}"#)] {
        let answer = try await client.ask(method, "/v1/keys", body)
        #expect(answer.status == 503)
        #expect(answer.body.contains(#""code":"keys_unavailable""#))
        #expect(!answer.body.contains(folder.path))
      }
    }
  }
}
