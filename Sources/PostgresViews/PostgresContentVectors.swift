public import PostgresClient
public import Ports
import SessionPool
import Synchronization

/// Vectors of contents in Postgres, found by the HNSW index of the extension pgvector, where the server has it.
///
///     smartcontent_vectors.contents   site, content │ digest │ embedding vector(512), HNSW by cosine
///     smartcontent_vectors.progress   how far the log was read for what is there
///
/// Whether the server has the extension is found out by asking; it is created where the role may do so. A search has
/// ``answerMs``, connecting before it as much, and after one that failed nobody is kept waiting for ``pauseMs``. Rows that were not written for a year
/// are dropped when a writer begins.
public final class PostgresContentVectors: ContentVectorStore {
  /// As long as a search may take: longer ones are answered without Postgres.
  public static let answerMs = 100
  static let pauseMs = 5_000
  /// Of a vector: fixed, because the column is.
  public static let dimensions = 512

  private let settings: PostgresSettings
  private let searches: PostgresSettings
  private let pool: SessionPool<PostgresConnection>
  private let askedAgain = Mutex<ContinuousClock.Instant?>(nil)

  public init(_ settings: PostgresSettings, answerMs: Int = answerMs) {
    self.settings = settings
    var searches = settings
    searches.connectTimeoutMs = answerMs
    searches.answerTimeoutMs = answerMs
    searches.statementTimeoutMs = answerMs
    searches.silenceMs = 0
    self.searches = searches
    pool = SessionPool(size: 2, waitingMax: 32)
  }

  public func writer() -> any ContentVectorWriter { PostgresVectorWriter(settings) }

  // MARK: Search

  public func nearest(
    to vector: [Float], site: String, count: Int
  ) async throws(ContentVectorError) -> NearestContents {
    let isPausing = askedAgain.withLock { $0.map { ContinuousClock.now < $0 } ?? false }
    guard !isPausing else { throw .unavailable("it failed within the last seconds") }
    do throws(ContentVectorError) {
      return try await pool.run(orElse: .unavailable("too many searches wait for it")) {
        [searches] (session: inout PostgresConnection?) throws(ContentVectorError) in
        do throws(PostgresError) {
          if session?.isConnected != true { session = try Self.open(searches) }
          guard let session else { throw .unreachable("no session") }
          return try Self.search(session, vector, site, count)
        } catch {
          session = nil
          throw Self.reason(error)
        }
      }
    } catch {
      askedAgain.withLock { $0 = ContinuousClock.now + .milliseconds(Self.pauseMs) }
      throw error
    }
  }

  /// Iterative scans (pgvector 0.8) go on where a site's contents are few among all of those that are near.
  private static func open(
    _ settings: PostgresSettings
  ) throws(PostgresError) -> PostgresConnection {
    let session = try PostgresConnection(settings)
    try session.execute("set hnsw.ef_search = 100")
    if try version(session) >= (0, 8) {
      try session.execute("set hnsw.iterative_scan = strict_order")
    }
    return session
  }

  private static func version(_ session: PostgresConnection) throws(PostgresError) -> (Int, Int) {
    let found = try session.query("select extversion from pg_extension where extname = 'vector'")
    guard found.rowCount == 1 else { return (0, 0) }
    let parts = found.text(0, 0).split(separator: ".").map { Int($0) ?? 0 }
    return (parts.first ?? 0, parts.count > 1 ? parts[1] : 0)
  }

  private static func search(
    _ session: PostgresConnection, _ vector: [Float], _ site: String, _ count: Int
  ) throws(PostgresError) -> NearestContents {
    var parameters = PostgresParameters(capacity: 8_192)
    parameters.append(text: VectorText.text(vector))
    parameters.append(text: site)
    parameters.append(int4: Int32(clamping: count))
    let found = try session.query(
      prepared: "nearest_contents",
      """
      select c.content, 1 - (c.embedding <=> $1::vector),
        coalesce((select p.read_to from smartcontent_vectors.progress p limit 1), '')
      from smartcontent_vectors.contents c where c.site = $2
      order by c.embedding <=> $1::vector limit $3
      """, parameters)
    try found.require(.text, .float8, .text)
    return NearestContents(
      contents: (0..<found.rowCount).map { (found.text($0, 0), found.double($0, 1)) },
      readTo: found.rowCount > 0 ? found.text(0, 2) : "")
  }

  static func reason(_ error: PostgresError) -> ContentVectorError {
    switch error.sqlState {
    // Undefined table, schema, type, function; or the extension's parameters.
    case "42P01", "3F000", "42704", "42883", "0A000", "42501":
      .unsupported("\(error)")
    default: .unavailable("\(error)")
    }
  }
}

/// Writes vectors, one session of its own.
final class PostgresVectorWriter: ContentVectorWriter {
  private let settings: PostgresSettings
  private var session: PostgresConnection?

