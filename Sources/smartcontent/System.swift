import BrowserTracker
import Collector
import Console
import Dataflow
import Definitions
import Events
import Experiments
import FileSnapshots
import HTTPServer
import JetStreamLog
import JetStreamSnapshots
import LogArchive
import LogScans
import Logging
import Metrics
import NATSClient
import Ports
import PostgresClient
import PostgresViews
import QueryAPI
import RedisClient
import RedisViews
import Runtime
import SessionPool
import Synchronization

/// The composition root: the roles of one process, put together from constructor arguments.
///
/// Life: `init`, ``start()``, ``stop(withinMs:)``, once each. Starting does not wait for the servers:
/// every role connects by itself, and readiness says what is still away.
final class System: Sendable {
  private let configuration: SystemConfiguration
  private let registry = MetricRegistry()
  private let logger: Logger
  private let server: Server
  private let ingest: IngestPipeline?
  private let processor: VersionedProcessor?
  private let follower: VersionFollower?
  private let business: BusinessMetrics?
  private let experimentMetrics: ExperimentMetrics?
  private let experiments: ExperimentCatalog?
  private let logMetrics: LogMetrics?
  private let keyFile: KeyFileFollower?
  private let personKeys: PersonKeyVault?
  private let scans: ScanParts?
  private let incidents: IncidentParts
  private let learning: LearningParts?

  init(_ configuration: SystemConfiguration, logger: Logger) throws {
    keepMessageMemory()
    self.configuration = configuration
    self.logger = logger
    var routes = Routes()
    var checks: [HealthCheck] = []
    let producer = Key128(
      low: UInt64.random(in: 1 ... .max), high: UInt64.random(in: 0 ... .max))
    let streams = configuration.definitions.streams
    follower = configuration.postgres.map { VersionFollower($0, logger: logger) }
    learning = LearningParts.parts(
      configuration, versions: follower, generations: { Self.generations($0, logger) },
      registry: registry,
      logger: logger)
    if let check = learning?.check { checks.append(check) }

    var debugger: EventDebugger?
    if configuration.roles.contains(.collect) {
      let ingest = try Self.ingest(configuration, producer, registry, logger)
      personKeys = Self.personKeys(configuration, registry, logger)
      let keys = KeyRing(
        configuration.writeKeys, mapping: CompiledMapping(configuration.definitions.mapping),
        pseudonyms: configuration.pseudonyms, encrypts: personKeys != nil)
      if let path = configuration.keysFile {
        keyFile = try KeyFileFollower(
          KeyStore(path: path), ring: keys, metrics: registry, log: logger)
      } else {
        keyFile = nil
      }
      let watched = EventDebugger()
      debugger = watched
      IngestRoutes(
        keys: keys.current,
        gates: [
          ConsentGate(),
          PrivacyGate(schemas: configuration.definitions.schemas, personKeys: personKeys),
        ]
          + Self.botGates(configuration) + Self.schemaGates(configuration.definitions),
        redirects: configuration.redirects, snowplowPaths: configuration.snowplowPaths,
        debugger: watched, personKeys: personKeys,
        pipeline: ingest, producer: producer, metrics: registry
      ).add(to: &routes)
      learning?.collect(
        keys: keys, gates: [ConsentGate()] + Self.botGates(configuration), ingest: ingest,
        server: producer.description, on: &routes)
      BrowserTracker.declare(on: &routes)
      Self.declare(watched, keys, configuration, logger, on: &routes)
      checks.append(
        HealthCheck(name: "log") { Self.state(ofLogOf: ingest) })
      self.ingest = ingest
      logMetrics = LogMetrics(
        configuration.nats, streams: streams.all.map(\.name), registry: registry, logger: logger)
    } else {
      ingest = nil
      logMetrics = nil
      keyFile = nil
      personKeys = nil
    }

    incidents = try IncidentParts(
      configuration, producer: producer, ingest: ingest, versions: follower, registry: registry,
      logger: logger)

    if configuration.roles.contains(.process) {
      let metrics = RuntimeMetrics(registry)
      let processor = VersionedProcessor(logger: logger) { specs in
        try Self.processor(
          configuration, pipelines: specs, metrics: metrics, logger: logger)
      }
      checks.append(HealthCheck(name: "processor") { Self.state(of: processor) })
      self.processor = processor
    } else {
      processor = nil
    }

    if configuration.roles.contains(.serve) {
      let views = try Self.views(configuration, follower)
      let processor = processor
      var logHeads: (@Sendable () -> [Int: UInt64])?
      if let processor { logHeads = { Self.logHeads(of: processor) } }
      let access = try QueryAccess(
        token: configuration.queryToken, boundTo: configuration.httpHost)
      scans = ScanParts(
        configuration, follower, generations: { Self.generations($0, logger) }, registry, logger)
      var limits = QueryRoutes.Limits()
      limits.answerAgeMax = .milliseconds(100)
      QueryRoutes(
        views: views, access: access, registry: registry, limits: limits, logHeads: logHeads,
        scans: scans?.source
      ).declare(on: &routes)
      incidents.serve(
        views, access: access, registry: registry, spans: learning?.spans,
        audience: learning?.audience, log: logger, on: &routes)
      if let path = configuration.keysFile {
        KeyRoutes(
          KeyStore(path: path), check: access.check,
          changed: { [keyFile] in keyFile?.look() }, log: logger
        ).declare(on: &routes)
      }
      learning?.serve(access: access, way: incidents.way, on: &routes)
      if let way = incidents.way { learning?.announce(through: way, shownTo: debugger) }
      let experiments = Self.experiments(configuration, logger)
      learning?.followed?.follow(experiments)
      let compared = ExperimentRoutes(
        experiments, reader: ViewExperimentReader(views[0]), access: access,
        follower: learning?.followed ?? NoExperimentFollower(), log: logger)
      compared.declare(on: &routes)
      experimentMetrics = compared.metrics(registry)
      Console.declare(on: &routes)
      checks += Self.checks(of: views[0])
      business = BusinessMetrics(view: views[0], registry: registry, log: logger)
      self.experiments = experiments
    } else {
      business = nil
      experimentMetrics = nil
      scans = nil
      experiments = nil
    }

    OperationsRoutes(checks: checks, registry: registry).declare(on: &routes)
    var parameters = ServerParameters(
      host: configuration.httpHost, port: configuration.httpPort,
      eventLoops: configuration.httpThreads)
    parameters.maxHeaderBytes = 64 * 1024
    parameters.trustedProxies = configuration.trustedProxies
    let metrics = HTTPMetrics(registry)
    server = Server(parameters, routes: routes, log: logger) { metrics.answered($0) }
    HTTPMetrics.export(server, to: registry)
  }

