import ArgumentParser
import Dataflow
import Definitions
import JetStreamLog
import NATSClient
import Ports
import PostgresClient
import PostgresViews
import RedisClient
import RedisViews
import Verification
import Views

/// `smartcontent verify`: are the numbers those of the log?
struct VerifyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Recompute every read model from the log and compare it row by row.",
    discussion: """
      Reads the whole log, archive first, on a path of its own: one event after the other, with \
      dictionaries and none of the processor's code. It is exact while traffic flows. Memory: some 60 \
      bytes per event within the dedupe horizon, 300 per row.

      Exit codes: 0 equal, 1 different (the first difference of each table is shown), 3 could not be \
      verified.
      """)

  @OptionGroup var servers: ServerOptions
  @OptionGroup var folder: StreamsFolderOption
  @OptionGroup var archive: ArchiveOption
  @OptionGroup var pipelines: PipelineOption

  @Option(help: "This version instead of the active one; needs --pipeline.")
  var version: Int?

  @Flag(help: "Leave the hot copy in Redis out.")
  var durableOnly = false

  func validate() throws {
    guard version == nil || pipelines.names.count == 1 else {
      throw ValidationError("--version needs one --pipeline")
    }
  }

  func run() async throws {
    let definitions = try Definitions(folder: try folder.find())
    let postgres = PostgresSettings(connection: try servers.postgresURL())
    let stream = JetStreamLog(address: try NATSAddress(try servers.natsURL()), name: "verify")
    let generations = try StreamSetup(stream.admin).adopted(definitions.streams).logGenerations
    let log = archive.log(stream)
    let versions = try PipelineVersions(postgres)
    var isEqual = true
    for declared in try pipelines.select(definitions) {
      let spec = try versions.spec(of: declared, version: version)
      let progress = ProgressLine("\(spec.name) v\(spec.version)", unit: "frames")
      let verifier = Verifier(spec, generations: generations, log: log) {
        progress.update(done: $0.done, total: $0.total)
      }
      do {
        let report = try verifier.verify(
          try PostgresStoredTables(postgres, pipeline: spec))
        var findings = report.tables
        if !durableOnly {
          findings += try await hot(
            verifier, spec, report.sequences.filter { !report.finished.contains($0.key) })
        }
        progress.end()
        let frames = report.sequences.values.reduce(0, +)
        print("\(spec.name) version \(spec.version): \(frames) frames in \(progress.elapsed)")
        isEqual = Self.show(findings) && isEqual
      } catch let error as VerifyError {
        progress.end()
        StandardError.say("smartcontent verify: \(spec.name): \(Self.text(error))\n")
        throw ExitCode(3)
      }
    }
    if !isEqual { throw ExitCode.failure }
  }

  /// Compares the hot copies with the log, each as it is when it is read.
  private func hot(
    _ verifier: Verifier, _ spec: PipelineSpec, _ sequences: [StreamPartition: UInt64]
  ) async throws -> [TableFinding] {
    var settings = try RedisSettings(url: try servers.redisURL())
    settings.commandTimeoutMs = 10_000
    var findings = WindowLevel.allCases.map { TableFinding(table: "hot copy \($0.name)") }
    for stream in sequences.keys.sorted(by: { $0.stream < $1.stream }) {
      guard stream.role == .events else { continue }
      let reader = RedisViewReader(settings, pipeline: spec, generation: stream.generation)
      for level in WindowLevel.allCases {
        let answer: HotAnswer
        do throws(ViewReadError) {
          answer = try await reader.read(
            segments: [Segment(level: level, from: .min, to: .max)],
            seams: [stream.partition: Seams()])
        } catch {
          print("  \(stream.stream): hot copy of \(level.name) not compared: \(error)")
          continue
        }
        guard let header = answer.headers[stream.partition], header.isComplete else {
          print("  \(stream.stream): there is no hot copy; the processor writes it anew")
          break
        }
        switch try verifier.compareHot(stream, level, header: header, rows: answer.rows) {
        case .behind(let sequence):
          print("  \(stream.stream): hot copy not compared, it stands at frame \(sequence)")
        case .compared(let finding):
          findings[level.rawValue].add(finding)
        }
      }
    }
    return findings
  }

  private static func show(_ findings: [TableFinding]) -> Bool {
    for finding in findings {
      let rows = String(repeating: " ", count: max(1, 20 - finding.table.count))
      let count = finding.differenceCount
      print(
        "  \(finding.table)\(rows)\(finding.rowCount) rows"
          + (count == 0 ? " equal" : ", \(count) DIFFERENT"))
      if let first = finding.first { print("    first: \(first)") }
    }
    return findings.allSatisfy { $0.differenceCount == 0 }
  }

  private static func text(_ error: VerifyError) -> String {
    switch error {
    case .store(let error): "\(error)"
    case .log(let error): LogErrorText.of(error)
    }
  }
}