  init(_ settings: PostgresSettings) { self.settings = settings }

  func stored(
    _ contents: [String], of site: String
  ) throws(ContentVectorError) -> [StoredContentVector] {
    try using { session throws(PostgresError) in
      var parameters = PostgresParameters(capacity: 4_096)
      parameters.append(text: site)
      parameters.append(textArray: contents)
      let found = try session.query(
        prepared: "stored_vectors",
        """
        select content, digest, embedding::text from smartcontent_vectors.contents
        where site = $1 and content = any($2)
        """, parameters)
      try found.require(.text, .text, .text)
      return (0..<found.rowCount).map { row in
        StoredContentVector(
          site: site, content: found.text(row, 0), digest: found.text(row, 1),
          vector: VectorText.vector(found.text(row, 2)))
      }
    }
  }

  func write(
    _ vectors: [StoredContentVector], readTo: String?
  ) throws(ContentVectorError) {
    try using { session throws(PostgresError) in
      try session.transaction(.relaxedWrite) { session throws(PostgresError) in
        try Self.insert(vectors, session)
        guard let readTo else { return .commit(()) }
        var progress = PostgresParameters(capacity: 512)
        progress.append(text: readTo)
        _ = try session.query(
          prepared: "vector_progress",
          """
          insert into smartcontent_vectors.progress (id, read_to) values (1, $1)
          on conflict (id) do update set read_to = excluded.read_to, updated_at = now()
          """, progress)
        return .commit(())
      }
    }
  }

  /// In order of their keys, so that two processes that write the same never wait for each other in a circle.
  private static func insert(
    _ vectors: [StoredContentVector], _ session: PostgresConnection
  ) throws(PostgresError) {
    guard !vectors.isEmpty else { return }
    let vectors = vectors.sorted { ($0.site, $0.content) < ($1.site, $1.content) }
    var parameters = PostgresParameters(capacity: 8_192 * vectors.count)
    parameters.append(textArray: vectors.map(\.site))
    parameters.append(textArray: vectors.map(\.content))
    parameters.append(textArray: vectors.map(\.digest))
    parameters.append(textArray: vectors.map { VectorText.text($0.vector) })
    _ = try session.query(
      prepared: "write_vectors",
      """
      insert into smartcontent_vectors.contents (site, content, digest, embedding)
      select v.site, v.content, v.digest, v.embedding::vector
      from unnest($1, $2, $3, $4) as v(site, content, digest, embedding)
      on conflict (site, content) do update
        set digest = excluded.digest, embedding = excluded.embedding, written_at = now()
        where contents.digest <> excluded.digest
      """, parameters)
  }

  private func using<Value>(
    _ body: (PostgresConnection) throws(PostgresError) -> Value
  ) throws(ContentVectorError) -> Value {
    do throws(PostgresError) {
      if session == nil { session = try open() }
      guard let session else { throw PostgresError.unreachable("no session") }
      return try body(session)
    } catch {
      session = nil
      throw PostgresContentVectors.reason(error)
    }
  }

  private func open() throws(PostgresError) -> PostgresConnection {
    let session = try PostgresConnection(settings)
    let available = try session.query(
      "select 1 from pg_available_extensions where name = 'vector'")
    guard available.rowCount == 1 else {
      throw .rejected(
        PostgresRejection(
          sqlState: "0A000", message: "the server has no extension called vector",
          hint: "install pgvector there to search among all contents"))
    }
    try session.execute(Self.schema)
    return session
  }

  private static let schema = """
    create extension if not exists vector;
    create schema if not exists smartcontent_vectors;
    create table if not exists smartcontent_vectors.contents (
      site text collate "C" not null,
      content text collate "C" not null,
      digest text collate "C" not null,
      embedding vector(\(PostgresContentVectors.dimensions)) not null,
      written_at timestamptz not null default now(),
      primary key (site, content)
    );
    create index if not exists contents_by_embedding on smartcontent_vectors.contents
      using hnsw (embedding vector_cosine_ops) with (m = 16, ef_construction = 80);
    create table if not exists smartcontent_vectors.progress (
      id int primary key,
      read_to text not null,
      updated_at timestamptz not null default now()
    );
    delete from smartcontent_vectors.contents where written_at < now() - interval '365 days';
    """
}

/// Vectors as pgvector writes them: `[0.5,-1,0]`.
enum VectorText {
  static func text(_ vector: [Float]) -> String {
    var text = "["
    text.reserveCapacity(12 * vector.count)
    for (index, value) in vector.enumerated() {
      if index > 0 { text += "," }
      // Most are 0 where only words are known.
      text += value == 0 ? "0" : "\(value)"
    }
    return text + "]"
  }

  static func vector(_ text: String) -> [Float] {
    text.dropFirst().dropLast().split(separator: ",").map { Float($0) ?? 0 }
  }
}
