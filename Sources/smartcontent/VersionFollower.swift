import Dataflow
import Dispatch
import Logging
import Ports
import PostgresClient
import PostgresViews
import Synchronization

/// Knows which versions of pipelines there are, as the catalog says it, a second old at most.
///
/// Asks on a queue of its own, because asking blocks. While Postgres is away the last answer stands;
/// that it is away is said by other checks.
final class VersionFollower: Sendable {
  private static let intervalMs = 1_000

  private let catalog: Mutex<PipelineCatalog>
  private let latest: Mutex<[PipelineVersion]>
  private let logger: Logger
  private let queue = DispatchQueue(label: "smartcontent.versions")
  private let isStopped = Atomic<Bool>(false)

  /// Asks once, and waits for the answer as long as a connection takes.
  init(_ postgres: PostgresSettings, logger: Logger) {
    catalog = Mutex(PipelineCatalog(postgres))
    latest = Mutex([])
    self.logger = logger
    _ = refresh()
  }

  /// - Parameter changed: called on the follower's queue now and after each change.
  func start(_ changed: @escaping @Sendable ([PipelineVersion]) -> Void = { _ in }) {
    changed(versions)
    queue.asyncAfter(deadline: .now() + .milliseconds(Self.intervalMs)) { [weak self] in
      self?.follow(changed)
    }
  }

  func stop() { isStopped.store(true, ordering: .relaxed) }

  var versions: [PipelineVersion] { latest.withLock { $0 } }

  private func follow(_ changed: @escaping @Sendable ([PipelineVersion]) -> Void) {
    guard !isStopped.load(ordering: .relaxed) else { return }
    if refresh() { changed(versions) }
    queue.asyncAfter(deadline: .now() + .milliseconds(Self.intervalMs)) { [weak self] in
      self?.follow(changed)
    }
  }

  /// - Returns: whether the answer is another one than before.
  private func refresh() -> Bool {
    do throws(ViewStoreError) {
      let found = try catalog.withLock { (catalog) throws(ViewStoreError) in
        try catalog.versions()
      }
      return latest.withLock { latest in
        defer { latest = found }
        return latest != found
      }
    } catch {
      logger.debug("the catalog of pipelines cannot be read", metadata: ["error": "\(error)"])
      return false
    }
  }
}

extension [PipelineVersion] {
  /// What queries of a declared pipeline read: the active version, else the declared one.
  func active(_ declared: PipelineSpec) -> PipelineSpec {
    guard let active = first(where: { $0.name == declared.name && $0.isActive }) else {
      return declared
    }
    if let spec = active.spec { return spec }
    // Computed by another program: its rows can be read all the same.
    var spec = declared
    spec.version = active.version
    return spec
  }

  /// The version that queries read of a declared pipeline, where it was computed by another program, which
  /// counts otherwise.
  func outdated(_ declared: PipelineSpec) -> PipelineVersion? {
    first { $0.name == declared.name && $0.isActive && $0.spec == nil }
  }

  /// What a processor runs of a declared pipeline: every version that is kept up to date, the active
  /// one first, and the declared one where it is new.
  func toRun(_ declared: PipelineSpec) -> [PipelineSpec] {
    let known = filter { $0.name == declared.name }
    var specs: [PipelineSpec] = []
    for version in known.filter(\.isActive) + known.filter({ !$0.isActive })
    where version.state == .live {
      // Where queries read what another declaration or program has computed, its loop says so and halts.
      if version.version == declared.version {
        if version.isActive || version.hash == declared.hash { specs.append(declared) }
      } else if let spec = version.spec {
        specs.append(spec)
      }
    }
    if known.allSatisfy({ $0.version < declared.version }) { specs.append(declared) }
    return specs
  }
}
