import ArgumentParser
import Collector
import Dataflow
import Definitions
import Logging
import NATSClient
import PostgresClient
import RedisClient
import ServiceLifecycle
import UnixSignals

/// `smartcontent collect`: takes events in and stores them in the log.
struct CollectCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "collect", abstract: "Take events in over HTTP and store them in the log.",
    discussion: """
      Signed click links lead on where SMARTCONTENT_LINK_SECRET holds the secret that they were made \
      with, or SMARTCONTENT_LINK_SECRET_FILE names the file that does.

      Write keys whose policy asks for pseudonyms are accepted where SMARTCONTENT_PSEUDONYM_SECRET \
      holds the secret that they are made with, or SMARTCONTENT_PSEUDONYM_SECRET_FILE names the file \
      that does; all collectors have the same one. So it is with write keys that encrypt personal data \
      and SMARTCONTENT_PERSON_KEY_SECRET or SMARTCONTENT_PERSON_KEY_SECRET_FILE.
      """)

  @OptionGroup var servers: ServerOptions
  @OptionGroup var folder: StreamsFolderOption
  @OptionGroup var http: HTTPOptions
  @OptionGroup var keysFile: KeysFileOption
  @OptionGroup var spool: SpoolOptions
  @OptionGroup var links: LinkOptions
  @OptionGroup var dataCenters: DataCenterOption
  @OptionGroup var trustedProxies: TrustedProxyOption
  @OptionGroup var snowplowPaths: SnowplowPathOption
  @OptionGroup var state: StateFolderOption

  @Option(
    help: ArgumentHelp(
      "Write keys as KEY:SITE or KEY:SITE:SOURCE, several with commas; accepted beside those of the"
        + " keys file [env SMARTCONTENT_WRITE_KEYS].", valueName: "keys"))
  var writeKeys: String?

  @Option(
    help: ArgumentHelp(
      "Folder of frames that were trimmed from the log, read before the streams by what learns"
        + " [env SMARTCONTENT_ARCHIVE]. None by default.", valueName: "folder"))
  var archive: String?

  func run() async throws {
    let source = try folder.find()
    let definitions = try Definitions(folder: source)
    let address = try http.address()
    let keys = writeKeys ?? Environment["SMARTCONTENT_WRITE_KEYS"]
    guard keys != nil || keysFile.path != nil else {
      throw ValidationError(
        "there are no write keys: give --keys-file or --write-keys, or set SMARTCONTENT_KEYS_FILE or"
          + " SMARTCONTENT_WRITE_KEYS")
    }
    try await Lifecycle.run(
      SystemConfiguration(
        roles: [.collect], definitions: definitions, definitionsFolder: source,
        nats: try NATSAddress(try servers.natsURL()),
        httpHost: address.host, httpPort: address.port, httpThreads: http.httpThreads,
        writeKeys: try WriteKeyList.parse(
          keys ?? "", mapping: CompiledMapping(definitions.mapping)),
        keysFile: keysFile.path, redirects: try links.policy(secret: try LinkOptions.secret()),
        spool: try spool.place(), pseudonyms: try PseudonymOptions.pseudonyms(),
        personKeys: try PersonKeyOptions.wrapping(),
        decisionSigner: try DecisionOptions.signer(definitions),
        dataCenters: try dataCenters.ranges(), trustedProxies: try trustedProxies.ranges(),
        snowplowPaths: try snowplowPaths.paths(),
        queryToken: Environment["SMARTCONTENT_TOKEN"], pipelines: [],
        stateFolder: state.folder, archiveFolder: archive ?? Environment["SMARTCONTENT_ARCHIVE"]))
  }
}

/// Which pipelines a process runs or serves.
struct PipelineOption: ParsableArguments {
  @Option(
    name: .customLong("pipeline"),
    help: "A pipeline of pipelines.yaml; may be repeated. All of them by default.")
  var names: [String] = []

  func select(_ definitions: Definitions) throws -> [PipelineSpec] {
    guard !names.isEmpty else { return definitions.pipelines }
    return try names.map { name in
      guard let pipeline = definitions.pipeline(name) else {
        throw ValidationError(
          "--pipeline \(name) is not declared; there are "
            + definitions.pipelines.map(\.name).joined(separator: ", "))
      }
      return pipeline
    }
  }
}

