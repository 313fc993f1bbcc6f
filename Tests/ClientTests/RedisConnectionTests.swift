import LocalServers
import RedisClient
import Testing

@Suite("Redis connection")
struct RedisConnectionTests {
  private func connect(
    _ change: (inout RedisSettings) -> Void = { _ in }
  ) async throws -> RedisConnection {
    var settings = try RedisSettings(url: try await DatabaseServers.endpoints().redisURL)
    settings.commandTimeoutMs = 2_000
    change(&settings)
    return try RedisConnection(settings)
  }

  @Test(
    "a URL gives host, port, login and database",
    arguments: [
      ("redis://h", "h", 6379, "", "", 0),
      ("redis://h/", "h", 6379, "", "", 0),
      ("redis://:p%40%3A%2F@h:7/3", "h", 7, "", "p@:/", 3),
      ("redis://u:p@h", "h", 6379, "u", "p", 0),
      ("redis://u:p:q@[::1]:7", "::1", 7, "u", "p:q", 0),
      ("redis://[::1]/2", "::1", 6379, "", "", 2),
    ])
  func url(
    _ url: String, host: String, port: Int32, user: String, password: String, database: Int
  ) throws {
    let settings = try RedisSettings(url: url)
    #expect(settings.host == host && settings.port == port && settings.database == database)
    #expect(settings.user == user && settings.password == password)
  }

  @Test(
    "a URL that is none is refused without being quoted",
    arguments: [
      "", "http://geheim@h", "redis://", "redis://:geheim@", "redis://:geheim@h:0",
      "redis://:geheim@h:99999", "redis://:geheim@h:x", "redis://:geheim@h/x",
      "redis://:geheim%4@h", "redis://:geheim%ff@h", "redis://:geheim@[::1]x",
    ])
  func brokenURL(_ url: String) {
    do throws(RedisError) {
      _ = try RedisSettings(url: url)
      Issue.record("that is no address")
    } catch {
      #expect(!"\(error)".contains("geheim"))
    }
  }

  @Test("any bytes come back as they were sent")
  func binary() async throws {
    let connection = try await connect()
    let values: [[UInt8]] = [
      [], [0], Array(0...255), Array("\r\n$5\r\n*1\r\n".utf8),
      Array(repeating: 0xff, count: 3 << 20),
    ]
    var commands = RedisCommands(capacity: 1)
    for (index, value) in values.enumerated() {
      commands.begin(argumentCount: 3)
      commands.argument("SET")
      commands.argument([0] + Array("bin\(index)".utf8))
      commands.argument(value)
      commands.begin(argumentCount: 2)
      commands.argument("GET")
      commands.argument([0] + Array("bin\(index)".utf8))
    }
    let replies = try connection.execute(commands)
    #expect(replies.count == 10)
    for (index, value) in values.enumerated() {
      #expect(replies[2 * index] == .status("OK"))
      #expect(replies[2 * index + 1] == .string(value))
    }
  }

  @Test("integers are written in full")
  func integers() async throws {
    let connection = try await connect()
    for value in [0, -1, 9, 10, 1_234_567, Int64.min, .max] {
      var commands = RedisCommands()
      commands.begin(argumentCount: 2)
      commands.argument("ECHO")
      commands.argument(value)
      let reply = try connection.execute(commands)[0]
      #expect(reply == .string(Array("\(value)".utf8)) && reply.integer == value)
    }
  }

  @Test("an error of one command stands in its place and hides no other answer")
  func errorInBatch() async throws {
    let connection = try await connect()
    var commands = RedisCommands()
    commands.append("SET", "text", "x")
    commands.append("INCR", "text")
    commands.append("NONSENSE")
    commands.append("EVAL", "return {1, {2, 'x', false}}", "0")
    let replies = try connection.execute(commands)
    #expect(replies[0] == .status("OK"))
    guard case .error("ERR", _) = replies[1], case .error("ERR", _) = replies[2] else {
      Issue.record("\(replies)")
      return
    }
    #expect(
      replies[3]
        == .array([.integer(1), .array([.integer(2), .string([UInt8(ascii: "x")]), .null])]))
    #expect(throws: RedisError.self) { try connection.command("INCR", "text") }
    #expect(connection.isConnected)
  }

  @Test("100,000 commands in one batch are all answered in order")
  func largeBatch() async throws {
    let connection = try await connect()
    var commands = RedisCommands()
    for index in 0..<100_000 {
      commands.begin(argumentCount: 2)
      commands.argument("ECHO")
      commands.argument(Int64(index))
    }
    let replies = try connection.execute(commands)
    #expect(replies.count == 100_000)
    #expect(replies.enumerated().allSatisfy { $1.integer == Int64($0) })
  }

  @Test("a script runs by its digest and is sent again after the server forgot it")
  func scripts() async throws {
    let connection = try await connect()
    let script = "return {KEYS[1], ARGV[1], ARGV[2]}"
    for round in 0..<3 {
      let reply = try connection.evaluate(script, keyCount: 1, argumentCount: 3) {
        $0.argument("key")
        $0.argument(Int64(round))
        $0.argument([0, 1])
      }
      #expect(reply.array?[1].integer == Int64(round) && reply.array?[2].bytes == [0, 1])
      _ = try connection.command("SCRIPT", "FLUSH")
    }
    do throws(RedisError) {
      _ = try connection.evaluate(
        "return redis.error_reply('MINE no')", keyCount: 0, argumentCount: 0
      ) { _ in }
      Issue.record("the script answers with an error")
    } catch {
      #expect(error == .rejected(code: "MINE", message: "no"))
    }
  }

  @Test("a server that does not answer in time is given up")
  func timeout() async throws {
    let connection = try await connect { $0.commandTimeoutMs = 50 }
    do throws(RedisError) {
      _ = try connection.command("BLPOP", "nothing", "0")
      Issue.record("nothing was there")
    } catch {
      guard case .connectionLost(let text) = error else { throw error }
      #expect(text.contains("50 ms") && error.isTransient)
    }
    #expect(!connection.isConnected)
    #expect(throws: RedisError.self) { try connection.command("PING") }
  }

  @Test("a server that closes the session is noticed, and the process lives on")
  func closedByPeer() async throws {
    let connection = try await connect()
    let other = try await connect()
    let name = try connection.command("CLIENT", "ID").integer ?? 0
    _ = try other.command("CLIENT", "KILL", "ID", "\(name)")
    var failures = 0
    for _ in 0..<3 {
      do throws(RedisError) {
        _ = try connection.command("PING")
      } catch {
        failures += 1
      }
    }
    #expect(failures == 3 && !connection.isConnected)
  }

  @Test("a closed port is unreachable, a wrong password is refused and not quoted")
  func refusals() async throws {
    var closed = try RedisSettings(url: "redis://:geheim@127.0.0.1:1")
    closed.connectTimeoutMs = 100
    #expect(throws: RedisError.self) { _ = try RedisConnection(closed) }
    let port = try await DatabaseServers.endpoints().redisPort
    for url in ["redis://:geheim@127.0.0.1:\(port)", "redis://127.0.0.1:\(port)"] {
      do throws(RedisError) {
        _ = try RedisConnection(try RedisSettings(url: url))
        Issue.record("that is not the password")
      } catch {
        guard case .rejected(let code, _) = error else { throw error }
        #expect(["WRONGPASS", "NOAUTH"].contains(code))
        #expect(!"\(error)".contains("geheim") && !error.isTransient)
      }
    }
  }
}
