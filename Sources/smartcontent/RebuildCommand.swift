import ArgumentParser
import Dataflow
import Definitions
import Events
import Logging
import NATSClient
import Ports
import PostgresClient
import PostgresViews
import RedisClient

/// `smartcontent rebuild`: another version of a pipeline's read models, from the log.
struct RebuildCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rebuild",
    abstract: "Compute a new version of a pipeline's read models from the log, then switch to it.",
    discussion: """
      The new version is built beside the active one, which goes on, with the declaration of \
      Streams/pipelines.yaml where its `version` is a new one, else with the active declaration. Once \
      it has caught up, one transaction lets queries read it. The old version is kept up to date until \
      it is dropped, so that --rollback is a switch too. Interrupted, it carries on when it is called \
      again.

      A log that went backwards (a restored backup, a lost disk) halts its processors, because what \
      they have counted is not what the log holds. The way out: `rebuild` computes a new version from \
      what is there, --drop removes the halted one.

      A program that counts otherwise than the one before cannot go on with its results: processors halt \
      them and say so, and queries answer with what there is. --keep-active of the new program, beside \
      processes of the old one that still run, computes nearly all of the new version; then start the new \
      processes, call it again without, which switches within seconds, and --drop the old version. `dev` \
      does so by itself.

      Exit codes: 0 done, 1 refused, 3 cannot be done now.
      """)

  @OptionGroup var servers: ServerOptions
  @OptionGroup var folder: StreamsFolderOption
  @OptionGroup var archive: ArchiveOption

  @Option(help: "The pipeline.")
  var pipeline = "default"

  @Flag(help: "List the versions of all pipelines.")
  var list = false

  @Flag(help: "Let queries read the version again that they read before.")
  var rollback = false

  @Option(help: ArgumentHelp("Remove a version that queries do not read.", valueName: "version"))
  var drop: Int?

  @Flag(help: "Build and catch up, but leave queries where they are.")
  var keepActive = false

  @Flag(
    help: """
      Begin with the oldest frame that is left where the first ones are neither in the streams nor in \
      the archive.
      """)
  var fromWhatIsLeft = false

  @OptionGroup var state: StateFolderOption

  func validate() throws {
    guard [list, rollback, drop != nil].filter({ $0 }).count <= 1 else {
      throw ValidationError("--list, --rollback and --drop are three different things")
    }
  }

  func run() throws {
    let definitions = try Definitions(folder: try folder.find())
    let postgres = PostgresSettings(connection: try servers.postgresURL())
    let catalog = PipelineCatalog(postgres)
    do {
      if list {
        try VersionList(catalog).print()
      } else if rollback {
        try rollBack(catalog)
      } else if let drop {
        try self.drop(drop, catalog)
      } else {
        try build(definitions, postgres, catalog)
      }
    } catch let error as ViewStoreError {
      StandardError.say("smartcontent rebuild: \(error)\n")
      throw ExitCode(3)
    }
  }

  // MARK: Building

  private func build(
    _ definitions: Definitions, _ postgres: PostgresSettings, _ catalog: PipelineCatalog
  ) throws {
    guard let declared = definitions.pipeline(pipeline) else {
      throw ValidationError(
        "--pipeline \(pipeline) is not declared; there are "
          + definitions.pipelines.map(\.name).joined(separator: ", "))
    }
    let target = try RebuildPlan.target(declared, try catalog.versions())
    let configuration = SystemConfiguration(
      roles: [.process], definitions: definitions, nats: try NATSAddress(try servers.natsURL()),
      redis: try RedisSettings(url: try servers.redisURL()), postgres: postgres, httpHost: "",
      httpPort: 0, httpThreads: 0, pipelines: [target], stateFolder: state.folder,
      archiveFolder: archive.folder, startsWithWhatIsLeft: fromWhatIsLeft)
    var logger = Log.make()
    if Environment["SMARTCONTENT_LOG_LEVEL"] == nil { logger.logLevel = .critical }
    let isActive = try VersionBuild(target, catalog, configuration, logger: logger)
      .run(activates: !keepActive)
    if isActive { try VersionList(catalog).print(only: target.name) }
  }

  // MARK: Other

  private func rollBack(_ catalog: PipelineCatalog) throws {
    let versions = try catalog.versions().filter { $0.name == pipeline }
    guard let active = versions.first(where: \.isActive) else {
      throw RebuildError("\(pipeline) has no version that queries read")
    }
    let others = versions.filter { $0.state == .live && !$0.isActive }
    guard
      let target = others.max(by: {
        ($0.activatedAt ?? .min, $0.version) < ($1.activatedAt ?? .min, $1.version)
      })
    else { throw RebuildError("\(pipeline) has no other version than \(active.version)") }
    guard try catalog.activate(pipeline, version: target.version) else {
      throw RebuildError("version \(target.version) was dropped meanwhile")
    }
    print("queries read \(pipeline) version \(target.version) now, instead of \(active.version)")
  }

  private func drop(_ version: Int, _ catalog: PipelineCatalog) throws {
    try VersionRemoval(
      catalog, redis: try RedisSettings(url: try servers.redisURL()),
      nats: try NATSAddress(try servers.natsURL())
    ).run(pipeline, version)
  }
}

/// Why a rebuild does not do as asked.
struct RebuildError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// Which version is built next.
enum RebuildPlan {
  /// The declared version where it is new or on its way; else the active declaration once more, under
  /// the next number. A version that an interrupted rebuild left is built on.
  static func target(
    _ declared: PipelineSpec, _ versions: [PipelineVersion]
  ) throws -> PipelineSpec {
    let known = versions.filter { $0.name == declared.name }
    guard let active = known.first(where: \.isActive) else { return declared }
    let newest = known.map(\.version).max() ?? 0
    if declared.version != active.version {
      if let own = known.first(where: { $0.version == declared.version }) {
        if own.state == .building || own.state == .live && declared.version == newest {
          return declared
        }
      } else if declared.version > newest {
        return declared
      }
    }
    var next = declared.version == active.version ? declared : active.spec ?? declared
    if declared.version == active.version, active.hash != declared.hash, let spec = active.spec {
      throw RebuildError(
        "pipelines.yaml declares \(declared.name) version \(declared.version) otherwise than it was"
          + " computed; raise its `version` to \(newest + 1) to build what is declared, or undo the"
          + " change to build version \(spec.version) once more")
    }
    for building in known.reversed() where building.state == .building {
      next.version = building.version
      if next.hash == building.hash { return next }
    }
    next.version = newest + 1
    return next
  }
}

/// Prints the catalog.
struct VersionList {
  private let catalog: PipelineCatalog

  init(_ catalog: PipelineCatalog) { self.catalog = catalog }

  func print(only name: String? = nil) throws {
    Swift.print("pipeline         version  state     queries  committed frames  made")
    for version in try catalog.versions() where name == nil || version.name == name {
      let checkpoints =
        version.state == .dropped
        ? [:]
        : try catalog.checkpoints(of: PipelineSpec(name: version.name, version: version.version))
      let committed = checkpoints.filter { $0.key.role != .partials }
        .reduce(0) { $0 + $1.value.sequence }
      Swift.print(
        Self.left(version.name, 17) + Self.left("\(version.version)", 9)
          + Self.left(version.state.rawValue, 10) + Self.left(version.isActive ? "read" : "", 9)
          + Self.left("\(committed)", 18) + Timestamp.format(version.createdAt))
    }
  }

  private static func left(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(1, width - text.count))
  }
}
