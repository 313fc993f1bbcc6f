import Glibc
import LocalServers
import Testing

/// Faults on real processes: the short form of `Scripts/chaos`.
@Suite("Chaos", .serialized)
struct ChaosTests {
  @Test("after faults of many kinds every acknowledged event counts once")
  func faults() async throws {
    let folder = try TemporaryFolder.make("chaos")
    let seed = UInt64.random(in: 0..<1_000_000)
    let program = try ChildProgram(
      path: try chaos(),
      arguments: [
        "--faults", "12", "--seed", "\(seed)", "--rate", "300", "--freeze-max", "2",
        "--home", folder + "/run", "--streams", "Streams", "--keep",
      ], logPath: folder + "/chaos.log")
    let ending = await program.waitForEnd(timeoutMs: 240_000)
    if ending == nil { program.signal(SIGTERM) }
    #expect(
      ending == .exited(0), "again: Scripts/chaos --faults 12 --seed \(seed)\n\(program.log())")
    // Removed by the run itself with what was mounted in it.
  }

  /// Beside `smartcontent`.
  private func chaos() throws -> String {
    let program = try SmartContentProgram.path()
    let path = program.prefix(through: program.lastIndex(of: "/") ?? program.startIndex) + "chaos"
    guard access(String(path), X_OK) == 0 else {
      throw HarnessError("\(path) is missing: run `swift build` first")
    }
    return String(path)
  }
}
