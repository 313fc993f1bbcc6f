import Dataflow
import Events
import Glibc
import LocalServers
import PostgresClient
import PostgresViews
import RedisClient
import SessionPool
import Synchronization
import Views

/// Private servers for the tests of the read models, started at the first use and ended with the
/// process. Tests share them: each uses a pipeline of its own, and with it a schema and keys.
enum ViewServers {
  static func shared() async throws -> LocalServers { try await started.value }

  static func postgres() async throws -> PostgresSettings {
    PostgresSettings(connection: try await shared().endpoints.postgresURL)
  }

  /// Generous time limits: the machine may be busy with other tests.
  static func redis() async throws -> RedisSettings {
    var settings = try RedisSettings(url: try await shared().endpoints.redisURL)
    settings.connectTimeoutMs = 5_000
    settings.commandTimeoutMs = 5_000
    return settings
  }

  private static let started = Task { try await start("views") }

  /// Servers of a test's own, for one that ends them.
  ///
  /// - Parameter prepare: gets the folder that they are to run in.
  static func start(
    _ purpose: String, prepare: (String) throws -> Void = { _ in }
  ) async throws -> LocalServers {
    var options = LocalServersOptions()
    options.servers = [.postgres, .redis]
    let home = try makeFolder(purpose)
    try prepare(home)
    let servers = try await LocalServers.start(home: home, options: options)
    let isFirst = running.withLock {
      $0.append(servers)
      return $0.count == 1
    }
    if isFirst { atexit { ViewServers.end() } }
    return servers
  }

  private static let running = Mutex<[LocalServers]>([])

  private static func end() {
    for servers in running.withLock({ $0 }) {
      servers.stopBlocking()
      do {
        try LocalServers.remove(home: servers.home)
      } catch {
        print("test servers: \(error)")
      }
    }
  }

  private static func makeFolder(_ purpose: String) throws -> String {
    let ticks = ProcessIdentity(running: getpid())?.startTicks ?? 0
    let path = "/tmp/smartcontent-test-\(getpid())-\(ticks)-0-\(purpose)"
    // Postgres runs as another user where the tests run as root.
    guard mkdir(path, 0o711) == 0, chmod(path, 0o711) == 0 else { throw Failure(path: path) }
    return path
  }

  struct Failure: Error { let path: String }
}

/// Runs blocking work on a thread of its own, so that several pieces really run at once.
func onThread<Value: Sendable>(
  _ work: @escaping @Sendable () throws -> Value
) async throws -> Value {
  let pool = SessionPool<PostgresConnection>(size: 1, waitingMax: 1)
  return try await pool.run(orElse: CancellationError() as any Error) { _ in try work() }
}

/// Streams, tuples and rows for tests of the read models.
enum Sample {
  /// 2025-11-24 00:00:00 UTC, microseconds since the epoch.
  static let day: Int64 = 1_763_942_400_000_000

  static func stream(_ partition: Int = 0) -> StreamPartition {
    StreamPartition(stream: "events-0\(partition)", generation: 1, partition: partition)
  }

  static func entry(_ tuple: DimensionTuple) -> DimensionEntry {
    let encoded = tuple.encoded
    return DimensionEntry(
      id: encoded.withUnsafeBytes { DimensionTuple.identifier(encoded: $0) }, encoded: encoded)
  }

  static func tuple(_ content: String, currency: String = "") -> DimensionTuple {
    DimensionTuple(
      site: "default", campaign: "spring", content: content, variant: "a", channel: "mail",
      currency: currency)
  }

  static func row(
    _ level: WindowLevel, _ start: Int64, _ entry: DimensionEntry, impressions: Int64,
    revenue: Int64 = 0, revision: Int32 = 0, isFinal: Bool = true
  ) -> WindowRow {
    WindowRow(
      level: level, start: start, dimensionID: entry.id,
      counts: Counts(
        impressions: impressions, views: 1, clicks: 2, engagements: 3, conversions: 4,
        revenueMicros: revenue), revision: revision, isFinal: isFinal)
  }
}

/// A view store with the state that a partition's loop keeps beside it.
final class Owner {
  let store: PostgresViewStore
  let stream: StreamPartition
  /// Id of its process; it holds no lease unless a membership beats in this name.
  let name: String
  private(set) var epoch: Int64 = 0
  private(set) var checkpoint = Checkpoint()

  init(
    _ settings: PostgresSettings, _ pipeline: PipelineSpec, _ stream: StreamPartition,
    name: String = "owner"
  ) throws {
    self.name = name
    store = try PostgresViewStore(settings, pipeline: pipeline)
    self.stream = stream
  }

  func claim() throws {
    (epoch, checkpoint, _) = try store.claim(stream, owner: name)
  }

  /// Commits the batch as one frame after the last one.
  func commit(_ change: (inout CommitBatch) -> Void = { _ in }) throws {
    var batch = CommitBatch()
    batch.checkpoint = checkpoint
    batch.checkpoint.sequence += 1
    change(&batch)
    try store.commit(batch, stream: stream, epoch: epoch, previous: checkpoint.sequence)
    checkpoint = batch.checkpoint
  }
}
