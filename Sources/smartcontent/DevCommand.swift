import ArgumentParser
import Collector
import DecisionAPI
import Definitions
import DemoTraffic
import Dispatch
import Glibc
import HTTPClient
import HTTPServer
import JetStreamLog
import LocalServers
import Logging
import NATSClient
import PostgresClient
import QueryAPI
import RedisClient
import ServiceLifecycle
import Synchronization
import UnixSignals

/// `smartcontent dev`: everything on this machine, in one process beside private servers.
///
///     start servers -> apply streams -> start roles -> ready -> … -> signal -> drain roles -> stop servers
struct DevCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dev",
    abstract: "Run everything on this machine, with private servers, and print what to try.",
    discussion: """
      Starts nats-server, redis-server and postgres in a private folder, watches them, and runs the \
      collector, the processor and the query API beside them. Ctrl-C stops all of it.

      Exit codes: 0 stopped as asked, 1 failed, 69 a program is missing, 70 a server does not start, \
      73 the folder is not writable, 75 the folder is in use, 78 a port is taken.
      """)

  static let defaultHome = ".smartcontent"

  @OptionGroup var http: HTTPOptions
  @OptionGroup var folder: StreamsFolderOption
  @OptionGroup var pipelines: PipelineOption
  @OptionGroup var dataCenters: DataCenterOption
  @OptionGroup var trustedProxies: TrustedProxyOption
  @OptionGroup var snowplowPaths: SnowplowPathOption
  @OptionGroup var links: LinkOptions

  @Option(
    help: ArgumentHelp("Folder for all data, logs and secrets.", valueName: "folder"))
  var home = DevCommand.defaultHome

  @Option(
    help: ArgumentHelp("Also send demo traffic, in events per second.", valueName: "rate"))
  var demo: Double = 0

  @Option(help: "Seed of the demo traffic.")
  var seed: UInt64 = 1

  @Option(help: ArgumentHelp("Port of nats-server; a free one by default.", valueName: "port"))
  var natsPort: UInt16?

  @Option(
    help: ArgumentHelp("Port of its monitoring; a free one by default.", valueName: "port"))
  var natsMonitorPort: UInt16?

  @Option(help: ArgumentHelp("Port of redis-server; a free one by default.", valueName: "port"))
  var redisPort: UInt16?

  @Option(help: ArgumentHelp("Port of postgres; a free one by default.", valueName: "port"))
  var postgresPort: UInt16?

  func validate() throws {
    guard demo >= 0, demo <= 100_000 else {
      throw ValidationError("--demo is \(demo); it may be 0 to 100000 events per second")
    }
  }

  func run() async throws {
    let logger = Log.make()
    let address = try http.address()
    // Everything that can be refused is refused before anything is started.
    let source = try folder.find()
    let definitions = try Definitions(folder: source)
    _ = try pipelines.select(definitions)
    _ = try QueryAccess(token: Environment["SMARTCONTENT_TOKEN"], boundTo: address.host)
    _ = try links.policy(secret: nil)
    _ = try WebhookOptions.targets(definitions)
    do {
      if ["127.0.0.1", "localhost", "0.0.0.0"].contains(address.host),
        let port = UInt16(exactly: address.port), port != 0, !LoopbackPort.isFree(port)
      {
        throw LocalServersError.portTaken(
          "HTTP (--http)", port: port, holder: LoopbackPort.holder(of: port))
      }
      let service = DevService(
        command: self, definitions: definitions, folder: source, logger: logger)
      try await ServiceGroup(
        services: [service], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger
      ).run()
    } catch let error as LocalServersError {
      complain("\(error)")
      throw ExitCode(error.exitCode)
    } catch let error as BindError {
      complain("\(error)")
      throw ExitCode(78)
    }
  }

  var serverOptions: LocalServersOptions {
    var options = LocalServersOptions()
    options.natsPort = natsPort
    options.natsMonitorPort = natsMonitorPort
    options.redisPort = redisPort
    options.postgresPort = postgresPort
    options.stopTimeoutMs = DevService.stopServersWithinMs
    return options
  }

  private func complain(_ text: String) { StandardError.say("smartcontent dev: \(text)\n") }
}