  /// - Returns: the port on which HTTP is answered.
  func start() async throws -> Int {
    OpenFiles.raiseLimit()
    let processor = processor
    let declared = configuration.pipelines
    follower?.start { versions in processor?.run(declared.flatMap { versions.toRun($0) }) }
    ingest?.start()
    personKeys?.start()
    keyFile?.start()
    logMetrics?.start()
    business?.start()
    experimentMetrics?.start()
    incidents.start()
    experiments?.start()
    scans?.start()
    learning?.start()
    return try await server.start()
  }

  /// Stops taking requests, stores what was accepted, commits what was processed.
  func stop(withinMs deadlineMs: Int) async {
    do {
      let cut = try await server.shutdown(withinMs: min(1000, deadlineMs / 3))
      if cut > 0 { logger.notice("connections cut at shutdown", metadata: ["count": "\(cut)"]) }
    } catch {
      logger.error("HTTP server did not stop cleanly", metadata: ["error": "\(error)"])
    }
    scans?.stop()
    learning?.stop()
    logMetrics?.stop()
    keyFile?.stop()
    business?.stop()
    experimentMetrics?.stop()
    await incidents.stop(withinMs: min(1000, deadlineMs / 3))
    experiments?.stop()
    // What it settles goes into the log.
    await personKeys?.stop()
    await ingest?.stop(withinMs: min(1000, deadlineMs / 3))
    follower?.stop()
    processor?.stop()
  }

  // MARK: Parts

  private static func experiments(
    _ configuration: SystemConfiguration, _ logger: Logger
  ) -> ExperimentCatalog {
    ExperimentCatalog(
      declared: configuration.definitions.experiments,
      facts: JetStreamFacts(
        NATSConnection(configuration.nats, name: "smartcontent-facts"),
        stream: configuration.definitions.streams.facts.name),
      clock: QueryRoutes.systemClock,
      eventID: {
        Key128(low: .random(in: .min ... .max), high: .random(in: .min ... .max)).description
      },
      noticed: { logger.warning("\($0)") })
  }

