import CLibPQ
import Glibc

/// One session with a Postgres server, over libpq, for one thread.
///
/// Every call blocks its thread until the server has answered or `answerTimeoutMs` is over: libpq
/// runs in non-blocking mode and `poll` waits, so a dead network never hangs a loop for ever. All
/// parameters and results are binary. Where nothing comes for `silenceMs` the server is asked whether
/// it works at all (`SilenceWatch`), so that a dead connection costs seconds and not that time. A
/// session that broke stays broken (`isConnected`); the caller makes a new one, because only the
/// caller knows what has to be looked at again first.
///
/// Not `Sendable` on purpose: it is made and used on one thread (or in one actor).
public final class PostgresConnection {
  public let settings: PostgresSettings
  private let raw: OpaquePointer
  private let password: String
  private var prepared: Set<String> = []
  private var isBroken = false
  /// Asked every 250 ms while a call waits; true ends the wait as if its time were over.
  private let givesUp: () -> Bool
  /// The server process that this session talks to itself; nil until known, and behind a pooler.
  private var watchedBackend: Int32?
  /// How long an answer may take, in milliseconds: first as long as connecting, then `answerTimeoutMs`.
  private var answerMs: Int

  /// Connects and logs in.
  /// - Parameter givesUp: lets a thread that is to end leave a server that does not answer; asked
  ///   every 250 ms of waiting.
  /// - Throws: `invalidSettings`, `unreachable`, or `rejected` if the server refused the session.
  public init(
    _ settings: PostgresSettings, givesUp: @escaping () -> Bool = { false }
  ) throws(PostgresError) {
    self.settings = settings
    self.givesUp = givesUp
    answerMs = settings.connectTimeoutMs
    let (pairs, password) = try settings.parameters()
    self.password = password
    let connected = PostgresConnection.start(pairs)
    guard let connected else { throw .unreachable("no memory for a connection") }
    raw = connected
    PQsetNoticeReceiver(raw, { _, _ in }, nil)
    do throws(PostgresError) {
      try finishConnecting()
      guard PQsetnonblocking(raw, 1) == 0 else {
        throw .unreachable("the connection can't be made non-blocking")
      }
      try execute(
        "set statement_timeout = \(settings.statementTimeoutMs); set timezone = 'UTC';"
          + " set client_min_messages = warning; set tcp_keepalives_idle = 5;"
          + " set tcp_keepalives_interval = 2; set tcp_keepalives_count = 3")
      if settings.silenceMs > 0 { try findBackend() }
      answerMs = settings.answerTimeoutMs
    } catch {
      isBroken = true
      throw error
    }
  }

  deinit { PQfinish(raw) }

  /// Whether the session can still be used.
  public var isConnected: Bool { !isBroken && PQstatus(raw) == CONNECTION_OK }

  /// The server process of this session (`pg_backend_pid()`).
  public var backendProcessID: Int32 { PQbackendPID(raw) }

  /// Gives the session up; the server rolls its transaction back.
  public func close() { isBroken = true }

  // MARK: statements

  /// Runs one or more statements without parameters and drops their rows. Without a
  /// `transaction` around them, several statements are one implicit transaction.
  public func execute(_ sql: String) throws(PostgresError) {
    PQclear(try run { PQsendQuery(raw, sql) })
  }

  /// Runs one statement with binary parameters and gives its rows.
  public func query(
    _ sql: String, _ parameters: borrowing PostgresParameters
  ) throws(PostgresError) -> PostgresResult {
    let sent = try run {
      parameters.withRawArrays { count, types, values, lengths, formats in
        PQsendQueryParams(raw, sql, count, types, values, lengths, formats, 1)
      }
    }
    return PostgresResult(owning: sent)
  }

  /// Runs one statement without parameters and gives its rows.
  public func query(_ sql: String) throws(PostgresError) -> PostgresResult {
    let none = PostgresParameters()
    return try query(sql, none)
  }

  /// Runs a statement that the server has parsed and planned before: the first call of a session
  /// prepares it. `name` stands for `sql` in this session from then on.
  public func query(
    prepared name: String, _ sql: String, _ parameters: borrowing PostgresParameters
  ) throws(PostgresError) -> PostgresResult {
    if !prepared.contains(name) {
      let done = try run {
        parameters.withRawArrays { count, types, _, _, _ in
          PQsendPrepare(raw, name, sql, count, types)
        }
      }
      PQclear(done)
      prepared.insert(name)
    }
    let sent = try run {
      parameters.withRawArrays { count, _, values, lengths, formats in
        PQsendQueryPrepared(raw, name, count, values, lengths, formats, 1)
      }
    }
    return PostgresResult(owning: sent)
  }

  // MARK: the wire

  private static func start(_ pairs: [(String, String)]) -> OpaquePointer? {
    var keywords: [UnsafePointer<CChar>?] = pairs.map { UnsafePointer(strdup($0.0)) }
    var values: [UnsafePointer<CChar>?] = pairs.map { UnsafePointer(strdup($0.1)) }
    keywords.append(nil)
    values.append(nil)
    defer {
      for pointer in keywords + values { free(UnsafeMutablePointer(mutating: pointer)) }
    }
    return PQconnectStartParams(keywords, values, 0)
  }

