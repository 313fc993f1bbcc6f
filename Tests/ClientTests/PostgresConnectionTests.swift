import Glibc
import LocalServers
import PostgresClient
import Testing

@Suite("Postgres connection")
struct PostgresConnectionTests {
  private func connect(
    _ change: (inout PostgresSettings) -> Void = { _ in }
  ) async throws -> PostgresConnection {
    var settings = try await DatabaseServers.postgres()
    change(&settings)
    return try PostgresConnection(settings)
  }

  @Test("every type comes back as it was sent, alone and as an array")
  func roundTrip() async throws {
    let connection = try await connect()
    let texts = ["", "a", "žluťoučký 🐎", "\u{FEFF}\u{200B}", "'; drop table x; --", "\u{FFFF}"]
    let times: [Int64] = [0, -1, 1_763_977_830_123_456, .min, .max, PostgresType.timestampMin]
    var parameters = PostgresParameters(capacity: 1)
    parameters.append(int8Array: [0, -1, .min, .max, 5, 6])
    parameters.append(int4Array: [0, -1, Int32.min, .max, 5, 6]) { $0 }
    parameters.append(int2Array: [0, -1, .min, .max, 5, 6])
    parameters.append(boolArray: [true, false, true, true, false, false]) { $0 }
    parameters.append(textArray: texts)
    parameters.append(byteaArray: texts) { Array($0.utf8) + [0] }
    parameters.append(timestamptzArray: times) { $0 }
    let result = try connection.query(
      """
      select * from unnest($1::int8[], $2::int4[], $3::int2[], $4::bool[], $5::text[], $6::bytea[],
        $7::timestamptz[])
      """, parameters)
    try result.require(.int8, .int4, .int2, .bool, .text, .bytea, .timestamptz)
    #expect(result.rowCount == 6)
    #expect((0..<6).map { result.int8($0, 0) } == [0, -1, .min, .max, 5, 6])
    #expect((0..<6).map { result.int4($0, 1) } == [0, -1, .min, .max, 5, 6])
    #expect((0..<6).map { result.int2($0, 2) } == [0, -1, .min, .max, 5, 6])
    #expect((0..<6).map { result.bool($0, 3) } == [true, false, true, true, false, false])
    #expect((0..<6).map { result.text($0, 4) } == texts)
    #expect((0..<6).map { result.bytea($0, 5) } == texts.map { Array($0.utf8) + [0] })
    #expect((0..<6).map { result.timestamptz($0, 6) } == times)

    parameters.removeAll()
    parameters.append(int8: 7)
    parameters.append(int4: -7)
    parameters.append(int2: 3)
    parameters.append(bool: true)
    parameters.append(text: "x")
    parameters.append(bytea: [0, 255])
    parameters.append(timestamptz: 1)
    let single = try connection.query("select $1, $2, $3, $4, $5, $6, $7", parameters)
    try single.require(.int8, .int4, .int2, .bool, .text, .bytea, .timestamptz)
    #expect(single.int8(0, 0) == 7 && single.int4(0, 1) == -7 && single.int2(0, 2) == 3)
    #expect(single.bool(0, 3) && single.text(0, 4) == "x" && single.bytea(0, 5) == [0, 255])
    #expect(single.timestamptz(0, 6) == 1)
  }

  @Test("a time means the same instant here and in the server")
  func timestamps() async throws {
    var parameters = PostgresParameters()
    parameters.append(timestamptz: 1_572_137_999_000_001)
    parameters.append(timestamptz: .min)
    let result = try await connect().query(
      "select $1 = '2019-10-27 00:59:59.000001+00', $2 = '-infinity'::timestamptz", parameters)
    #expect(result.bool(0, 0) && result.bool(0, 1))
  }

  @Test("nulls and empty arrays are what they are")
  func nulls() async throws {
    var parameters = PostgresParameters()
    parameters.append(text: nil)
    parameters.append(int8: nil)
    parameters.append(int8Array: [])
    let result = try await connect().query(
      "select $1, $2, cardinality($3), '' = any(array[$1])", parameters)
    #expect(result.isNull(0, 0) && result.isNull(0, 1) && result.isNull(0, 3))
    #expect(result.int4(0, 2) == 0)
  }

  @Test("a statement with 40 MB of parameters and 40 MB of answer goes through")
  func largeStatement() async throws {
    let connection = try await connect()
    let value = [UInt8](repeating: 7, count: 1 << 20)
    var parameters = PostgresParameters()
    parameters.append(byteaArray: 0..<40) { _ in value }
    let result = try connection.query("select unnest($1::bytea[])", parameters)
    #expect(result.rowCount == 40 && result.bytea(39, 0) == value)
  }

  @Test("a prepared statement runs again and again")
  func prepared() async throws {
    let connection = try await connect()
    for value in 0..<10 {
      var parameters = PostgresParameters()
      parameters.append(int8: Int64(value))
      let result = try connection.query(prepared: "next", "select $1 + 1", parameters)
      #expect(result.int8(0, 0) == Int64(value) + 1)
    }
  }