/// The life of `dev`, from its servers' start to their stop.
private struct DevService: Service, CustomStringConvertible {
  let command: DevCommand
  let definitions: Definitions
  /// Where they are from.
  let folder: String
  let logger: Logger

  /// Shares of the five seconds from the signal to the end.
  private static let stopRolesWithinMs = 2600
  static let stopServersWithinMs = 1800
  private static let stopAllWithinMs = 4800
  private static let readyWithinMs = 15_000

  /// For the lifecycle's log.
  var description: String { "dev" }

  func run() async throws {
    let isServing = Atomic(false)
    try await withGracefulShutdownHandler {
      let begin = ContinuousClock.now
      let servers = try await LocalServers.start(
        home: command.home, options: command.serverOptions, logger: logger)
      isServing.store(true, ordering: .releasing)
      let serversReady = ContinuousClock.now
      do {
        try await runRoles(servers, begin: begin, serversReady: serversReady)
      } catch {
        await servers.stop()
        throw error
      }
      await servers.stop()
    } onGracefulShutdown: {
      guard isServing.load(ordering: .acquiring) else {
        // Nothing was accepted yet, and half-started servers die with this process.
        StandardError.say("smartcontent dev: stopped before it was ready\n")
        _exit(0)
      }
      Self.endInAnyCase()
    }
  }

  private func runRoles(
    _ servers: LocalServers, begin: ContinuousClock.Instant, serversReady: ContinuousClock.Instant
  ) async throws {
    let configuration = try self.configuration(servers)
    try Self.applyStreams(configuration)
    let system = try System(configuration, logger: logger)
    let port = try await system.start()
    let upgrade = VersionUpgrade(configuration, logger: logger)
    upgrade.start()
    let banner = DevBanner(command: command, servers: servers, port: port)
    try banner.writeEnvironment()
    let problem = await Self.waitUntilReady(banner.url)
    if let problem {
      logger.error(
        "not ready", metadata: ["after_ms": "\(Self.readyWithinMs)", "why": "\(problem)"])
    }
    banner.print(
      total: ContinuousClock.now - begin, servers: serversReady - begin, isReady: problem == nil)
    let traffic = command.demo > 0 ? startTraffic(banner.url) : nil

    do {
      try await gracefulShutdown()
    } catch is CancellationError {
      // The group is being cancelled: stopped all the same.
    }
    traffic?.stop(graceSeconds: 0)
    upgrade.stop()
    await system.stop(withinMs: Self.stopRolesWithinMs)
  }

  private func configuration(_ servers: LocalServers) throws -> SystemConfiguration {
    let address = try command.http.address()
    let endpoints = servers.endpoints
    var fitted = definitions
    fitted.streams = definitions.streams.fitted(toStoreBytes: endpoints.natsMaxFileStoreBytes)
    return SystemConfiguration(
      roles: Set(Role.allCases), definitions: fitted, definitionsFolder: folder,
      nats: try NATSAddress(endpoints.natsURLWithToken),
      redis: try RedisSettings(url: endpoints.redisURL),
      postgres: PostgresSettings(connection: endpoints.postgresURL),
      httpHost: address.host, httpPort: address.port, httpThreads: command.http.httpThreads,
      writeKeys: [
        WriteKey(
          key: DevBanner.writeKey, id: DevBanner.writeKey, site: "default",
          mapping: CompiledMapping(definitions.mapping))
      ],
      keysFile: KeysFileOption.path(inHome: servers.home),
      redirects: try command.links.policy(
        secret: try SharedSecret.links.make(inHome: servers.home)),
      spool: SpoolPlace(folder: servers.home + "/spool", bytesMax: Spool.bytesMaxDefault),
      pseudonyms: try Pseudonyms(secret: SharedSecret.pseudonyms.make(inHome: servers.home)),
      personKeys: try PersonKeyWrapping(
        secret: SharedSecret.personKeys.make(inHome: servers.home)),
      decisionSigner: try DecisionSigner(secret: SharedSecret.decisions.make(inHome: servers.home)),
      isRecommending: try RecommendationOptions.isRecommending(),
      embeddings: try RecommendationOptions.embeddings(),
      dataCenters: try command.dataCenters.ranges(),
      trustedProxies: try command.trustedProxies.ranges(),
      snowplowPaths: try command.snowplowPaths.paths(),
      queryToken: Environment["SMARTCONTENT_TOKEN"],
      webhooks: try WebhookOptions.targets(definitions),
      pipelines: try command.pipelines.select(definitions),
      stateFolder: servers.home + "/state", archiveFolder: servers.home + "/archive")
  }

