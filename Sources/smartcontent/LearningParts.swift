import Collector
import Dataflow
import DecisionAPI
import Definitions
import Events
import Experiments
import FileSnapshots
import HTTPServer
import JetStreamLog
import Learning
import LogArchive
import LogFollowing
import Logging
import Metrics
import Ports
import PostgresViews
import QueryAPI
import Synchronization
import Views

/// What a process learns from the log while it grows, and what it answers from that: in the process that answers,
/// from memory.
///
///     log ─▶ LogFollower ─▶ learners ─publish▶ boards ─▶ routes
final class LearningParts: Sendable {
  private let configuration: SystemConfiguration
  private let registry: MetricRegistry
  /// Nil where nothing is to be learned.
  private let follower: LogFollower?
  private let search: EventSearch?
  private let decisions = ModelBoard<DecisionModels>()
  /// Nil while there is no way to the log.
  private let promotions = PromotionBox()
  private let signer: DecisionSigner?
  private let recommendations: RecommendationLearner?
  private let similar: SimilarContents?
  /// Nil where the folder of definitions has no segments.yaml.
  private let profiles: ProfileBoard?
  private let announcer = SegmentAnnouncer()
  /// Nil where nobody asks for results of experiments.
  let followed: FollowedExperiments?
  private let timing = ModelBoard<TimingModels>()
  private let forecasts = ModelBoard<EngagementForecasts>()
  private let novelties = ModelBoard<ValueNovelties>()
  private let audiences = AudienceLearner()
  private let starting = Mutex(Starting())

  private struct Starting {
    var task: Task<Void, Never>?
    var isStopped = false
  }

  init(
    _ configuration: SystemConfiguration, versions: VersionFollower?,
    generations: @escaping @Sendable () -> [LogGeneration]?,
    log: any EventLog, streams: any EventLog, registry: MetricRegistry, logger: Logger
  ) {
    self.configuration = configuration
    self.registry = registry
    signer = configuration.decisionSigner
    let definitions = configuration.definitions
    recommendations =
      configuration.isRecommending && configuration.roles.contains(.serve)
      ? RecommendationLearner(
        registry: registry,
        keepsTexts: configuration.embeddings != nil || configuration.postgres != nil) : nil
    similar = recommendations.map {
      SimilarContents(
        $0, endpoint: configuration.embeddings,
        store: configuration.postgres.map { PostgresContentVectors($0) }, registry: registry,
        logger: logger)
    }
    followed =
      configuration.roles.contains(.serve)
      ? FollowedExperiments(definitions.decisions, signer: signer) : nil
    // A process that only collects keeps profiles where its decisions ask for them.
    let needsProfiles =
      configuration.roles.contains(.serve)
      || definitions.decisions.contains { $0.features.contains { $0.hasPrefix("profile.") } }
    profiles =
      needsProfiles ? definitions.profiles.map { ProfileBoard($0, registry: registry) } : nil
    guard let spec = Self.spec(definitions),
      !definitions.decisions.isEmpty || recommendations != nil || profiles != nil || followed != nil
    else {
      follower = nil
      search = nil
      return
    }
    let rules = NewestRules(
      spec, folder: configuration.definitionsFolder, versions: versions, logger: logger)
    let source = FollowedLog(
      spec: rules.current, generations: generations, log: log, streams: streams)
    if followed != nil {
      ForecastMetrics.register(registry) { [forecasts] in forecasts.current }
      NoveltyMetrics.register(registry) { [novelties] in novelties.current }
    }
    let retractions = RetractionWatch(registry: registry, logger: logger)
    if signer != nil { PolicyMetrics.register(registry) { [decisions] in decisions.current } }
    search = EventSearch(source)
    follower = LogFollower(
      source, snapshots: Self.snapshots(configuration), rules: { rules.current },
      registry: registry, clock: QueryRoutes.systemClock, logger: logger,
      learners: {
        [
          decisions, promotions, signer, recommendations, profiles, announcer, followed, timing,
          forecasts, novelties, audiences
        ]
        in
        var learners: [any Learner] = []
        if let signer, !definitions.decisions.isEmpty {
          learners.append(
            DecisionLearner(
              definitions.decisions, isAuthentic: { signer.isAuthentic($0, $1) },
              publish: {
                decisions.publish($0)
                retractions.take($0)
                promotions.desk?.take($0)
              }))
        }
        if let recommendations { learners.append(recommendations.begun()) }
        if let followed { learners.append(followed.begun()) }
        if followed != nil {
          learners.append(ForecastLearner { forecasts.publish($0) })
          learners.append(NoveltyLearner { novelties.publish($0) })
          learners.append(audiences.begun())
        }
        if let profiles {
          let announces = configuration.roles.contains(.serve)
          learners.append(
            ProfileLearner(profiles.policy, announces: announces) {
              profiles.take($0)
              announcer.send($0.announcements)
            })
          learners.append(
            TimingLearner(memory: profiles.policy.memory) { timing.publish($0) })
        }
        return learners
      })
  }

