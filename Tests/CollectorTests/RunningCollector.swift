import Collector
import Events
import HTTPServer
import Logging
import Metrics

/// A collector on a free port, in front of a log in memory that stores at once.
enum RunningCollector {
  /// - Parameters:
  ///   - clock: of the routes; the pipeline's is the system's.
  ///   - add: adds further routes to the server.
  static func run(
    keys: WriteKeyTable, clock: CollectorClock = .system,
    trustedProxies: AddressRanges = AddressRanges(),
    publisher: ScriptedPublisher = .storing, add: (inout Routes) -> Void = { _ in },
    _ body: (Int, MetricRegistry) async throws -> Void
  ) async throws {
    let ring = keys
    try await run(
      clock: clock, publisher: publisher, trustedProxies: trustedProxies,
      routes: { pipeline, registry, routes in
        IngestRoutes(
          keys: ring, pipeline: pipeline, producer: producer, metrics: registry, clock: clock
        ).add(to: &routes)
        add(&routes)
      }, body)
  }

  static let producer = Key128(low: 7, high: 9)

  static var quietLog: Logger {
    var log = Logger(label: "test")
    log.logLevel = .critical
    return log
  }

  static func run(
    clock: CollectorClock, publisher: ScriptedPublisher, spool: Spool? = nil,
    trustedProxies: AddressRanges = AddressRanges(),
    log: Logger = quietLog,
    routes declare: (IngestPipeline, MetricRegistry, inout Routes) -> Void,
    _ body: (Int, MetricRegistry) async throws -> Void
  ) async throws {
    let registry = MetricRegistry()
    let pipeline = try IngestPipeline(
      IngestParameters(),
      target: IngestTarget(
        generation: IngestGeneration(number: 1, streams: IngestPipelineTests.streams),
        deadLetterStream: "dead-letters", producer: producer), publisher: publisher,
      spool: spool, metrics: registry, log: log)
    pipeline.start()
    var routes = Routes()
    declare(pipeline, registry, &routes)
    var parameters = ServerParameters(host: "127.0.0.1", port: 0, eventLoops: 2)
    parameters.trustedProxies = trustedProxies
    let server = Server(parameters, routes: routes, log: log)
    let port = try await server.start()
    let result: Result<Void, any Error>
    do {
      result = .success(try await body(port, registry))
    } catch {
      result = .failure(error)
    }
    try await server.shutdown(withinMs: 0)
    await pipeline.stop(withinMs: 0)
    try result.get()
  }
}