  /// Makes the streams; changes that may lose events are left to `smartcontent streams apply --force`.
  private static func applyStreams(_ configuration: SystemConfiguration) throws {
    let log = JetStreamLog(address: configuration.nats, name: "smartcontent-dev")
    let setup = StreamSetup(log.admin)
    let changes = try setup.changes(configuration.definitions.streams)
    if let change = changes.first(where: \.isDestructive) {
      throw DevError(
        "the streams of this folder differ from the definitions, and the change may lose events:\n"
          + "\(change)\nFix: undo the change in the definitions, or choose another folder with "
          + "--home, or carry it out with `smartcontent streams apply --force`.")
    }
    try setup.apply(changes)
  }

  /// - Returns: what is missing after the time, nil when all is ready.
  private static func waitUntilReady(_ url: String) async -> String? {
    let deadline = ContinuousClock.now.advanced(by: .milliseconds(readyWithinMs))
    var problem = "it was not asked"
    while ContinuousClock.now < deadline, !Task.isShuttingDownGracefully {
      do {
        let client = try HTTPClient(HTTPClientSettings(connectTimeoutMs: 500, timeoutMs: 1000))
        let answer = try client.get(url + "/health/ready")
        if answer.status == 200 { return nil }
        problem = answer.text
        try await Task.sleep(nanoseconds: 10_000_000)
      } catch {
        problem = "\(error)"
      }
    }
    return problem
  }

  private func startTraffic(_ url: String) -> DemoRunner {
    let runner = DemoRunner(
      DemoOptions(
        url: url, writeKey: DevBanner.writeKey, rate: command.demo, seed: command.seed,
        hasExperiment: true))
    let logger = logger
    // Blocks its thread, so it gets one that is not of the concurrency pool.
    DispatchQueue(label: "demo-traffic").async {
      do throws(DemoError) {
        _ = try runner.run()
      } catch {
        logger.error("the demo traffic ended", metadata: ["error": "\(error)"])
      }
    }
    return runner
  }

  /// Everything accepted is in the log by then, and the servers die with this process.
  private static func endInAnyCase() {
    DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(stopAllWithinMs)) {
      StandardError.say("smartcontent dev: not stopped after \(stopAllWithinMs) ms, ended now\n")
      _exit(1)
    }
  }
}

/// What `dev` says when it is ready.
private struct DevBanner {
  static let writeKey = "dev"

  let command: DevCommand
  let servers: LocalServers
  /// Where browsers and curl on this machine find it.
  let url: String

  init(command: DevCommand, servers: LocalServers, port: Int) {
    self.command = command
    self.servers = servers
    let stated = command.http.http
    let host = stated[..<(stated.lastIndex(of: ":") ?? stated.startIndex)]
    let isAnywhere = host.isEmpty || host == "0.0.0.0" || host == "[::]"
    url = "http://\(isAnywhere ? "127.0.0.1" : String(host)):\(port)"
  }

  private var environmentPath: String { servers.home + "/env" }