  /// Events are shown to those who may query. A collector that others can reach and that has no token
  /// shows none.
  private static func declare(
    _ debugger: EventDebugger, _ keys: KeyRing, _ configuration: SystemConfiguration,
    _ logger: Logger, on routes: inout Routes
  ) {
    do throws(QueryAccessError) {
      let access = try QueryAccess(
        token: configuration.queryToken, boundTo: configuration.httpHost)
      DebugRoutes(debugger, keyID: { keys.current.find($0)?.id }, check: access.check)
        .declare(on: &routes)
      Console.declareDebugger(on: &routes)
    } catch {
      logger.notice("/debug is not served", metadata: ["why": "\(error)"])
    }
  }

  /// Nil where there is no secret for them.
  private static func personKeys(
    _ configuration: SystemConfiguration, _ registry: MetricRegistry, _ logger: Logger
  ) -> PersonKeyVault? {
    configuration.personKeys.map { wrapping in
      PersonKeyVault(
        store: PersonKeyOptions.store(configuration.nats, configuration.definitions),
        wrapping: wrapping, metrics: registry, log: logger)
    }
  }

  /// Behind the one that reads user agents.
  private static func botGates(_ configuration: SystemConfiguration) -> [any EventGate] {
    configuration.definitions.bots.map {
      [BotGate($0, dataCenters: configuration.dataCenters)]
    } ?? []
  }

  /// Behind those that hide personal data, so that dead letters hold none.
  static func schemaGates(_ definitions: Definitions) -> [any EventGate] {
    definitions.schemas.isEmpty ? [] : [SchemaGate(definitions.schemas)]
  }

  static func ingest(
    _ configuration: SystemConfiguration, _ producer: Key128, _ registry: MetricRegistry,
    _ logger: Logger
  ) throws -> IngestPipeline {
    let streams = configuration.definitions.streams
    let admin = StreamAdmin(
      NATSConnection(configuration.nats, name: "smartcontent-generations"), timeoutMs: 1_000)
    let spool = try configuration.spool.map {
      try Spool.first(in: $0.folder, bytesMax: $0.bytesMax, log: logger)
    }
    return try IngestPipeline(
      IngestParameters(),
      target: IngestTarget(
        generation: IngestGeneration(
          number: streams.generation, streams: streams.events.map(\.name)),
        deadLetterStream: streams.deadLetters.name, producer: producer,
        successor: { generation in Self.successor(of: generation, admin, logger) }),
      publisher: try JetStreamPublisher(
        address: configuration.nats, name: "smartcontent-collect"),
      spool: spool, metrics: registry, log: logger)
  }

  /// What the log says to follow a generation; nil where it cannot be asked, or says nothing.
  private static func successor(
    of generation: UInt32, _ admin: StreamAdmin, _ logger: Logger
  ) -> IngestGeneration? {
    do {
      return try StreamSetup(admin).generations().successor(of: generation).map {
        IngestGeneration(number: $0.number, streams: $0.streams.map(\.name))
      }
    } catch {
      logger.error(
        "the generations of the streams cannot be read", metadata: ["error": "\(error)"])
      return nil
    }
  }

  /// What the log holds; nil where it cannot be asked.
  private static func generations(_ admin: StreamAdmin, _ logger: Logger) -> [LogGeneration]? {
    do {
      return try StreamSetup(admin).generations().all.map(\.logGeneration)
    } catch {
      logger.error(
        "the generations of the streams cannot be read", metadata: ["error": "\(error)"])
      return nil
    }
  }