  private func finishConnecting() throws(PostgresError) {
    let deadline = monotonicMilliseconds() + settings.connectTimeoutMs
    var wanted = PGRES_POLLING_WRITING
    while PQstatus(raw) != CONNECTION_BAD {
      if wanted == PGRES_POLLING_OK { return }
      if wanted == PGRES_POLLING_FAILED { break }
      let events = wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT
      guard try wait(for: Int16(events), until: deadline) else {
        let waited = settings.connectTimeoutMs - max(0, deadline - monotonicMilliseconds())
        throw .unreachable("no session within \(waited) ms")
      }
      wanted = PQconnectPoll(raw)
    }
    throw .unreachable(lastMessage())
  }

  /// Sends, flushes, waits and gives the last result. Anything but success throws.
  private func run(_ send: () -> Int32) throws(PostgresError) -> OpaquePointer {
    guard isConnected else { throw .connectionLost("the session ended before this statement") }
    guard send() == 1 else { throw broken() }
    let deadline = monotonicMilliseconds() + answerMs
    try flush(until: deadline)
    var last: OpaquePointer?
    var failure: PostgresRejection?
    while true {
      while PQisBusy(raw) == 1 { try read(until: deadline) }
      guard let result = PQgetResult(raw) else { break }
      let status = PQresultStatus(result)
      if status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY {
        PQclear(last)
        last = result
        continue
      }
      if failure == nil { failure = rejection(of: result) }
      PQclear(result)
      // A statement that starts a COPY would wait for data for ever; this client has none.
      if status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH {
        PQclear(last)
        isBroken = true
        throw .unexpectedResult("COPY is not supported here")
      }
      if PQstatus(raw) == CONNECTION_BAD { break }
    }
    if let failure {
      PQclear(last)
      if failure.sqlState.isEmpty { throw broken() }
      throw .rejected(failure)
    }
    guard PQstatus(raw) == CONNECTION_OK, let last else {
      PQclear(last)
      throw broken()
    }
    return last
  }

  private func flush(until deadline: Int) throws(PostgresError) {
    while true {
      switch PQflush(raw) {
      case 0: return
      case 1:
        guard try wait(for: Int16(POLLIN | POLLOUT), until: deadline) else {
          throw tooSlow(deadline)
        }
        if PQconsumeInput(raw) == 0 { throw broken() }
      default: throw broken()
      }
    }
  }

  private func read(until deadline: Int) throws(PostgresError) {
    guard try wait(for: Int16(POLLIN), until: deadline) else { throw tooSlow(deadline) }
    if PQconsumeInput(raw) == 0 { throw broken() }
  }

  /// - Returns: false once the deadline has passed or the caller gives up.
  private func wait(for events: Int16, until deadline: Int) throws(PostgresError) -> Bool {
    var pause = settings.silenceMs
    var askAt = watchedBackend == nil ? Int.max : monotonicMilliseconds() + pause
    while true {
      let now = monotonicMilliseconds()
      let left = deadline - now
      if left <= 0 || givesUp() { return false }
      if now >= askAt {
        switch askAboutSilence() {
        case .forgotten:
          isBroken = true
          throw .connectionLost(
            "no answer for \(settings.silenceMs) ms, and the server does not work on one")
        // Who has much to do is asked less and less often.
        case .works: pause = min(2 * pause, 4 * settings.silenceMs)
        case .unknown: break
        }
        askAt = monotonicMilliseconds() + pause
      }
      var descriptor = pollfd(fd: PQsocket(raw), events: events, revents: 0)
      let ready = poll(&descriptor, 1, Int32(clamping: min(left, 250, askAt - now)))
      if ready > 0 { return true }
      if ready < 0 && errno != EINTR { throw broken() }
    }
  }

  /// Behind a pooler the process that is named at login is not the one that does the work.
  private func findBackend() throws(PostgresError) {
    let result = try query("select pg_backend_pid()")
    try result.require(.int4)
    if result.int4(0, 0) == backendProcessID { watchedBackend = backendProcessID }
  }

  private func askAboutSilence() -> SilenceWatch.Finding {
    guard let backend = watchedBackend else { return .unknown }
    return SilenceWatch.ask(about: backend, of: settings) {
      var descriptor = pollfd(fd: PQsocket(raw), events: Int16(POLLIN), revents: 0)
      return poll(&descriptor, 1, 0) > 0
    }
  }

  /// Says how long was really waited: less than was allowed where the caller has given up.
  private func tooSlow(_ deadline: Int) -> PostgresError {
    isBroken = true
    return .timedOut(milliseconds: answerMs - max(0, deadline - monotonicMilliseconds()))
  }

  private func broken() -> PostgresError {
    isBroken = true
    return .connectionLost(lastMessage())
  }

  /// libpq's last message in one line without the password.
  private func lastMessage() -> String {
    var text = PQerrorMessage(raw).map { String(cString: $0) } ?? ""
    if !password.isEmpty { text = text.replacing(password, with: "…") }
    return text.split(whereSeparator: \.isNewline).joined(separator: "; ")
  }

  private func rejection(of result: OpaquePointer) -> PostgresRejection {
    func field(_ code: Int32) -> String {
      PQresultErrorField(result, code).map { String(cString: $0) } ?? ""
    }
    return PostgresRejection(
      sqlState: field(sc_pg_diag_sqlstate()), message: field(sc_pg_diag_message()),
      hint: field(sc_pg_diag_hint()), severity: field(sc_pg_diag_severity()),
      table: field(sc_pg_diag_table()), constraint: field(sc_pg_diag_constraint()))
  }

  func monotonicMilliseconds() -> Int {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec * 1_000 + now.tv_nsec / 1_000_000
  }
}