  /// The servers for other commands; holds secrets, so it is for its owner only.
  func writeEnvironment() throws {
    let endpoints = servers.endpoints
    let text = """
      export SMARTCONTENT_NATS='\(endpoints.natsURLWithToken)'
      export SMARTCONTENT_NATS_MONITOR='\(endpoints.natsMonitorURL)'
      export SMARTCONTENT_REDIS='\(endpoints.redisURL)'
      export SMARTCONTENT_POSTGRES='\(endpoints.postgresURL)'
      export SMARTCONTENT_ARCHIVE='\(servers.home)/archive'
      export SMARTCONTENT_KEYS_FILE='\(KeysFileOption.path(inHome: servers.home))'
      export SMARTCONTENT_PSEUDONYM_SECRET_FILE='\(SharedSecret.pseudonyms.path(inHome: servers.home))'
      export SMARTCONTENT_PERSON_KEY_SECRET_FILE='\(SharedSecret.personKeys.path(inHome: servers.home))'
      export SMARTCONTENT_DECISION_SECRET_FILE='\(SharedSecret.decisions.path(inHome: servers.home))'
      export SMARTCONTENT_URL='\(url)'

      """
    unlink(environmentPath)
    let file = open(environmentPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    let count = text.utf8.count
    guard file >= 0, text.withCString({ Glibc.write(file, $0, count) }) == count else {
      throw DevError("can't write \(environmentPath): \(String(cString: strerror(errno)))")
    }
    close(file)
  }

  func print(total: Duration, servers serversTime: Duration, isReady: Bool) {
    let query =
      #"{"metrics":["impressions","clicks","ctr"],"dimensions":["campaign"],"date_range":"1h"}"#
    let track =
      #"{"type":"track","event":"Content Clicked","userId":"ann","#
      + #""properties":{"campaign_id":"spring","content_id":"post-1","variant_id":"a","channel":"mail"}}"#
    let event =
      #"{"specversion":"1.0","id":"1","source":"/cms","type":"org.example.content.view","#
      + #""subject":"post-1","data":{"campaign_id":"spring","userId":"ann"}}"#
    let traffic =
      command.demo > 0
      ? "\(Self.plain(command.demo)) events per second" : "none (start with --demo 200 for some)"
    let pixel = "k=\(Self.writeKey)&t=impression&cid=spring&cnt=post-1&var=a&ch=mail&uid=ann"
    let authorization =
      Environment["SMARTCONTENT_TOKEN"] == nil
      ? "" : #" -H "Authorization: Bearer $SMARTCONTENT_TOKEN""#
    Swift.print(
      """

      SmartContent is \(isReady ? "ready" : "running, but NOT ready (see the log)") \
      after \(Self.seconds(total)) (its servers: \(Self.seconds(serversTime)))

        live page     \(url)/
        write key     \(Self.writeKey)   (site: default)
        data          \(servers.home)
        demo traffic  \(traffic)

      Pixel:
        curl '\(url)/p.gif?\(pixel)' -o /dev/null -w '%{http_code}\\n'
      Segment, one event:
        curl -u \(Self.writeKey): \(url)/v1/track -H 'Content-Type: application/json' -d '\(track)'
      Segment, a batch:
        curl -u \(Self.writeKey): \(url)/v1/batch -H 'Content-Type: application/json' \
      -d '{"batch":[\(track)]}'
      CloudEvents:
        curl -u \(Self.writeKey): \(url)/ce -H 'Content-Type: application/json' -d '\(event)'
      A link that counts a click and leads on:
        \(CommandLine.arguments[0]) links sign --url https://example.org/ --key \(Self.writeKey) \
      --campaign spring --collector \(url) --home '\(servers.home)'
      Ask:
        curl\(authorization) \(url)/v1/query -H 'Content-Type: application/json' -d '\(query)'
      The log, in another terminal:
        . '\(environmentPath)' && \(CommandLine.arguments[0]) events tail

      Ctrl-C stops all of it.

      """)
    fflush(nil)
  }

  private static func plain(_ rate: Double) -> String {
    rate == rate.rounded() ? "\(Int(rate))" : "\(rate)"
  }

  private static func seconds(_ duration: Duration) -> String {
    let tenths =
      duration.components.seconds * 10 + duration.components.attoseconds / 100_000_000_000_000_000
    return "\(tenths / 10).\(tenths % 10) s"
  }
}

private struct DevError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
