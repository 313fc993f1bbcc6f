import Dataflow
import Glibc
import LocalServers
import Ports
import PostgresClient
import RedisClient
import RedisViews
import Synchronization
import Testing
import Views

/// Servers on disks that are full to the last byte, and in memory that is.
@Suite("Stores without room", .serialized)
struct FullStoreTests {
  /// `mount` is a right that containers do not have.
  private static let canMount: Bool = {
    do {
      try TinyDisk(at: "/tmp/smartcontent-test-\(getpid())-mount", mebibytes: 1).unmount()
      return true
    } catch {
      return false
    }
  }()

  @Test("Postgres on a full disk says so, and goes on once there is room", .enabled(if: canMount))
  func postgres() async throws {
    let servers = try await ViewServers.start("full-postgres")
    let url = servers.endpoints.postgresURL
    let connection = try PostgresConnection(PostgresSettings(connection: url))
    let disk = try TinyDisk(at: servers.home + "/tiny", mebibytes: 32)
    defer { disk.unmount() }
    var data = stat()
    #expect(stat(servers.home + "/postgres", &data) == 0)
    #expect(chown(disk.path, data.st_uid, data.st_gid) == 0)
    try connection.execute("create tablespace tiny location '\(disk.path)'")
    let owner = try Owner(
      PostgresSettings(connection: url + "?options=-c%20default_tablespace%3Dtiny"),
      PipelineSpec(name: "t_full"), Sample.stream())
    try owner.claim()
    let entries = (0..<20_000).map { Sample.entry(Sample.tuple("post \($0)")) }
    func commit() throws {
      try owner.commit { batch in
        batch.dimensions = entries
        batch.rows = entries.map { Sample.row(.hour, Sample.day, $0, impressions: 7) }
      }
    }
    try disk.fill()
    for _ in 0..<2 {
      do {
        try commit()
        Issue.record("a disk that is full took 20,000 rows")
      } catch ViewStoreError.full(let reason) {
        #expect(reason.contains("53100") && reason.contains("No space left on device"))
      }
    }
    disk.empty()
    try commit()
    let rows = try connection.query("select count(*) from p_t_full_1.metrics_1h")
    #expect(rows.int8(0, 0) == 20_000 && owner.checkpoint.sequence == 1)
    await servers.stop()
  }

  @Test("Redis without memory says so, and goes on once it has some")
  func redisMemory() async throws {
    let servers = try await ViewServers.start("full-memory")
    let hot = try HotCase(servers)
    try hot.write()
    _ = try hot.connection.command("CONFIG", "SET", "maxmemory", "1")
    for _ in 0..<2 {
      #expect(try hot.refusal()?.contains("no memory left: raise maxmemory") == true)
    }
    _ = try hot.connection.command("CONFIG", "SET", "maxmemory", "0")
    try hot.write()
    await servers.stop()
  }

  @Test(
    "Redis that cannot write its files says so, and goes on once it can", .enabled(if: canMount))
  func redisDisk() async throws {
    let made = Mutex<TinyDisk?>(nil)
    let servers = try await ViewServers.start("full-redis") { home in
      let disk = try TinyDisk(at: home + "/redis", mebibytes: 1)
      made.withLock { $0 = disk }
    }
    let disk = try #require(made.withLock { $0 })
    defer { disk.unmount() }
    let hot = try HotCase(servers)
    _ = try hot.connection.command("CONFIG", "SET", "save", "3600 1")
    try hot.write()
    try disk.fill()
    try hot.save()
    for _ in 0..<2 {
      #expect(try hot.refusal()?.contains("cannot write its files") == true)
    }
    disk.empty()
    try hot.save()
    try hot.write()
    await servers.stop()
  }

  /// A hot copy in a Redis of its own.
  private struct HotCase {
    let connection: RedisConnection
    private let store: RedisHotStore

    init(_ servers: LocalServers) throws {
      let settings = try RedisSettings(url: servers.endpoints.redisURL)
      connection = try RedisConnection(settings)
      store = RedisHotStore(settings, pipeline: PipelineSpec(name: "h_full"))
    }

    func write() throws {
      let entry = Sample.entry(Sample.tuple("post"))
      let header = HotHeader(
        epoch: 1, sequence: 1, lastDeltaSequence: 0, committedSequence: 0, copy: 1,
        isComplete: true, logTime: Sample.day, watermark: .min, seams: Seams())
      let row = HotRow(
        row: Sample.row(.hour, Sample.day, entry, impressions: 1), tuple: entry.encoded)
      try store.rebuild([row], stream: Sample.stream(), header: header)
    }

    /// What the store says instead of taking something for lack of room; nil where it takes it.
    func refusal() throws -> String? {
      do {
        try write()
        return nil
      } catch HotStoreError.full(let reason) {
        return reason
      }
    }

    /// Has the server save, and waits until it has tried.
    func save() throws {
      _ = try connection.command("BGSAVE")
      while try connection.command("INFO", "persistence").text?.contains(
        "rdb_bgsave_in_progress:1") == true
      { sched_yield() }
    }
  }
}

/// A file system in memory, and a file that takes what is left of it.
private struct TinyDisk {
  let path: String

  struct Failure: Error { let reason: String }

  init(at path: String, mebibytes: Int) throws {
    self.path = path
    let isThere = mkdir(path, 0o711) == 0 || errno == EEXIST
    guard isThere, mount("tmpfs", path, "tmpfs", 0, "size=\(mebibytes)m,mode=0711") == 0
    else { throw Failure(reason: "no tmpfs at \(path): \(String(cString: strerror(errno)))") }
  }

  func fill() throws {
    let file = open(path + "/ballast", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else {
      throw Failure(reason: "no ballast: \(String(cString: strerror(errno)))")
    }
    let page = [UInt8](repeating: 1, count: 4096)
    while write(file, page, page.count) == page.count {}
    close(file)
  }

  func empty() { unlink(path + "/ballast") }

  func unmount() {
    umount2(path, Int32(MNT_DETACH))
    rmdir(path)
  }
}
