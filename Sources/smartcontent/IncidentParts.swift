import Collector
import Dataflow
import Definitions
import Events
import HTTPServer
import JetStreamLog
import Logging
import Metrics
import NATSClient
import Notifications
import Ports
import PostgresClient
import PostgresViews
import QueryAPI
import Synchronization

/// What a process does about incidents: the processor tells who wants to know, the query API answers, counts
/// and takes feedback.
///
/// Incidents are those of one pipeline: the first that declares anomalies, as queries have a first one too.
final class IncidentParts: Sendable {
  private let follower: IncidentFollower?
  /// The way of what persons say into the log, and whether it is there for that alone.
  private let intake: (pipeline: IngestPipeline, isOwn: Bool)?
  private let metrics = Mutex<IncidentMetrics?>(nil)

  init(
    _ configuration: SystemConfiguration, producer: Key128, ingest: IngestPipeline?,
    versions: VersionFollower?, registry: MetricRegistry, logger: Logger
  ) throws {
    let watched = configuration.pipelines.first { $0.anomalies != nil }
    if configuration.roles.contains(.process), let watched, let versions {
      follower = Self.follower(configuration, watched, versions, registry, logger)
    } else {
      follower = nil
    }
    let isWanted =
      watched != nil || !configuration.definitions.decisions.isEmpty
      || configuration.definitions.announcesSegments
    if !configuration.roles.contains(.serve) || !isWanted {
      intake = nil
    } else if let ingest {
      intake = (ingest, false)
    } else if configuration.hasLog {
      // Its figures would look like a collector's.
      intake = (try System.ingest(configuration, producer, MetricRegistry(), logger), true)
    } else {
      intake = nil
    }
  }

  /// For others who have something to say there.
  var way: IngestPipeline? { intake?.pipeline }

  private static func follower(
    _ configuration: SystemConfiguration, _ declared: PipelineSpec, _ versions: VersionFollower,
    _ registry: MetricRegistry, _ logger: Logger
  ) -> IncidentFollower? {
    guard var settings = configuration.postgres else { return nil }
    // Threads that wait for one row each, beside those that count.
    settings.applicationName = "smartcontent-incidents"
    let postgres = settings
    return IncidentFollower(
      facts: JetStreamFacts(
        NATSConnection(configuration.nats, name: "smartcontent-facts"),
        stream: configuration.definitions.streams.facts.name),
      webhooks: configuration.webhooks,
      ledger: { terms, _ in
        PostgresIncidentLedger(postgres, terms: terms) { versions.versions.active(declared) }
      }, registry: registry, log: logger)
  }

  func serve(
    _ views: [ReadViewSource], access: QueryAccess, registry: MetricRegistry, spans: FindSpans?,
    audience: FindAudience?, log: Logger, on routes: inout Routes
  ) {
    IncidentRoutes(
      views: views, access: access, registry: registry,
      feedback: intake.map { FeedbackLog.intake($0.pipeline) }, spans: spans, audience: audience
    ).declare(on: &routes)
    guard let watched = views.first(where: { $0.current().incidents != nil }) else { return }
    metrics.withLock { $0 = IncidentMetrics(view: watched, registry: registry, log: log) }
  }

  func start() {
    if let intake, intake.isOwn { intake.pipeline.start() }
    follower?.start()
    metrics.withLock { $0 }?.start()
  }

  func stop(withinMs deadlineMs: Int) async {
    metrics.withLock { $0 }?.stop()
    if let intake, intake.isOwn { await intake.pipeline.stop(withinMs: deadlineMs / 2) }
    follower?.stop(withinMs: deadlineMs / 2)
  }
}
