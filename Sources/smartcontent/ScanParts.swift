import Dataflow
import Definitions
import JetStreamLog
import Learning
import LogArchive
import LogScans
import Logging
import Metrics
import NATSClient
import Ports
import QueryAPI

/// Questions to the log: who may run at once, the log that they read, and of whom nothing counts.
final class ScanParts: Sendable {
  let source: ScanSource
  private let register: ErasureRegister

  /// Nil where the log cannot be read.
  init?(
    _ configuration: SystemConfiguration, _ follower: VersionFollower?,
    generations: @escaping @Sendable (StreamAdmin) -> [LogGeneration]?,
    _ registry: MetricRegistry, _ logger: Logger
  ) {
    guard configuration.hasLog, let follower else { return nil }
    let stream = JetStreamLog(address: configuration.nats, name: "smartcontent-scans")
    var log: any EventLog =
      configuration.archiveFolder.map { ArchivedLog(stream, archive: Archive(folder: $0)) }
      ?? stream
    if configuration.startsWithWhatIsLeft { log = RemainingLog(log) }
    let declared = configuration.pipelines
    let segmentMemory = configuration.definitions.profiles?.memory
    let register = ErasureRegister(
      facts: JetStreamFacts(
        NATSConnection(configuration.nats, name: "smartcontent-erasures"),
        stream: configuration.definitions.streams.facts.name), registry: registry, logger: logger)
    self.register = register
    source = ScanSource(table: ScanTable(registry: registry, logger: logger)) {
      [log] name throws(ScanError) in
      guard let pipeline = declared.first(where: { $0.name == name }) else {
        preconditionFailure("only pipelines that are served are asked")
      }
      guard let generations = generations(stream.admin) else {
        throw .log(.unavailable("the generations of the streams cannot be read"))
      }
      guard let erasures = register.erasures else {
        throw .log(.unavailable("who was erased is not known yet"))
      }
      return ScannedLog(
        spec: follower.versions.active(pipeline), generations: generations, log: log,
        erasures: erasures, segmentMemory: segmentMemory)
    }
  }

  func start() { register.start() }

  func stop() {
    register.stop()
    source.table.stop()
  }
}
