import Foundation
import Glibc
import HTTPClient
import LocalServers
import Testing

/// `smartcontent keys` beside a running `smartcontent dev`.
@Suite("smartcontent keys", .serialized, .endsWhatItStarts)
struct KeysTests {
  /// The program with its output.
  private func run(
    _ arguments: [String], environment: [String: String] = [:]
  ) async throws -> (ending: ProcessEnding?, text: String) {
    let program = try SmartContentProgram.start(
      arguments, name: "keys", folder: try TemporaryFolder.make("keys"), environment: environment)
    return (await program.waitForEnd(timeoutMs: 10_000), program.log())
  }

  /// The JSON that a command prints.
  private func keys(_ arguments: String...) async throws -> [String: Any] {
    let (ending, text) = try await run(["keys"] + arguments + ["--output", "json"])
    guard ending == .exited(0) else { throw HarnessError("\(arguments) ended: \(text)") }
    let object = try JSONSerialization.jsonObject(with: Data(text.utf8))
    return try #require(object as? [String: Any], "\(text)")
  }

  private func text(_ object: [String: Any], _ member: String) throws -> String {
    try #require(object[member] as? String)
  }

  @Test("keys that are added, rotated and revoked count while dev runs, and before it ever ran")
  func life() async throws {
    let home = try TemporaryFolder.make("dev-keys") + "/home"
    let taken = try await keys(
      "add", "--value", "wk_demo", "--site", "default", "--home", home)
    #expect(try text(taken, "key") == "wk_demo")
    let id = try text(taken, "id")
    let hidden = try text(
      try await keys("add", "--site", "default", "--identifiers", "pseudonym", "--home", home),
      "key")

    let changed = try await keys(
      "update", id, "--rate", "900000", "--no-honour-dnt", "--address", "drop", "--home", home)
    let policy = try #require(changed["policy"] as? [String: Any])
    #expect(policy["events_per_second_max"] as? Int == 900_000)
    #expect(policy["address"] as? String == "drop")
    #expect(policy["personal_data"] as? String == "remove")

    let port = try TestServers.freePort()
    let url = "http://127.0.0.1:\(port)"
    let program = try SmartContentProgram.start(
      ["dev", "--home", home, "--http", "127.0.0.1:\(port)"], name: "dev",
      folder: try TemporaryFolder.make("dev-keys-log"))
    try await SmartContentProgram.waitUntilReady(
      program, url: url + "/health/ready", withinMs: 30_000)
    let client = try HTTPClient()
    var sent = 0
    func status(_ key: String) throws -> Int {
      sent += 1
      return try client.get(
        url + "/p.gif?k=\(key)&t=impression&cid=keys&uid=u\(sent)&eid=keys-\(sent)"
      ).status
    }
    #expect(try status("dev") == 200)
    #expect(try status("wk_demo") == 200)
    #expect(try status(hidden) == 200)

    let successor = try await keys("rotate", id, "--overlap", "1h", "--home", home)
    let next = try text(successor, "key")
    #expect(try await eventually { try status(next) == 200 })
    #expect(try status("wk_demo") == 200)
    let revoked = try await keys("revoke", id, "--home", home)
    #expect(try text(revoked, "state") == "revoked")
    #expect(try await eventually { try status("wk_demo") == 401 })
    #expect(try status(next) == 200)

    // The API changes the same file, and what it changes counts at once.
    let made = try client.post(
      url + "/v1/keys", headers: [HTTPHeader("Content-Type", "application/json")],
      body: Array(#"{"site":"default","value":"phc_demo"}"#.utf8))
    #expect(made.status == 201)
    #expect(try status("phc_demo") == 200)
    let listed = try await keys("list", "--home", home)
    #expect((listed["keys"] as? [Any])?.count == 4)

    // Every event that was answered 200 counts, by whichever key it came.
    let metrics = try client.get(url + "/metrics").text
    let stored = metrics.matches(of: /smartcontent_ingest_key_events_total\{key="[^"]+"\} ([0-9]+)/)
      .reduce(0) { $0 + (Int($1.1) ?? 0) }
    #expect(stored >= 6 && !metrics.contains("wk_demo"))
    let query =
      #"{"metrics":["impressions"],"date_range":"1d","filters":[["is","campaign",["keys"]]]}"#
    #expect(
      try await eventually(withinMs: 15_000, everyMs: 30) {
        let answer = try client.post(
          url + "/v1/query", headers: [HTTPHeader("Content-Type", "application/json")],
          body: Array(query.utf8))
        return answer.text.contains(#""metrics":[\#(stored)]"#)
      })
    program.signal(SIGTERM)
    guard await program.waitForEnd(timeoutMs: 10_000) != nil else {
      await program.kill()
      throw HarnessError("dev did not stop:\n\(program.log())")
    }
  }

  @Test("what is wrong is said, with the exit code of its kind")
  func refusals() async throws {
    let file = try TemporaryFolder.make("keys-refusals") + "/keys.json"
    let place = ["--keys-file", file]
    let added = try await run(["keys", "add", "--site", "s", "--value", "1"] + place)
    #expect(added.ending == .exited(0))
    #expect(added.text.contains("key      1   (shown once: only its hash is kept)"))
    for (arguments, code, message) in [
      (["add", "--site", "s", "--value", "1"], 1, "this key is there already, as k_"),
      (["rotate", "k_x"], 1, "no key has the id k_x; `smartcontent keys list` shows all"),
      (["revoke", "k_x"], 1, "no key has the id k_x"),
      (
        ["add", "--site", "s", "--origin", "example.org"], 1, "origin: allowed are scheme and host"
      ),
      (["add"], 64, "Missing expected argument '--site <name>'"),
      (["add", "--site", "s", "--rate", "many"], 64, "'many' is invalid"),
      (["rotate", "k_x", "--overlap", "soon"], 64, "--overlap is a duration such as 12h or 7d"),
      (["list", "--home", "x"], 64, "--home and --keys-file are two places"),
    ] as [([String], Int32, String)] {
      let (ending, text) = try await run(["keys"] + arguments + place)
      #expect(ending == .exited(code), "\(arguments): \(text)")
      #expect(text.contains(message), "\(arguments): \(text)")
    }
    let list = try await run(["keys", "list"], environment: ["SMARTCONTENT_KEYS_FILE": file])
    #expect(list.ending == .exited(0))
    #expect(list.text.contains("active  s     k_"))
    try "{".write(toFile: file, atomically: true, encoding: .utf8)
    let broken = try await run(["keys", "list"] + place)
    #expect(broken.ending == .exited(1))
    #expect(broken.text.contains("\(file): the JSON ends at byte 1"))
  }

  @Test("a collector has keys of some kind, and does not start on a file that is none of keys")
  func collector() async throws {
    let servers = ["SMARTCONTENT_NATS": "nats://127.0.0.1:1"]
    let none = try await run(["collect", "--http", "127.0.0.1:0"], environment: servers)
    #expect(none.ending == .exited(64))
    #expect(none.text.contains("there are no write keys: give --keys-file or --write-keys"))
    let file = try TemporaryFolder.make("keys-collector") + "/keys.json"
    try #"{"version":1,"keys":[{"colour":1}]}"#.write(
      toFile: file, atomically: true, encoding: .utf8)
    let broken = try await run(
      ["collect", "--http", "127.0.0.1:0", "--keys-file", file], environment: servers)
    #expect(broken.ending == .exited(1))
    #expect(broken.text.contains("\(file): keys[0]: the member colour is not known"))
  }
}