  /// Processes of the same roles may share the folder.
  private static func snapshots(_ configuration: SystemConfiguration) -> FollowerSnapshots? {
    guard let state = configuration.stateFolder else { return nil }
    let roles = configuration.roles.map(\.rawValue).sorted().joined(separator: "-")
    return FollowerSnapshots { () throws(SnapshotError) in
      try FileSnapshotStore.part(of: "\(state)/learners-\(roles)")
    }
  }

  /// By whose rules events count for what is learned.
  static func spec(_ definitions: Definitions) -> PipelineSpec? {
    definitions.pipeline("default") ?? definitions.pipelines.first
  }

  /// Where the log can be followed at all.
  static func parts(
    _ configuration: SystemConfiguration, versions: VersionFollower?,
    generations: @escaping @Sendable (StreamAdmin) -> [LogGeneration]?,
    registry: MetricRegistry, logger: Logger
  ) -> LearningParts? {
    guard configuration.hasLog, !configuration.roles.isDisjoint(with: [.collect, .serve]) else {
      return nil
    }
    let stream = JetStreamLog(address: configuration.nats, name: "smartcontent-learning")
    var log: any EventLog =
      configuration.archiveFolder.map { ArchivedLog(stream, archive: Archive(folder: $0)) }
      ?? stream
    if configuration.startsWithWhatIsLeft { log = RemainingLog(log) }
    return LearningParts(
      configuration, versions: versions, generations: { generations(stream.admin) }, log: log,
      streams: stream, registry: registry, logger: logger)
  }

  /// Answers those who have a write key.
  func collect(
    keys: KeyRing, gates: [any EventGate], ingest: IngestPipeline, server: String,
    on routes: inout Routes
  ) {
    guard let signer else { return }
    promotions.open(ingest)
    let desk = DecisionDesk(
      plans: configuration.definitions.decisions, models: { [decisions] in decisions.current },
      signer: signer, store: DecisionLog.store(ingest), server: server,
      profile: { [profiles] in profiles?.features(of: $0) ?? [] }, registry: registry,
      clock: QueryRoutes.systemClock)
    DecisionRoutes(
      desk, door: CollectorDoor(WriteKeyDoor(keys: keys.current, gates: gates))
    ).declare(on: &routes)
  }

