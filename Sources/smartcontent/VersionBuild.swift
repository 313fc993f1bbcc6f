import Dataflow
import Definitions
import Glibc
import JetStreamLog
import Logging
import Metrics
import NATSClient
import PostgresViews
import RedisClient
import RedisViews
import Runtime

/// Computes a version of a pipeline's read models from the log, beside the one that queries read, and
/// switches to it. Interrupted, it goes on where it was when it is made again.
struct VersionBuild {
  private let target: PipelineSpec
  private let catalog: PipelineCatalog
  private let configuration: SystemConfiguration
  private let logger: Logger

  /// - Parameter configuration: of the role `process`.
  init(
    _ target: PipelineSpec, _ catalog: PipelineCatalog, _ configuration: SystemConfiguration,
    logger: Logger
  ) {
    self.target = target
    self.catalog = catalog
    self.configuration = configuration
    self.logger = logger
  }

  /// - Parameter isCancelled: asked while it works; what was computed stays.
  /// - Returns: whether queries read the version now.
  func run(activates: Bool, isCancelled: () -> Bool = { false }) throws -> Bool {
    try catalog.begin(target)
    try StreamSetup(JetStreamLog(address: configuration.nats, name: "rebuild").admin)
      .makePartials(of: target, in: configuration.definitions.streams)
    print("building \(target.name) version \(target.version) from the log")
    let rebuild = Rebuild(
      target, catalog: catalog,
      processor: try System.processor(
        configuration, pipelines: [target], metrics: RuntimeMetrics(MetricRegistry()),
        parameters: .rebuild, writesDeadLetters: false, logger: logger))
    defer { rebuild.stop() }
    guard try rebuild.catchUp(isCancelled: isCancelled) else { return false }
    guard activates else {
      print("\(target.name) version \(target.version) has caught up; queries do not read it yet")
      return false
    }
    guard try catalog.activate(target.name, version: target.version) else {
      throw RebuildError("version \(target.version) was dropped meanwhile")
    }
    print("queries read \(target.name) version \(target.version) now")
    rebuild.handOver()
    return true
  }
}

/// Removes a version that queries do not read: from processors, Redis, the log and Postgres.
struct VersionRemoval {
  private let catalog: PipelineCatalog
  private let redis: RedisSettings
  private let nats: NATSAddress

  init(_ catalog: PipelineCatalog, redis: RedisSettings, nats: NATSAddress) {
    self.catalog = catalog
    self.redis = redis
    self.nats = nats
  }

  func run(_ pipeline: String, _ version: Int) throws {
    guard try catalog.retire(pipeline, version: version) else {
      throw RebuildError(
        "\(pipeline) has no version \(version) that can be dropped: it is not there, or queries read"
          + " it; see --list")
    }
    // Processors look at the catalog each second, and end their loops with a commit.
    sleep(Rebuild.letGoSeconds)
    let spec = PipelineSpec(name: pipeline, version: version)
    // Rows go last: until then the same command can be given again.
    let copies = RedisHotCopies(redis)
    do throws(RedisError) {
      try copies.remove(spec)
    } catch {
      throw RebuildError(
        "\(pipeline) version \(version) is retired, but its hot copy is still there: \(error); drop it"
          + " again when Redis is back")
    }
    let admin = JetStreamLog(address: nats, name: "rebuild").admin
    _ = try admin.delete(spec.partialsStream)
    try catalog.removeRows(of: spec)
    print("\(pipeline) version \(version) is dropped")
  }
}
