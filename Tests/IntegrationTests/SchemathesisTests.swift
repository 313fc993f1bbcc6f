import Foundation
import Glibc
import HTTPClient
import LocalServers
import Testing

/// Schemathesis makes requests out of `/openapi.json`, right ones and wrong ones, and holds every answer
/// against it: its status, its content type, its members, and that nothing is a 500.
@Suite(
  "The OpenAPI description under schemathesis", .endsWhatItStarts,
  .enabled(if: SDKPython.has("schemathesis"), Comment(rawValue: SDKPython.missing)))
struct SchemathesisTests {
  @Test("every answer of a whole system is one that the description has")
  func conforms() async throws {
    let folder = try TemporaryFolder.make("schemathesis")
    let url = "http://127.0.0.1:\(try TestServers.freePort())"
    let system = try SmartContentProgram.start(
      ["dev", "--home", folder + "/home", "--http", String(url.dropFirst("http://".count))],
      name: "dev",
      folder: folder)
    try await SmartContentProgram.waitUntilReady(
      system, url: url + "/health/ready", withinMs: 30_000)
    let python = try #require(SDKPython.path)
    let run = try ProgramRun(
      python,
      [
        "-m", "schemathesis.cli",
        "--config-file", "\(SDKPython.root)/Tests/IntegrationTests/Clients/schemathesis.toml",
        "run",
        url + "/openapi.json", "--auth", "dev:", "--phases",
        "examples,coverage,fuzzing",
        "--max-examples", "10", "--seed", "1",
      ])
    let code = try await run.end(withinMs: 420_000)
    let said = try run.text
    #expect(code == 0, "\(said.suffix(8000))")
    // All but the two streams, which do not end.
    let operations = try #require(said.firstMatch(of: /([0-9]+) selected \/ ([0-9]+) total/))
    #expect(Int(operations.1).map { $0 + 2 } == Int(operations.2))
    // One that asked nothing, or was let in nowhere, would prove nothing.
    let asked = said.firstMatch(of: /([0-9]+) generated/).flatMap { Int($0.1) } ?? 0
    #expect(asked > 1000, "\(said.suffix(2000))")
    let stored = try HTTPClient().get(url + "/metrics").text.matches(
      of: /smartcontent_ingest_events_total\{[^}]*\} ([0-9]+)/
    ).reduce(0) { $0 + (Int($1.1) ?? 0) }
    #expect(stored > 10)
    system.signal(SIGTERM)
    if await system.waitForEnd(timeoutMs: 10_000) == nil { await system.kill() }
  }
}