  /// Tells those who may query what was learned.
  ///
  /// - Parameter way: of what persons choose into the log; nil where there is none.
  func serve(access: QueryAccess, way: IngestPipeline?, on routes: inout Routes) {
    if let recommendations, let similar {
      RecommendationRoutes(
        recommendations, similar: similar, check: access.check,
        members: { [profiles] _, segment in profiles?.members(of: segment) }
      ).declare(on: &routes)
    }
    if let profiles {
      ProfileRoutes(profiles, check: access.check).declare(on: &routes)
      TimingRoutes(
        models: { [timing] in timing.current }, forecasts: { [forecasts] in forecasts.current },
        check: access.check
      ).declare(on: &routes)
    }
    ForecastRoutes(forecasts: { [forecasts] in forecasts.current }, check: access.check)
      .declare(on: &routes)
    NoveltyRoutes(novelties: { [novelties] in novelties.current }, check: access.check)
      .declare(on: &routes)
    ModelCards(
      plans: configuration.definitions.decisions, decisions: { [decisions] in decisions.current },
      recommendations: recommendations, profiles: profiles,
      timing: { [timing] in timing.current }, forecasts: { [forecasts] in forecasts.current },
      check: access.check
    ).declare(on: &routes)
    guard let signer else { return }
    if let way, !configuration.definitions.decisions.isEmpty { promotions.open(way) }
    DecisionReports(
      plans: configuration.definitions.decisions, models: { [decisions] in decisions.current },
      problem: { [follower] in follower?.state.problem }, signer: signer,
      find: { [search] token in
        await search?.find(
          .decision, id: token.id.description, receivedAt: token.time
        ).map { (event: $0.event, position: $0.position.description) }
      }, promotions: promotions.desk, check: access.check
    ).declare(on: &routes)
  }

  /// Changes of segments go into the log from now on.
  func announce(through way: IngestPipeline, shownTo debugger: EventDebugger?) {
    announcer.open(way, shownTo: debugger)
  }

  /// Where the log has what was stored in a time; nil where nobody here can ask it.
  var spans: FindSpans? {
    guard let search else { return nil }
    return { await search.spans(from: $0, until: $1) }
  }

  /// Whose an incident is.
  var audience: FindAudience? {
    guard follower != nil, followed != nil else { return nil }
    return { [audiences] row, from, until, expected in
      let quantity: AudienceTable.Quantity =
        switch row.kind {
        case .trafficDown, .trafficUp: .impressions
        case .rateDown, .rateUp: .clicks
        case .conversionDown, .conversionUp: .conversions
        }
      return audiences.contributions(
        site: row.site, campaign: row.campaign, content: row.content, quantity, from: from,
        until: until, expected: expected
      )?.map {
        IncidentAudience(
          dimension: $0.dimension, value: $0.value, share: $0.share, usual: $0.usual)
      }
    }
  }

  /// What is wrong is said, and nothing is refused for it: decisions fall back to their default arms.
  var check: HealthCheck? {
    follower.map { follower in
      HealthCheck(name: "learning") { follower.state.problem.map { .degraded($0) } ?? .ok }
    }
  }

  func start() {
    similar?.start()
    let (follower, followed) = (follower, followed)
    starting.withLock { state in
      state.task = Task { [self] in
        // Persons are followed from the beginning for the experiments that are known by then.
        let end = ContinuousClock.now + Self.readyWithin
        while followed.map({ !$0.isReady }) ?? false, ContinuousClock.now < end {
          do { try await Task.sleep(for: .milliseconds(20)) } catch { return }
        }
        starting.withLock { if !$0.isStopped { follower?.start() } }
      }
    }
  }

  /// How long the log waits for the experiments to be known.
  private static let readyWithin = Duration.seconds(5)

  func stop() {
    starting.withLock { state in
      state.isStopped = true
      state.task?.cancel()
    }
    follower?.stop()
    similar?.stop()
  }
}

/// Who says promotions in the log, once there is a way there.
private final class PromotionBox: Sendable {
  private let opened = Mutex<PromotionDesk?>(nil)

  var desk: PromotionDesk? { opened.withLock { $0 } }

  func open(_ way: IngestPipeline) {
    let desk = PromotionDesk(
      store: DecisionLog.store(way), cleaned: { PersonalNote.removed(from: $0) },
      clock: QueryRoutes.systemClock)
    opened.withLock { $0 = $0 ?? desk }
  }
}