  @Test("another shape than expected is an error, not a crash")
  func shape() async throws {
    let connection = try await connect()
    #expect(throws: PostgresError.self) { try connection.query("select 1::int4").require(.int8) }
    #expect(throws: PostgresError.self) { try connection.query("select 1::int8").require() }
  }

  @Test("the server's errors name their state and keep data to themselves")
  func rejection() async throws {
    let connection = try await connect()
    var parameters = PostgresParameters()
    parameters.append(text: "geheim")
    do throws(PostgresError) {
      _ = try connection.query("select $1::text::int8", parameters)
      Issue.record("text became a number")
    } catch {
      #expect(error.sqlState == "22P02")
      #expect(!"\(error)".contains("geheim"))
      #expect(!error.isTransient)
    }
    #expect(connection.isConnected)
    #expect(try connection.query("select 1").int4(0, 0) == 1)
  }

  @Test("a text with U+0000 is refused and leaves the session usable")
  func nul() async throws {
    let connection = try await connect()
    var parameters = PostgresParameters()
    parameters.append(text: "a\0b")
    #expect(throws: PostgresError.self) { _ = try connection.query("select $1", parameters) }
    #expect(try connection.query("select 1").int4(0, 0) == 1)
  }

  @Test("the server cancels a statement after the statement timeout")
  func statementTimeout() async throws {
    let connection = try await connect { $0.statementTimeoutMs = 50 }
    do throws(PostgresError) {
      try connection.execute("select pg_sleep(30)")
      Issue.record("it slept")
    } catch {
      #expect(error.sqlState == "57014" && error.isTransient)
    }
    try connection.execute("set statement_timeout = 0")
    #expect(try connection.query("select 1").int4(0, 0) == 1)
  }

  @Test("a server that does not answer is given up after the answer timeout")
  func answerTimeout() async throws {
    let connection = try await connect { $0.answerTimeoutMs = 100 }
    #expect(throws: PostgresError.timedOut(milliseconds: 100)) {
      try connection.execute("select pg_sleep(30)")
    }
    #expect(!connection.isConnected)
    #expect(throws: PostgresError.self) { try connection.execute("select 1") }
  }

  @Test("a caller that gives up is told how long was waited, not how long could have been")
  func givenUp() async throws {
    var settings = try await DatabaseServers.postgres()
    settings.answerTimeoutMs = 30_000
    var isTired = false
    var askedCount = 0
    let connection = try PostgresConnection(settings) {
      askedCount += isTired ? 1 : 0
      return askedCount > 2
    }
    isTired = true
    do throws(PostgresError) {
      try connection.execute("select pg_sleep(60)")
      Issue.record("it slept")
    } catch {
      guard case .timedOut(let milliseconds) = error else { throw error }
      #expect((1..<30_000).contains(milliseconds))
    }
    #expect(!connection.isConnected)
  }

  @Test("a closed port, a silent port and an unknown host are unreachable in time")
  func unreachable() async throws {
    let silent = SilentPort()
    let ports = [
      "postgresql://u:geheim@127.0.0.1:1/x", "postgresql://u:geheim@127.0.0.1:\(silent.port)/x",
    ]
    for url in ports {
      var settings = PostgresSettings(connection: url)
      settings.connectTimeoutMs = 200
      do throws(PostgresError) {
        _ = try PostgresConnection(settings)
        Issue.record("there is nobody")
      } catch {
        guard case .unreachable(let text) = error else { throw error }
        #expect(!text.contains("geheim"))
        #expect(error.isTransient)
      }
    }
  }

  @Test("neither a wrong password nor a broken URL shows up in an error")
  func secrets() async throws {
    let port = try await DatabaseServers.endpoints().postgresPort
    let urls = [
      "postgresql://smartcontent:geheim@127.0.0.1:\(port)/postgres",
      "postgresql://smartcontent:geheim@127.0.0.1:\(port)/postgres?nonsense=geheim",
      "postgresql://smartcontent:geheim@[127.0.0.1:\(port)/postgres", "geheim geheim=",
    ]
    for url in urls {
      do throws(PostgresError) {
        _ = try PostgresConnection(PostgresSettings(connection: url))
        Issue.record("that should not log in: \(url)")
      } catch {
        #expect(!"\(error)".contains("geheim"))
      }
    }
  }
}

/// A port that accepts connections and never says a word.
final class SilentPort {
  private let descriptor: Int32
  let port: UInt16

  init() {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = bind(descriptor, $0, length)
        _ = listen(descriptor, 8)
        _ = getsockname(descriptor, $0, &length)
      }
    }
    self.descriptor = descriptor
    port = UInt16(bigEndian: address.sin_port)
  }

  deinit { close(descriptor) }
}
