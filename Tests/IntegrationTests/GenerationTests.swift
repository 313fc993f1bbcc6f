import Glibc
import HTTPClient
import LocalServers
import PostgresClient
import Testing

/// Another number of partitions while a collector and two processors work as processes of their own,
/// under traffic that knows its truth.
@Suite("Streams are divided anew", .serialized, .endsWhatItStarts)
struct GenerationTests {
  private func repartition(_ roles: SDKRoles, to partitions: Int) async throws -> ChildProgram {
    try await roles.command(
      ["streams", "repartition", "--partitions", "\(partitions)"], name: "repartition")
  }

  private func expectSuccess(_ program: ChildProgram) async {
    let ending = await program.waitForEnd(timeoutMs: 60_000)
    #expect(ending == .exited(0), "\(program.log())")
  }

  /// Streams of the generation that are committed to their ends, and those that have begun.
  private func streams(
    _ database: PostgresConnection, of generation: Int
  ) throws -> (finished: Int64, begun: Int64) {
    let result = try database.query(
      """
      select count(*) filter (where seam_1d > '9000-01-01')::int8,
        count(*) filter (where sequence > 0)::int8
      from p_default_1.checkpoints where generation = \(generation) and partition >= 0
      """)
    return (result.int8(0, 0), result.int8(0, 1))
  }

  @Test(
    "from 4 to 8 and to 3 partitions under traffic, the command killed in between, nothing is lost or doubled"
  )
  func beside() async throws {
    let roles = try await SDKRoles("generations")
    let run = try ProgramRun(
      try SmartContentProgram.path(),
      [
        "demo", "--url", roles.url(.collect), "--query-url", roles.url(.serve), "--key",
        SDKRoles.writeKey, "--label", "generations", "--rate", "300", "--duration", "25s",
      ])
    try await run.waitUntilSaid("sending to", withinMs: 20_000)
    let database = try PostgresConnection(PostgresSettings(connection: roles.postgresURL))
    let hasBegun = try await eventually(withinMs: 20_000, everyMs: 20) {
      try streams(database, of: 1).begun == 4
    }
    try #require(hasBegun)

    let killed = try await repartition(roles, to: 8)
    _ = await eventually(withinMs: 20_000, everyMs: 1) {
      killed.log().contains("closed") || killed.ending != nil
    }
    await killed.kill()
    await expectSuccess(try await repartition(roles, to: 8))
    let isTakenOver = try await eventually(withinMs: 60_000, everyMs: 20) {
      try streams(database, of: 1).finished == 4 && streams(database, of: 2).begun == 8
    }
    #expect(isTakenOver)

    await expectSuccess(try await repartition(roles, to: 3))
    let code = try await run.end(withinMs: 180_000)
    let text = try run.text
    #expect(code == 0, "\(text.suffix(4000))")
    #expect(text.contains("EQUAL to the last event"))
    #expect(try streams(database, of: 2).finished == 8)

    // An earlier history comes back from the log alone, too.
    await roles.kill(.processOne)
    await roles.kill(.processTwo)
    try await roles.start(.processThree)
    // As long as the query may wait.
    let client = try HTTPClient(HTTPClientSettings(timeoutMs: 40_000))
    let later = try roles.fence("generations", ofUsers: true)
    let answer = try client.post(
      roles.url(.serve) + "/v1/query?after=\(later)&timeout=30",
      headers: [HTTPHeader("Content-Type", "application/json")],
      body: Array("{\"metrics\":[\"impressions\"],\"date_range\":\"1h\"}".utf8))
    #expect(answer.status == 200, "\(answer.text)")
    let verify = try await roles.command(["verify"], name: "verify")
    await expectSuccess(verify)
    try await expectReplay(roles, client, after: later)
  }

  /// A replay over all cuts answers what the stores answer.
  private func expectReplay(
    _ roles: SDKRoles, _ client: HTTPClient, after position: String
  ) async throws {
    for metrics in [
      #""impressions","clicks","conversions","revenue""#,
      #""sessions","bounces","attributed_clicks","attributed_conversions""#,
    ] {
      let query =
        #"{"metrics":[\#(metrics)],"dimensions":["campaign","variant"],"date_range":"24h","#
        + #""order_by":[["campaign","asc"],["variant","asc"]]}"#
      let live = try client.post(
        roles.url(.serve) + "/v1/query?after=\(position)&timeout=30",
        headers: [HTTPHeader("Content-Type", "application/json")], body: Array(query.utf8))
      #expect(live.status == 200, "\(live.text)")
      let replay = try await roles.command(
        ["replay", "--until", "0s", "--query", query], name: "replay")
      await expectSuccess(replay)
      #expect(live.text.contains("campaign"))
      #expect(
        ProofSystem.results(String(replay.log().split(separator: "\n").last ?? ""))
          == ProofSystem.results(live.text))
    }
  }
}
