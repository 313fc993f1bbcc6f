import Glibc
import HTTPClient
import LocalServers
import PostgresClient
import Testing

/// `smartcontent dev` as a process of its own: what happens to its servers and its data when it ends,
/// in each way.
@Suite("smartcontent dev", .serialized, .endsWhatItStarts)
struct LocalServersDevTests {
  @Test("is ready, answers, and keeps its numbers over a kill -9")
  func killed() async throws {
    let home = try TemporaryFolder.make("dev-killed")
    let first = try await DevRun.start(home: home)
    try first.send(events: 20, campaign: "kept")
    #expect(try await first.impressions(of: "kept", reach: 20))
    let servers = try first.serverIdentities()
    #expect(servers.count == 3)

    await first.program.kill()
    for server in servers {
      #expect(await eventually { !server.isRunning }, "process \(server.pid) outlives dev")
    }

    let second = try await DevRun.start(home: home)
    // The promise is 5 s; a machine that runs all tests at once is slower.
    #expect(second.readyAfter < .seconds(15), "ready after \(second.readyAfter)")
    #expect(try await second.impressions(of: "kept", reach: 20))
    try second.send(events: 1, campaign: "kept")
    #expect(try await second.impressions(of: "kept", reach: 21))
    try await second.stop()
  }

  @Test("computes anew what a program has left that counts otherwise, and goes on from there")
  func upgraded() async throws {
    let home = try TemporaryFolder.make("dev-upgraded")
    let first = try await DevRun.start(home: home)
    try first.send(events: 20, campaign: "kept")
    #expect(try await first.impressions(of: "kept", reach: 20))
    // So the catalog looks to a program whose results would be others.
    _ = try PostgresConnection(PostgresSettings(connection: first.postgresURL()))
      .query("update smartcontent.pipelines set hash = hash + 1")
    try await first.stop()

    let second = try await DevRun.start(home: home)
    #expect(try await second.impressions(of: "kept", reach: 20))
    try second.send(events: 1, campaign: "kept")
    #expect(try await second.impressions(of: "kept", reach: 21))
    let database = try PostgresConnection(PostgresSettings(connection: second.postgresURL()))
    func versions() throws -> [String] {
      let result = try database.query(
        """
        select name || ' ' || version || ' ' || case when active then 'read' else state end
        from smartcontent.pipelines order by 1
        """)
      return (0..<result.rowCount).map { result.text($0, 0) }
    }
    let wanted = ["default 1 dropped", "default 2 read", "recent 1 dropped", "recent 2 read"]
    let isUpgraded = try await eventually(withinMs: 20_000, everyMs: 100) {
      try versions() == wanted
    }
    let found = try versions()
    #expect(isUpgraded, "\(found)")
    // Its rows are gone too, and the next start finds all as it is.
    #expect(
      try await eventually(withinMs: 10_000, everyMs: 100) {
        try database.query("select to_regclass('p_default_1.checkpoints')::text").isNull(0, 0)
      })
    try await second.stop()
    let third = try await DevRun.start(home: home)
    #expect(try await third.impressions(of: "kept", reach: 21))
    try await third.stop()
  }

  @Test("stops everything within 5 s of SIGTERM, with status 0")
  func stopped() async throws {
    let run = try await DevRun.start(home: try TemporaryFolder.make("dev-stopped"))
    let servers = try run.serverIdentities()
    let begin = ContinuousClock.now
    run.program.signal(SIGTERM)
    #expect(await run.program.waitForEnd(timeoutMs: 10_000) == .exited(0))
    #expect(ContinuousClock.now - begin < .seconds(5))
    #expect(servers.allSatisfy { !$0.isRunning })
  }

  @Test("goes on after each of its servers was killed", arguments: ["nats", "redis", "postgres"])
  func survives(server: String) async throws {
    let run = try await DevRun.start(home: try TemporaryFolder.make("dev-\(server)"))
    try run.send(events: 5, campaign: "before")
    let identity = try run.serverIdentity(server)
    kill(identity.pid, SIGKILL)
    #expect(await eventually { (try? run.serverIdentity(server))?.isRunning == true })
    // A collector without its log answers 503; clients try again.
    #expect(
      await eventually(withinMs: 15_000, everyMs: 50) {
        (try? run.send(events: 1, campaign: "after")) != nil
      })
    #expect(try await run.impressions(of: "before", reach: 5))
    #expect(try await run.impressions(of: "after", reach: 1))
    try await run.stop()
  }

  @Test("writes the hot copy anew after Redis was killed, though no event comes")
  func quietRedis() async throws {
    let run = try await DevRun.start(home: try TemporaryFolder.make("dev-quiet"))
    try run.send(events: 5, campaign: "quiet")
    #expect(try await run.impressions(of: "quiet", reach: 5))
    let identity = try run.serverIdentity("redis")
    kill(identity.pid, SIGKILL)
    #expect(await eventually { !identity.isRunning })
    let query = #"{"metrics":["impressions"],"date_range":"30m"}"#
    #expect(
      await eventually(withinMs: 15_000, everyMs: 50) {
        let answer = try? HTTPClient().post(
          "http://127.0.0.1:\(run.port)/v1/query",
          headers: [HTTPHeader("Content-Type", "application/json")], body: Array(query.utf8))
        return answer?.text.hasPrefix(#"{"results":[{"dimensions":[],"metrics":[5]}]"#) == true
          && answer?.text.contains(#""warnings":[]"#) == true
      }, "the open windows came back without a further event")
    try await run.stop()
  }

  @Test(
    "is refused in the folder of another, and on its port, with an exit code and a fix for each")
  func refusals() async throws {
    let home = try TemporaryFolder.make("dev-refused")
    let run = try await DevRun.start(home: home)

    let second = try await DevRun.refusal(home: home, http: "127.0.0.1:0")
    #expect(second.ending == .exited(75))
    #expect(second.text.contains("process \(run.program.pid) already runs"))

    let other = try TemporaryFolder.make("dev-port")
    let port = try await DevRun.refusal(home: other, http: "127.0.0.1:\(run.port)")
    #expect(port.ending == .exited(78))
    #expect(port.text.contains("smartcontent (process \(run.program.pid))"))
    try await run.stop()
  }

  @Test("says what to install when a program is missing, and what to do about a folder")
  func missing() async throws {
    let missing = try await DevRun.refusal(
      home: try TemporaryFolder.make("dev-missing"), http: "127.0.0.1:0",
      environment: ["SMARTCONTENT_NATS_SERVER": "/nonexistent/nats-server"])
    #expect(missing.ending == .exited(69))
    #expect(missing.text.contains("Scripts/setup"))

    let folder = try await DevRun.refusal(home: "/proc/smartcontent", http: "127.0.0.1:0")
    #expect(folder.ending == .exited(73))
    #expect(folder.text.contains("--home"))
  }
}

