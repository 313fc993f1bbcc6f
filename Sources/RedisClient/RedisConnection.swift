import CHiredis
import Glibc

/// One session with a Redis server, over hiredis, for one thread.
///
/// A batch of commands is encoded by `RedisCommands`, handed to hiredis in one call, and answered
/// in order. Calls block for at most `commandTimeoutMs` without a byte from the server; then the
/// session is given up, because a late answer would be taken for that of the next command.
///
/// hiredis writes with `write(2)`, so a closed peer raises SIGPIPE: connecting ignores that signal
/// for the process unless something has already been set for it.
///
/// Not `Sendable` on purpose: it is made and used on one thread (or in one actor).
public final class RedisConnection {
  private let raw: UnsafeMutablePointer<redisContext>
  private let commandTimeoutMs: Int
  private var isBroken = false
  /// SHA-1 of each script that this session has sent.
  private var digests: [String: String] = [:]

  /// Connects, logs in and selects the database.
  /// - Throws: `unreachable`, or `rejected` if login or database were refused.
  public init(_ settings: RedisSettings) throws(RedisError) {
    RedisConnection.ignoreBrokenPipes()
    let wait = RedisConnection.interval(settings.connectTimeoutMs)
    guard let context = redisConnectWithTimeout(settings.host, settings.port, wait) else {
      throw .unreachable("no memory for a connection")
    }
    raw = context
    commandTimeoutMs = settings.commandTimeoutMs
    guard raw.pointee.err == 0 else {
      isBroken = true
      throw .unreachable(
        "\(settings.host):\(settings.port): \(RedisConnection.message(of: context))")
    }
    redisEnableKeepAlive(raw)
    try setTimeout(milliseconds: settings.commandTimeoutMs)
    if !settings.password.isEmpty {
      var login = RedisCommands()
      if settings.user.isEmpty {
        login.append("AUTH", settings.password)
      } else {
        login.append("AUTH", settings.user, settings.password)
      }
      _ = try execute(login)[0].get()
    }
    if settings.database != 0 { _ = try command("SELECT", "\(settings.database)") }
    // A server that wants a password says so here, and one that is still loading its file too.
    _ = try command("PING")
  }

  deinit { redisFree(raw) }

  public var isConnected: Bool { !isBroken && raw.pointee.err == 0 }

  /// Gives the session up.
  public func close() { isBroken = true }

  /// Changes how long a call waits for the next bytes of an answer.
  public func setTimeout(milliseconds: Int) throws(RedisError) {
    guard redisSetTimeout(raw, RedisConnection.interval(milliseconds)) == REDIS_OK else {
      throw broken()
    }
  }

  /// Sends the batch and gives one answer for each command, in order. An error answer of one
  /// command is in its place (`RedisReply.get`) and does not hide the others.
  public func execute(_ commands: borrowing RedisCommands) throws(RedisError) -> [RedisReply] {
    try append(commands)
    var replies: [RedisReply] = []
    replies.reserveCapacity(commands.count)
    for _ in 0..<commands.count {
      let reply = try readReply()
      defer { freeReplyObject(reply) }
      replies.append(RedisConnection.reply(from: reply.pointee))
    }
    return replies
  }

  /// The same for answers that are read where they are: a copy of each of 100,000 rows takes longer than
  /// the server and the way from it.
  ///
  /// - Parameter body: gets one answer for each command, in order, good until it returns.
  public func execute<Result>(
    _ commands: borrowing RedisCommands,
    reading body: ([RedisReplyView]) throws(RedisError) -> Result
  ) throws(RedisError) -> Result {
    try append(commands)
    var replies: [UnsafeMutablePointer<redisReply>] = []
    defer { for reply in replies { freeReplyObject(reply) } }
    for _ in 0..<commands.count { replies.append(try readReply()) }
    return try body(replies.map { RedisReplyView($0) })
  }

  private func append(_ commands: borrowing RedisCommands) throws(RedisError) {
    guard isConnected else { throw .connectionLost("the session ended before this command") }
    let appended = commands.withBytes {
      redisAppendFormattedCommand(raw, $0.baseAddress, $0.count)
    }
    guard appended == REDIS_OK else { throw broken() }
  }

  /// One command of text arguments.
  /// - Throws: `rejected` for an error answer.
  public func command(_ arguments: String...) throws(RedisError) -> RedisReply {
    var commands = RedisCommands(capacity: 256)
    commands.begin(argumentCount: arguments.count)
    for text in arguments { commands.argument(text) }
    return try execute(commands)[0].get()
  }

  /// One call of a script in a batch.
  public struct ScriptCall {
    let keyCount: Int
    let argumentCount: Int
    let arguments: (inout RedisCommands) -> Void

