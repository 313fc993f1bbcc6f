import Glibc
import HTTPClient
import LocalServers
import PostgresClient
import Testing

/// Several processors as processes of their own, under traffic that knows its truth.
@Suite("Processors share the streams", .serialized, .endsWhatItStarts)
struct ProcessGroupTests {
  /// Both pipelines' partitions and dead letters, and what is between the stages of one.
  private static let streamCount = 2 * 5 + 1

  /// The gauges and counters of a processor, summed over their series; nil while it does not answer.
  private func metrics(_ roles: SDKRoles, _ role: SDKRoles.Role) throws -> [String: Double]? {
    let client = try HTTPClient(HTTPClientSettings(connectTimeoutMs: 200, timeoutMs: 500))
    let text: String
    do {
      text = try client.get(roles.url(role) + "/metrics").text
    } catch {
      return nil
    }
    var sums: [String: Double] = [:]
    for line in text.split(separator: "\n") where line.hasPrefix("smartcontent_") {
      guard let space = line.lastIndex(of: " ") else { continue }
      let name = line.prefix { $0 != "{" && $0 != " " }
      sums[String(name), default: 0] += Double(line[line.index(after: space)...]) ?? 0
    }
    return sums
  }

  /// How many streams each processor has live.
  private func live(_ roles: SDKRoles, _ processes: [SDKRoles.Role]) throws -> [Int] {
    try processes.map { role in
      Int(try metrics(roles, role)?["smartcontent_partition_running"] ?? 0)
    }
  }

  private func waitForShares(
    _ roles: SDKRoles, _ shares: [SDKRoles.Role: ClosedRange<Int>], withinMs: Int = 30_000
  ) async throws {
    let processes = Array(shares.keys)
    let isShared = try await eventually(withinMs: withinMs, everyMs: 10) {
      let counts = try live(roles, processes)
      return counts.reduce(0, +) == Self.streamCount
        && zip(processes, counts).allSatisfy { shares[$0]?.contains($1) ?? false }
    }
    let counts = try live(roles, processes)
    try #require(isShared, "the shares are \(zip(processes, counts).map { "\($0): \($1)" })")
  }

  private func traffic(_ roles: SDKRoles, _ label: String, seconds: Int) throws -> ProgramRun {
    try ProgramRun(
      try SmartContentProgram.path(),
      [
        "demo", "--url", roles.url(.collect), "--query-url", roles.url(.serve), "--key",
        SDKRoles.writeKey, "--label", label, "--rate", "300", "--duration", "\(seconds)s",
      ])
  }

  private func expectEqual(_ run: ProgramRun) async throws {
    let code = try await run.end(withinMs: 180_000)
    let text = try run.text
    #expect(code == 0, "\(text.suffix(4000))")
    #expect(text.contains("EQUAL to the last event"))
  }

  @Test("a killed one's are live elsewhere within two seconds, a third gets its share, one leaves")
  func killed() async throws {
    let roles = try await SDKRoles("group-killed")
    let half = Self.streamCount / 2...Self.streamCount / 2 + 1
    try await waitForShares(roles, [.processOne: half, .processTwo: half])
    let run = try traffic(roles, "group-killed", seconds: 30)
    try await run.waitUntilSaid("sending to", withinMs: 20_000)

    // A machine that is busy with other things gets three tries.
    var quickest = Duration.seconds(60)
    for _ in 0..<3 where quickest > .seconds(2) {
      let begin = ContinuousClock.now
      await roles.kill(.processOne)
      try await waitForShares(roles, [.processTwo: Self.streamCount...Self.streamCount])
      quickest = min(quickest, ContinuousClock.now - begin)
      print("all streams of two processors are live in one after \(quickest)")
      try await roles.start(.processOne)
      try await waitForShares(roles, [.processOne: half, .processTwo: half])
    }
    #expect(quickest <= .seconds(2))

    try await roles.start(.processThree)
    let third = Self.streamCount / 3...Self.streamCount / 3 + 1
    try await waitForShares(
      roles, [.processOne: third, .processTwo: third, .processThree: third])
    await roles.signal(.processTwo, SIGTERM)
    try await waitForShares(roles, [.processOne: half, .processThree: half])
    try await expectEqual(run)
  }

  @Test("one that stands still for seconds loses its streams, and writes nothing after that")
  func standingStill() async throws {
    let roles = try await SDKRoles("group-still")
    let half = Self.streamCount / 2...Self.streamCount / 2 + 1
    try await waitForShares(roles, [.processOne: half, .processTwo: half])
    let run = try traffic(roles, "group-still", seconds: 40)
    try await run.waitUntilSaid("sending to", withinMs: 20_000)

    let database = try PostgresConnection(PostgresSettings(connection: roles.postgresURL))
    func owners() throws -> [String: Int64] {
      let result = try database.query(
        """
        select coalesce(owner, ''), sum(epoch)::int8 from p_default_1.checkpoints group by 1
        """)
      var epochs: [String: Int64] = [:]
      for row in 0..<result.rowCount { epochs[result.text(row, 0)] = result.int8(row, 1) }
      return epochs
    }
    func commits() throws -> Int64 {
      try database.query("select sum(commits)::int8 from p_default_1.checkpoints").int8(0, 0)
    }
    #expect(try owners().count == 2)
    for _ in 0..<2 {
      await roles.signal(.processOne, SIGSTOP)
      try await waitForShares(roles, [.processTwo: Self.streamCount...Self.streamCount])
      let paused = try owners()
      #expect(paused.count == 1)
      // Some seconds' work of the other one.
      let before = try commits()
      let goesOn = try await eventually(withinMs: 30_000, everyMs: 50) {
        try commits() > before + 50
      }
      #expect(goesOn)
      #expect(try owners() == paused)
      await roles.signal(.processOne, SIGCONT)
      try await waitForShares(roles, [.processOne: half, .processTwo: half])
    }
    let counters = try metrics(roles, .processOne) ?? [:]
    #expect(counters["smartcontent_stream_fenced_total"] ?? 0 >= 8)
    #expect(counters["smartcontent_processor_halts_total"] ?? 0 == 0)
    try await expectEqual(run)
  }

  @Test("Postgres killed and started again moves no stream")
  func postgresAway() async throws {
    let roles = try await SDKRoles("group-away")
    let half = Self.streamCount / 2...Self.streamCount / 2 + 1
    try await waitForShares(roles, [.processOne: half, .processTwo: half])
    let run = try traffic(roles, "group-away", seconds: 10)
    try await run.waitUntilSaid("sending to", withinMs: 20_000)
    func taken() throws -> [Double] {
      try [.processOne, .processTwo].map {
        try metrics(roles, $0)?["smartcontent_stream_takeovers_total"] ?? -1
      }
    }
    let before = try taken()
    await roles.kill(.postgres)
    for role in SDKRoles.Role.usual { try await roles.waitUntilReady(role) }
    try await expectEqual(run)
    #expect(try taken() == before)
  }
}