  /// - Parameters:
  ///   - pipelines: versions to run; of one name the first is what queries read.
  ///   - writesDeadLetters: of frames that cannot be read; a rebuild reads old ones once more.
  static func processor(
    _ configuration: SystemConfiguration, pipelines: [PipelineSpec], metrics: RuntimeMetrics,
    parameters: RuntimeParameters = RuntimeParameters(), writesDeadLetters: Bool = true,
    logger: Logger
  ) throws -> Processor {
    guard let postgres = configuration.postgres, let redis = configuration.redis,
      let state = configuration.stateFolder
    else { preconditionFailure("the processor is configured with Postgres, Redis and a folder") }
    let streams = configuration.definitions.streams
    let nats = configuration.nats
    let stream = JetStreamLog(address: nats, name: "smartcontent-process")
    var log: any EventLog =
      configuration.archiveFolder.map { ArchivedLog(stream, archive: Archive(folder: $0)) }
      ?? stream
    if configuration.startsWithWhatIsLeft { log = RemainingLog(log) }
    let deadLetters: @Sendable () throws(LogError) -> any FramePublisher = {
      () throws(LogError) in
      try JetStreamPublisher.open(nats, name: "smartcontent-dead-letters")
    }
    let heartbeatPublisher = try JetStreamPublisher(address: nats, name: "smartcontent-heartbeat")
    let handover = Mutex<JetStreamPublisher?>(heartbeatPublisher)
    // Of their own: large messages hold others up.
    let copies = NATSConnection(nats, name: "smartcontent-snapshots")
    let made = MadeTables()
    return Processor(
      pipelines: pipelines, streams: streams.streamPartitions,
      partitions: streams.partitions,
      generations: { Self.generations(stream.admin, logger) }, log: log,
      stores: ProcessorStores(
        membership: { pipelines, isStopping throws(ViewStoreError) in
          try PostgresMembership(
            postgres, pipelines: pipelines, made: made, isStopping: isStopping)
        },
        views: { pipeline, isStopping throws(ViewStoreError) in
          try PostgresViewStore(
            postgres, pipeline: pipeline, made: made, isStopping: isStopping)
        },
        hot: { pipeline in RedisHotStore(redis, pipeline: pipeline) },
        snapshots: { pipeline, stream throws(SnapshotError) in
          try FileSnapshotStore(
            folder: "\(state)/\(pipeline.name)_\(pipeline.version)/\(stream.stream)")
        },
        snapshotCopies: { pipeline, stream in
          JetStreamSnapshotStore(
            copies, pipeline: "\(pipeline.name)_\(pipeline.version)", stream: stream.stream)
        },
        partials: { pipeline throws(LogError) in
          try JetStreamPublisher.open(nats, name: "smartcontent-\(pipeline.name)-partials")
        },
        deadLetters: writesDeadLetters ? deadLetters : nil),
      heartbeats: HeartbeatWriter(logger: logger) {
        guard let publisher = handover.withLock({ $0.take() }) else {
          preconditionFailure("the writer takes its publisher once")
        }
        return publisher
      },
      place: .this, parameters: parameters, metrics: metrics, logger: logger)
  }

  private static func views(
    _ configuration: SystemConfiguration, _ follower: VersionFollower?
  ) throws -> [ReadViewSource] {
    guard let postgres = configuration.postgres, let redis = configuration.redis, let follower
    else { preconditionFailure("the query API is configured with Postgres and Redis") }
    let streams = configuration.definitions.streams
    let durableLosses = SessionLosses()
    let hotLosses = SessionLosses()
    return try configuration.pipelines.map { declared in
      let open: @Sendable (PipelineSpec) throws(ViewStoreError) -> ReadView = {
        spec throws(ViewStoreError) in
        let durable = try PostgresViewReader(postgres, pipeline: spec, losses: durableLosses)
        return ReadView(
          name: spec.name, version: spec.version, durable: durable,
          hot: RedisViewReader(
            redis, pipeline: spec, generation: streams.generation, losses: hotLosses),
          generation: streams.generation, partitionCount: streams.partitions,
          secondStage: ReadView.SecondStage(
            of: spec,
            hot: RedisViewReader(
              redis, pipeline: spec, generation: StreamPartition.partials(of: spec).generation,
              losses: hotLosses)),
          incidents: spec.anomalies == nil ? nil : durable)
      }
      let first = try open(follower.versions.active(declared))
      let latest = Mutex(first)
      return ReadViewSource(name: declared.name) {
        let spec = follower.versions.active(declared)
        return latest.withLock { latest in
          if latest.version != spec.version {
            do throws(ViewStoreError) {
              latest = try open(spec)
            } catch {
              // Only a name that cannot be a schema's is refused, and this one can.
            }
          }
          return latest
        }
      }
    }
  }

  private static func logHeads(of processor: VersionedProcessor) -> [Int: UInt64] {
    let streams = processor.statuses.filter { $0.stream.role == .events && $0.lastKnown > 0 }
    let generation = streams.map(\.stream.generation).max()
    var heads: [Int: UInt64] = [:]
    for status in streams where status.stream.generation == generation {
      heads[status.stream.partition] = max(heads[status.stream.partition] ?? 0, status.lastKnown)
    }
    return heads
  }
}
