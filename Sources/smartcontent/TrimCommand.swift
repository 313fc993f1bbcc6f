import ArgumentParser
import Dataflow
import Definitions
import Events
import JetStreamLog
import LogArchive
import NATSClient
import Ports
import PostgresClient
import PostgresViews
import Runtime

/// `smartcontent streams trim`: moves old frames from the streams into an archive.
struct TrimCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trim",
    abstract: "Move old frames from the streams into archive files, where they are still read.",
    discussion: """
      Frames are written to the archive, synced, read back and compared with the stream; then the \
      stream is purged of them. Nothing goes that an active version of a pipeline has not committed, \
      and the last frame of a stream always stays. Interrupted at any point, the next run carries on.

      `events cat`, `verify`, `rebuild`, `replay` and, with --archive, `process` read archive and \
      stream as one. Copy the folder to somewhere safe: it is part of the log.
      """)

  @OptionGroup var folder: StreamsFolderOption
  @OptionGroup var servers: ServerOptions
  @OptionGroup var archive: ArchiveOption

  @Option(
    help: ArgumentHelp(
      "Trim what was stored before: 2026-11-01T00:00:00Z, or how long ago, such as 30d.",
      valueName: "time"))
  var before: LogTime

  @Option(help: "Only this stream, such as events-00 or dead-letters; may be repeated.")
  var stream: [String] = []

  func run() throws {
    let log = JetStreamLog(address: try NATSAddress(try servers.natsURL()), name: "trim")
    let streams = try StreamSetup(log.admin).adopted(
      try Definitions(folder: try folder.find()).streams
    ).streamPartitions
    if let unknown = stream.first(where: { name in !streams.contains { $0.stream == name } }) {
      throw ValidationError(
        "--stream \(unknown) is not declared; there are "
          + streams.map(\.stream).joined(separator: ", "))
    }
    let committed = try committedSequences()
    let trim = try LogTrim(archive: Archive(folder: archive.folder), log: log) {
      stream, keepFrom throws(LogError) in
      do throws(StreamAdmin.Failure) {
        _ = try log.admin.purge(stream, keepFrom: keepFrom)
      } catch {
        throw .unavailable("\(error)")
      }
    }
    for target in streams where stream.isEmpty || stream.contains(target.stream) {
      guard let limit = committed[target.stream] else {
        print("\(target.stream): nothing is trimmed, no active pipeline has committed any of it")
        continue
      }
      let report = try trim.run(stream: target.stream, before: before.micros, notAfter: limit) {
        StandardError.status(
          "\($0.stream): \($0.frameCount) frames, \(ByteText.of($0.byteCount)) archived")
      }
      StandardError.status(nil)
      let rest =
        report.last >= report.first ? "the stream holds \(report.first) to \(report.last)" : "empty"
      print(
        "\(report.stream): \(report.frameCount) frames, \(ByteText.of(report.byteCount))"
          + " archived in \(archive.folder); \(rest)")
      if report.first > limit, report.last > limit {
        print("  it ends at frame \(limit), the last one that every active pipeline has committed")
      }
    }
  }

  /// Up to where every active version of every pipeline has committed, by stream.
  private func committedSequences() throws -> [String: UInt64] {
    let catalog = PipelineCatalog(PostgresSettings(connection: try servers.postgresURL()))
    let active = try catalog.versions().filter(\.isActive)
    guard !active.isEmpty else {
      throw ValidationError("no pipeline has been run yet: what is not processed is not trimmed")
    }
    var committed: [String: UInt64] = [:]
    for (index, version) in active.enumerated() {
      let checkpoints = try catalog.checkpoints(
        of: PipelineSpec(name: version.name, version: version.version))
      var own: [String: UInt64] = [:]
      for (stream, checkpoint) in checkpoints { own[stream.stream] = checkpoint.sequence }
      committed =
        index == 0
        ? own
        : committed.reduce(into: [:]) { result, entry in
          if let other = own[entry.key] { result[entry.key] = min(entry.value, other) }
        }
    }
    return committed
  }
}

/// An instant on the command line: RFC 3339, or how long ago.
struct LogTime: ExpressibleByArgument {
  /// Microseconds since the epoch.
  var micros: Int64

  init?(argument: String) {
    if let time = Timestamp.parse(argument) {
      micros = time
      return
    }
    guard let ago = Quantity.duration(argument) else { return nil }
    micros = LoopClock.system.wall() - ago
  }
}
