import Foundation
import LocalServers
import Testing

/// The demo's own truth against the query API's answers, with the roles as separate processes and
/// every way in, every sort of traffic and all partitions busy.
@Suite("Demo traffic comes out equal to its truth", .serialized, .endsWhatItStarts)
struct SDKDemoTests {
  private func demo(
    _ roles: SDKRoles, label: String, _ options: [String]
  ) throws -> ProgramRun {
    try ProgramRun(
      try SmartContentProgram.path(),
      [
        "demo", "--url", roles.url(.collect), "--query-url", roles.url(.serve), "--key",
        SDKRoles.writeKey, "--label", label,
      ] + options)
  }

  private func expectEqual(_ run: ProgramRun) async throws {
    let code = try await run.end(withinMs: 180_000)
    let text = try run.text
    #expect(code == 0, "\(text.suffix(4000))")
    #expect(text.contains("EQUAL to the last event"))
  }

  @Test("to the last event, and again after an earlier run with the same seed")
  func equal() async throws {
    let roles = try await SDKRoles.shared()
    try await expectEqual(
      try demo(roles, label: "equal", ["--rate", "0", "--events", "4000", "--seed", "5"]))
    try await expectEqual(
      try demo(roles, label: "equal", ["--rate", "500", "--duration", "2s", "--seed", "5"]))
  }

  @Test("is told apart from a lie: another run's events in between make it differ")
  func different() async throws {
    let roles = try await SDKRoles.shared()
    let run = try demo(roles, label: "lie", ["--rate", "100", "--duration", "6s"])
    try await run.waitUntilSaid("sending to", withinMs: 20_000)
    let other = try demo(roles, label: "lie", ["--rate", "0", "--events", "50", "--seed", "2"])
    _ = try await other.end(withinMs: 60_000)
    let code = try await run.end(withinMs: 60_000)
    let text = try run.text
    #expect(code == 1)
    #expect(text.contains("DIFFERENT"))
  }

  @Test("with each process killed in turn while it is sent")
  func kills() async throws {
    let roles = try await SDKRoles("demo-kills")
    let run = try demo(roles, label: "kills", ["--rate", "400", "--duration", "25s"])
    try await run.waitUntilSaid("sending to", withinMs: 20_000)
    for role in [SDKRoles.Role.processOne, .processTwo, .collect, .serve] {
      await roles.kill(role)
      try await roles.start(role)
    }
    for server in [LocalServer.nats, .redis, .postgres] {
      await roles.kill(server)
      // Ready again: each of them needs all that it depends on.
      for role in SDKRoles.Role.usual { try await roles.waitUntilReady(role) }
    }
    #expect(run.isRunning, "the kills took longer than the traffic")
    try await expectEqual(run)
  }
}