/// `smartcontent process`: computes the read models from the log.
struct ProcessCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "process", abstract: "Compute the read models from the log, exactly once.",
    discussion: """
      Any number of these processes share the streams of their pipelines evenly. One that joins, leaves \
      or dies makes no more of them move than need be.

      One of them tells of incidents, as Streams/notifications.yaml says; each webhook's secret is in the \
      environment variable that is named there.
      """)

  @OptionGroup var servers: ServerOptions
  @OptionGroup var folder: StreamsFolderOption
  @OptionGroup var http: HTTPOptions
  @OptionGroup var pipelines: PipelineOption
  @OptionGroup var state: StateFolderOption

  @Option(
    help: ArgumentHelp(
      "Folder of frames that were trimmed from the log, read before the streams where need be"
        + " [env SMARTCONTENT_ARCHIVE]. None by default.", valueName: "folder"))
  var archive: String?

  func run() async throws {
    let definitions = try Definitions(folder: try folder.find())
    let address = try http.address()
    try await Lifecycle.run(
      SystemConfiguration(
        roles: [.process], definitions: definitions, nats: try NATSAddress(try servers.natsURL()),
        redis: try RedisSettings(url: try servers.redisURL()),
        postgres: PostgresSettings(connection: try servers.postgresURL()),
        httpHost: address.host, httpPort: address.port, httpThreads: http.httpThreads,
        webhooks: try WebhookOptions.targets(definitions),
        pipelines: try pipelines.select(definitions),
        stateFolder: state.folder, archiveFolder: archive ?? Environment["SMARTCONTENT_ARCHIVE"]))
  }
}

/// `smartcontent serve`: answers queries and shows the live page.
struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve", abstract: "Answer queries from the read models; the live page.",
    discussion: """
      Where it is given NATS it also takes feedback on incidents, and answers questions that no read model does, by \
      scanning the log.
      """)

  @OptionGroup var servers: ServerOptions
  @OptionGroup var folder: StreamsFolderOption
  @OptionGroup var http: HTTPOptions
  @OptionGroup var keysFile: KeysFileOption
  @OptionGroup var pipelines: PipelineOption
  @OptionGroup var state: StateFolderOption

  @Option(
    help: ArgumentHelp(
      "Folder of frames that were trimmed from the log, read before the streams by scans"
        + " [env SMARTCONTENT_ARCHIVE]. None by default.", valueName: "folder"))
  var archive: String?

  func run() async throws {
    let source = try folder.find()
    let definitions = try Definitions(folder: source)
    let address = try http.address()
    try await Lifecycle.run(
      SystemConfiguration(
        roles: [.serve], definitions: definitions, definitionsFolder: source,
        // Without one the address is not used.
        nats: try NATSAddress(servers.natsURLIfNamed ?? "nats://127.0.0.1:4222"),
        redis: try RedisSettings(url: try servers.redisURL()),
        postgres: PostgresSettings(connection: try servers.postgresURL()),
        httpHost: address.host, httpPort: address.port, httpThreads: http.httpThreads,
        keysFile: keysFile.path,
        decisionSigner: try servers.natsURLIfNamed.flatMap { _ in
          try DecisionOptions.signer(definitions)
        },
        isRecommending: try RecommendationOptions.isRecommending(),
        embeddings: try RecommendationOptions.embeddings(),
        queryToken: Environment["SMARTCONTENT_TOKEN"],
        hasLog: servers.natsURLIfNamed != nil, pipelines: try pipelines.select(definitions),
        stateFolder: state.folder, archiveFolder: archive ?? Environment["SMARTCONTENT_ARCHIVE"]))
  }
}

/// Runs a system until it is told to stop.
enum Lifecycle {
  /// Longest time from SIGTERM to the end.
  static let stopWithinMs = 4000

  static func run(_ configuration: SystemConfiguration) async throws {
    let logger = Log.make()
    let system = try System(configuration, logger: logger)
    let roles = configuration.roles.map(\.rawValue).sorted().joined(separator: ", ")
    let service = SystemService(system: system) { port in
      logger.info(
        "ready for requests",
        metadata: ["roles": "\(roles)", "http": "\(configuration.httpHost):\(port)"])
    }
    try await ServiceGroup(
      services: [service], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger
    ).run()
  }
}

/// A system as a service of a group.
struct SystemService: Service {
  var system: System
  var started: @Sendable (Int) -> Void

  func run() async throws {
    started(try await system.start())
    do {
      try await gracefulShutdown()
    } catch is CancellationError {
      // The group is being cancelled: stopped all the same.
    }
    await system.stop(withinMs: Lifecycle.stopWithinMs)
  }
}

/// Log lines on standard error; the level is SMARTCONTENT_LOG_LEVEL (trace … critical), by default info.
enum Log {
  static func make() -> Logger {
    var logger = Logger(label: "smartcontent") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel =
      Environment["SMARTCONTENT_LOG_LEVEL"].flatMap { Logger.Level(rawValue: $0) } ?? .info
    return logger
  }
}