/// One run of `smartcontent dev` that is ready.
private struct DevRun {
  let program: ChildProgram
  let home: String
  let port: UInt16
  let readyAfter: Duration

  static func start(home: String) async throws -> DevRun {
    let port = try TestServers.freePort()
    let begin = ContinuousClock.now
    let program = try SmartContentProgram.start(
      ["dev", "--home", home, "--http", "127.0.0.1:\(port)"], name: "dev", folder: home)
    try await SmartContentProgram.waitUntilReady(
      program, url: "http://127.0.0.1:\(port)/health/ready", withinMs: 30_000)
    return DevRun(
      program: program, home: home, port: port, readyAfter: ContinuousClock.now - begin)
  }

  /// A run that ends by itself.
  static func refusal(home: String, http: String, environment: [String: String] = [:])
    async throws -> (ending: ProcessEnding?, text: String)
  {
    let logs = try TemporaryFolder.make("refusal")
    let program = try SmartContentProgram.start(
      ["dev", "--home", home, "--http", http], name: "dev", folder: logs,
      environment: environment)
    let ending = await program.waitForEnd(timeoutMs: 15_000)
    if ending == nil { await program.kill() }
    return (ending, program.log())
  }

  func stop() async throws {
    program.signal(SIGTERM)
    guard await program.waitForEnd(timeoutMs: 10_000) != nil else {
      await program.kill()
      throw HarnessError("dev did not stop:\n\(program.log())")
    }
  }

  func postgresURL() throws -> String {
    let text = try TextFile.read("\(home)/env")
    guard let found = text.firstMatch(of: /SMARTCONTENT_POSTGRES='([^']*)'/) else {
      throw HarnessError("\(home)/env does not say where Postgres is")
    }
    return String(found.1)
  }

  func serverIdentity(_ name: String) throws -> ProcessIdentity {
    let text = try TextFile.read("\(home)/run/\(name).pid")
    guard let pid = text.split(separator: " ").first.flatMap({ Int32($0) }),
      let identity = ProcessIdentity(running: pid), identity.fileText == text
    else { throw HarnessError("\(name) does not run") }
    return identity
  }

  func serverIdentities() throws -> [ProcessIdentity] {
    try ["nats", "redis", "postgres"].map(serverIdentity)
  }

  /// Impressions with ids of their own, in one batch. Throws unless the answer is 200.
  func send(events: Int, campaign: String) throws {
    let batch = (0..<events).map { index in
      #"{"type":"track","event":"Content Impression","userId":"u\#(index)","#
        + #""messageId":"\#(UInt64.random(in: 0 ... .max))","#
        + #""properties":{"campaign_id":"\#(campaign)","content_id":"c1"}}"#
    }
    let answer = try HTTPClient().post(
      "http://127.0.0.1:\(port)/v1/batch",
      headers: [
        HTTPHeader("Content-Type", "application/json"),
        // "dev:" in base64.
        HTTPHeader("Authorization", "Basic ZGV2Og=="),
      ], body: Array(#"{"batch":[\#(batch.joined(separator: ","))]}"#.utf8))
    guard answer.status == 200 else {
      throw HarnessError("the batch was answered with \(answer.status): \(answer.text)")
    }
  }

  /// Whether the query API soon answers exactly this number.
  func impressions(of campaign: String, reach count: Int) async throws -> Bool {
    let query =
      #"{"metrics":["impressions"],"dimensions":["campaign"],"date_range":"1d","#
      + #""filters":[["is","campaign",["\#(campaign)"]]]}"#
    let expected = #"{"results":[{"dimensions":["\#(campaign)"],"metrics":[\#(count)]}]"#
    return try await eventually(withinMs: 15_000, everyMs: 30) {
      let answer = try HTTPClient().post(
        "http://127.0.0.1:\(port)/v1/query",
        headers: [HTTPHeader("Content-Type", "application/json")], body: Array(query.utf8))
      return answer.text.hasPrefix(expected)
    }
  }
}
