import Dataflow
import Dispatch
import Logging
import PostgresViews
import Synchronization

/// What `dev` does in a folder whose results were computed by a program that counts otherwise
/// (`PipelineSpec.codeVersion`): it computes them anew from the log, beside the old ones, which queries
/// read until then, switches over and removes the old ones. Elsewhere that is an operator's decision:
/// `smartcontent rebuild`.
final class VersionUpgrade: Sendable {
  private let configuration: SystemConfiguration
  private let logger: Logger
  private let isCancelled = Atomic(false)
  private let queue = DispatchQueue(label: "smartcontent.upgrade")
  private let work = DispatchGroup()
  /// Of the time that `dev` has to stop.
  private static let stopWithinMs = 1_500

  init(_ configuration: SystemConfiguration, logger: Logger) {
    self.configuration = configuration
    self.logger = logger
  }

  /// Looks once, on a queue of its own.
  func start() { queue.async(group: work) { self.run() } }

  /// What was computed stays; the next start goes on with it. Blocks until loops have ended, mostly.
  func stop() {
    isCancelled.store(true, ordering: .releasing)
    _ = work.wait(timeout: .now() + .milliseconds(Self.stopWithinMs))
  }

  private var isStopping: Bool { isCancelled.load(ordering: .acquiring) }

  private func run() {
    guard let postgres = configuration.postgres, let redis = configuration.redis else { return }
    let catalog = PipelineCatalog(postgres)
    var leftBehind: [PipelineVersion] = []
    for declared in configuration.pipelines where !isStopping {
      attempt(declared.name) {
        guard let old = try catalog.versions().outdated(declared) else { return }
        logger.notice(
          "this program counts otherwise than the one before: results are computed anew",
          metadata: ["pipeline": "\(declared.name)", "version": "\(old.version)"])
        let target = try RebuildPlan.target(declared, try catalog.versions())
        let isActive = try VersionBuild(target, catalog, configuration, logger: logger)
          .run(activates: true) { isStopping }
        if isActive { leftBehind.append(old) }
      }
    }
    for old in leftBehind where !isStopping {
      attempt(old.name) {
        try VersionRemoval(catalog, redis: redis, nats: configuration.nats)
          .run(old.name, old.version)
      }
    }
  }

  private func attempt(_ pipeline: String, _ body: () throws -> Void) {
    do {
      try body()
    } catch {
      logger.error(
        "results are not computed anew: start again, or see `smartcontent rebuild --help`",
        metadata: ["pipeline": "\(pipeline)", "error": "\(error)"])
    }
  }
}
