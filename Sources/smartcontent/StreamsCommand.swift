import ArgumentParser
import Dataflow
import Definitions
import Events
import Glibc
import JetStreamLog
import NATSClient

/// `smartcontent streams check|plan|apply|trim|repartition`: the log's streams as declared in `Streams/`.
struct StreamsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "streams",
    abstract: "Check the definitions, show, make, trim and divide anew the streams of the log.",
    subcommands: [
      Check.self, Plan.self, Apply.self, TrimCommand.self, RepartitionCommand.self,
    ])

  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Read the definitions and list every problem. Exit code 2 where there are any.")

    @OptionGroup var folder: StreamsFolderOption

    func run() throws {
      let place = try folder.find()
      let problems = Definitions.check(folder: place)
      guard problems.isEmpty else {
        for problem in problems { print(problem) }
        throw ExitCode(2)
      }
      let definitions = try Definitions(folder: place)
      print(
        "\(place): \(definitions.streams.all.count) streams,"
          + " \(definitions.pipelines.count) pipelines, \(definitions.schemas.count) schemas,"
          + " \(definitions.experiments.count) experiments, no problems")
    }
  }

  struct Plan: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show what the server's streams differ in. Changes nothing.")

    @OptionGroup var folder: StreamsFolderOption
    @OptionGroup var servers: ServerOptions

    func run() throws {
      let streams = try Definitions(folder: try folder.find()).streams
      let log = JetStreamLog(address: try NATSAddress(try servers.natsURL()), name: "streams")
      let changes = try StreamSetup(log.admin).changes(streams)
      if changes.isEmpty { print("the streams are as declared") }
      for change in changes { print(change) }
    }
  }

  struct Apply: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make the server's streams as declared. Can be run again and again.")

    @OptionGroup var folder: StreamsFolderOption
    @OptionGroup var servers: ServerOptions

    @Flag(help: "Also make changes that may lose events.")
    var force = false

    func run() throws {
      let streams = try Definitions(folder: try folder.find()).streams
      let log = JetStreamLog(address: try NATSAddress(try servers.natsURL()), name: "streams")
      let setup = StreamSetup(log.admin)
      let changes = try setup.changes(streams)
      if changes.isEmpty { print("the streams are as declared") }
      for change in changes { print(change) }
      if changes.contains(where: \.isDestructive) && !force {
        print("nothing was changed: a change may lose events; look at it, then use --force")
        throw ExitCode(2)
      }
      try setup.apply(changes)
      if !changes.isEmpty { print("done") }
    }
  }
}

extension StreamsFolderOption {
  /// - Throws: a problem that names the places that were tried.
  func find() throws -> String {
    try DefinitionFolder.find(
      stated: folder ?? Environment["SMARTCONTENT_STREAMS"],
      executable: Self.executable)
  }

  /// Where this program is, also when it was found by PATH.
  private static var executable: String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink("/proc/self/exe", &buffer, buffer.count)
    return count > 0
      ? String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
      : CommandLine.arguments.first ?? "smartcontent"
  }
}