    /// - Parameter arguments: appends exactly `argumentCount` arguments: the keys, then the rest.
    public init(
      keyCount: Int, argumentCount: Int, arguments: @escaping (inout RedisCommands) -> Void
    ) {
      self.keyCount = keyCount
      self.argumentCount = argumentCount
      self.arguments = arguments
    }
  }

  /// Runs a Lua script by its digest; sends the script itself when the server does not know it
  /// (its first use, or after a restart or SCRIPT FLUSH).
  /// - Parameter arguments: appends exactly `argumentCount` arguments: the keys, then the rest.
  public func evaluate(
    _ script: String, keyCount: Int, argumentCount: Int,
    _ arguments: (inout RedisCommands) -> Void
  ) throws(RedisError) -> RedisReply {
    try withoutActuallyEscaping(arguments) { arguments throws(RedisError) in
      let call = ScriptCall(
        keyCount: keyCount, argumentCount: argumentCount, arguments: arguments)
      return try evaluate(script, batch: [call])[0].get()
    }
  }

  /// Runs a script that only reads several times in one batch; an error answer is in its place.
  ///
  /// Where the server has forgotten the script, the whole batch is sent again, which is why a batch
  /// of more than one call must only read.
  public func evaluate(
    _ script: String, batch calls: [ScriptCall]
  ) throws(RedisError) -> [RedisReply] {
    var commands = RedisCommands(capacity: 4_096)
    for attempt in 0..<2 {
      let digest = try digest(of: script, refresh: attempt > 0)
      commands.removeAll()
      for call in calls {
        commands.begin(argumentCount: 3 + call.argumentCount)
        commands.argument("EVALSHA")
        commands.argument(digest)
        commands.argument(Int64(call.keyCount))
        call.arguments(&commands)
      }
      let replies = try execute(commands)
      let isForgotten = replies.contains {
        if case .error("NOSCRIPT", _) = $0 { return true }
        return false
      }
      if !isForgotten { return replies }
    }
    throw .rejected(code: "NOSCRIPT", message: "the server forgets scripts as soon as it has them")
  }

  private func digest(of script: String, refresh: Bool) throws(RedisError) -> String {
    if !refresh, let known = digests[script] { return known }
    guard let digest = try command("SCRIPT", "LOAD", script).text else {
      throw .unexpectedReply("SCRIPT LOAD gave no digest")
    }
    digests[script] = digest
    return digest
  }

  // MARK: the wire

  /// - Returns: an answer that is the caller's to free.
  private func readReply() throws(RedisError) -> UnsafeMutablePointer<redisReply> {
    var answer: UnsafeMutableRawPointer?
    errno = 0
    guard redisGetReply(raw, &answer) == REDIS_OK, let answer else { throw broken() }
    return answer.assumingMemoryBound(to: redisReply.self)
  }

  static func reply(from raw: redisReply) -> RedisReply {
    switch raw.type {
    case REDIS_REPLY_STRING:
      return .string(Array(UnsafeRawBufferPointer(start: raw.str, count: raw.len)))
    case REDIS_REPLY_INTEGER: return .integer(raw.integer)
    case REDIS_REPLY_STATUS: return .status(text(of: raw))
    case REDIS_REPLY_ERROR:
      let text = text(of: raw)
      let code = text.prefix { $0 != " " }
      return .error(code: String(code), message: String(text.dropFirst(code.count + 1)))
    case REDIS_REPLY_ARRAY:
      var elements: [RedisReply] = []
      elements.reserveCapacity(raw.elements)
      for index in 0..<raw.elements {
        guard let element = raw.element[index] else { continue }
        elements.append(reply(from: element.pointee))
      }
      return .array(elements)
    default: return .null
    }
  }

  private static func text(of raw: redisReply) -> String {
    String(decoding: UnsafeRawBufferPointer(start: raw.str, count: raw.len), as: UTF8.self)
  }

  private func broken() -> RedisError {
    isBroken = true
    if raw.pointee.err == REDIS_ERR_IO && errno == EAGAIN {
      return .connectionLost("no answer within the command timeout (\(commandTimeoutMs) ms)")
    }
    return .connectionLost(RedisConnection.message(of: raw))
  }

  private static func message(of context: UnsafeMutablePointer<redisContext>) -> String {
    withUnsafeBytes(of: context.pointee.errstr) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
  }

  private static func interval(_ milliseconds: Int) -> timeval {
    let bounded = max(1, milliseconds)
    return timeval(tv_sec: bounded / 1_000, tv_usec: (bounded % 1_000) * 1_000)
  }

  private static func ignoreBrokenPipes() {
    var current = sigaction()
    sigaction(SIGPIPE, nil, &current)
    if current.__sigaction_handler.sa_handler == nil { signal(SIGPIPE, SIG_IGN) }
  }
}
