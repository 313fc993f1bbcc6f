import ArgumentParser
import Definitions
import Foundation

/// Faults of every kind on real processes under traffic, and the judgement at the end.
@main
struct Chaos: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chaos",
    abstract: "Break a running system in every way, and check that no number is wrong afterwards.",
    discussion: """
      Starts nats-server, redis-server, postgres and processes of every role in a folder of its own, \
      sends traffic, and makes faults drawn from a seed. At the end every acknowledged event must be \
      in the log and every read model must be what the log says.

      Exit codes: 0 all is right, 1 something is wrong, 2 all is right but a recovery took longer than \
      its goal (only with --strict).
      """)

  @Option(help: "Faults to make.")
  var faults = 40

  @Option(help: "Makes the same faults in the same order; a random one by default.")
  var seed: UInt64?

  @Option(help: ArgumentHelp("Write the report, Markdown, to this file.", valueName: "file"))
  var report: String?

  @Option(help: "End after so many minutes, whatever the number of faults.")
  var minutes: Double?

  @Option(help: "Events per second.")
  var rate = 1000.0

  @Option(help: "Distinct contents in state before the first fault.")
  var keys = 0

  @Option(help: "Only faults whose name contains this; may be repeated.")
  var only: [String] = []

  @Option(help: "The longest freeze, seconds.")
  var freezeMax = 60.0

  @Option(help: "How likely it is that a fault does not come alone, 0 to 0.9.")
  var together = 0.12

  @Option(help: ArgumentHelp("The smartcontent executable; beside this one by default."))
  var program: String?

  @Option(help: "Folder with the definitions.")
  var streams = "Streams"

  @Option(help: ArgumentHelp("Folder for all data; removed at the end where all is right."))
  var home: String?

  @Option(help: "Processes of the role process, 1 to 9.")
  var processors = 3

  @Flag(help: "Keep the folder.")
  var keep = false

  @Flag(help: "A recovery that takes longer than its goal is a failure.")
  var strict = false

  func validate() throws {
    guard faults >= 0 else { throw ValidationError("--faults is \(faults); it may be 0 or more") }
    guard rate > 0, rate <= 50_000 else {
      throw ValidationError("--rate is \(rate); it may be up to 50000 events per second")
    }
    guard (1...9).contains(processors) else {
      throw ValidationError("--processors is \(processors); it may be 1 to 9")
    }
    guard kinds.count > 0 else {
      throw ValidationError(
        "--only names no fault; there are "
          + Fault.Kind.allCases.map(\.rawValue).joined(separator: ", "))
    }
  }

  private var kinds: [Fault.Kind] {
    only.isEmpty
      ? Fault.Kind.allCases
      : Fault.Kind.allCases.filter { kind in only.contains { kind.rawValue.contains($0) } }
  }

  func run() throws {
    let seed = seed ?? UInt64.random(in: 0..<1_000_000_000)
    let folder = home ?? "/tmp/smartcontent-chaos-\(getpid())"
    let run = ChaosRun(
      settings: ChaosRun.Settings(
        seed: seed, faults: faults, minutes: minutes, eventsPerSecond: rate, keys: keys,
        only: only.isEmpty ? [] : Set(kinds), freezeSecondsMax: freezeMax,
        togetherShare: min(0.9, max(0, together)),
        testbed: Testbed.Settings(
          folder: folder, program: try executable(), streamsFolder: streams,
          processors: processors,
          // A fault takes some seconds, in which the log grows by a megabyte each.
          logDiskMebibytes: 2048 + 10 * faults,
          // Three processes keep two chains of each stream, each of a base and up to 8 MiB of
          // increments, and some 4 KB of a content in each window.
          stateDiskMebibytes: 1024 + faults + keys / 64,
          // Rows of each content in four tables, with their indexes and what is not vacuumed yet.
          tableDiskMebibytes: 384 + 3 * faults + keys / 64),
        command: command(seed)))
    let result = try run.run()
    if let report {
      try result.text.write(toFile: report, atomically: true, encoding: .utf8)
    }
    for fact in result.facts { print("  \(fact)") }
    for failure in result.failures { print("FAILED: \(failure)") }
    let late = result.records.filter { ($0.recovered ?? 0) > $0.goal }
    print(
      "\(result.records.count) faults, \(result.failures.count) failures, \(late.count) recoveries "
        + "over their goal; seed \(seed)")
    guard result.failures.isEmpty else {
      print("the logs are in \(folder); again: \(run.settings.command)")
      throw ExitCode(1)
    }
    if !keep { try FileManager.default.removeItem(atPath: folder) }
    if strict, !late.isEmpty { throw ExitCode(2) }
  }

  /// What makes the same run again.
  private func command(_ seed: UInt64) -> String {
    var words = ["Scripts/chaos --faults \(faults) --seed \(seed)"]
    if keys > 0 { words.append("--keys \(keys)") }
    if rate != 1000 { words.append("--rate \(rate)") }
    if processors != 3 { words.append("--processors \(processors)") }
    if together != 0.12 { words.append("--together \(together)") }
    if freezeMax != 60 { words.append("--freeze-max \(freezeMax)") }
    if let minutes { words.append("--minutes \(minutes)") }
    for name in only { words.append("--only '\(name)'") }
    return words.joined(separator: " ")
  }

  private func executable() throws -> String {
    if let program { return program }
    let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let path = own.prefix(through: own.lastIndex(of: "/") ?? own.startIndex) + "smartcontent"
    guard FileManager.default.isExecutableFile(atPath: String(path)) else {
      throw ChaosError("\(path) is missing: build it, or name one with --program")
    }
    return String(path)
  }
}
