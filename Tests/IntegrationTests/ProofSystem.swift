import Events
import Foundation
import Glibc
import HTTPClient
import JetStreamLog
import LocalServers
import NATSClient
import Ports
import PostgresClient

/// `smartcontent dev` in a folder of its own, and its commands run beside it.
actor ProofSystem {
  struct Output: Sendable {
    var code: Int32
    var text: String
    var lines: [Substring] { text.split(separator: "\n") }
  }

  nonisolated let url: String
  private let folder: String
  private let port: UInt16
  private var program: ChildProgram?
  private var startCount = 0
  private nonisolated let streams: String
  private let more: [String: String]
  nonisolated let environmentPath: String

  /// - Parameters:
  ///   - streams: the folder of definitions; by default that of the repository.
  ///   - more: of its environment.
  init(
    _ purpose: String, streams: String = "\(SDKPython.root)/Streams",
    more: [String: String] = [:]
  ) async throws {
    self.streams = streams
    self.more = more
    folder = try TemporaryFolder.make("proof-\(purpose)")
    port = try TestServers.freePort()
    url = "http://127.0.0.1:\(port)"
    environmentPath = folder + "/home/env"
    try await start(isReady: true)
  }

  /// - Parameter isReady: whether to wait for readiness, or only for an answer.
  func start(isReady: Bool) async throws {
    startCount += 1
    let program = try SmartContentProgram.start(
      ["dev", "--home", "\(folder)/home", "--http", "127.0.0.1:\(port)"],
      name: "dev-\(startCount)", folder: folder,
      environment: more.merging(["SMARTCONTENT_STREAMS": streams]) { $1 })
    self.program = program
    TestExit.atEnd {
      program.signal(SIGTERM)
      // Its servers end with it at the latest.
      for _ in 0..<500 where program.ending == nil { poll(nil, 0, 10) }
    }
    try await SmartContentProgram.waitUntilReady(
      program, url: url + (isReady ? "/health/ready" : "/health/live"), withinMs: 40_000)
  }

  /// What the program wrote to its standard output and error.
  func output() -> String { program?.log() ?? "" }

  func stop() async {
    program?.signal(SIGTERM)
    _ = await program?.waitForEnd(timeoutMs: 10_000)
  }

  /// Ends it as a crash would; its servers end with it.
  func kill() async { await program?.kill() }

  // MARK: Commands

  /// What `dev` wrote for other commands.
  nonisolated var environment: [String: String] {
    get throws {
      var values = [
        "SMARTCONTENT_STREAMS": streams, "SMARTCONTENT_STATE": "\(folder)/state",
      ]
      for line in try TextFile.read(environmentPath).split(separator: "\n") {
        let parts = line.dropFirst("export ".count).split(separator: "=", maxSplits: 1)
        guard parts.count == 2 else { continue }
        values[String(parts[0])] = String(parts[1].dropFirst().dropLast())
      }
      return values
    }
  }

  nonisolated func run(_ arguments: [String]) async throws -> Output {
    let run = try ProgramRun(
      try SmartContentProgram.path(), arguments, environment: try environment)
    let code = try await run.end(withinMs: 120_000)
    return Output(code: code, text: try run.text)
  }

  // MARK: Traffic

  /// Demo traffic whose truth is compared with the answers.
  nonisolated func send(events: Int, seed: Int) async throws {
    let output = try await run([
      "demo", "--url", url, "--rate", "0", "--events", "\(events)", "--seed", "\(seed)",
      "--label", "proof\(seed)",
    ])
    guard output.code == 0 else { throw HarnessError("demo: \(output.text.suffix(2000))") }
  }

  /// Plain events, not compared.
  nonisolated func post(count: Int) async throws {
    for number in 0..<count {
      _ = try post("/p.gif?k=dev&t=view&cid=back&uid=u\(number)&eid=b\(number)", "")
    }
  }

  /// - Returns: the status.
  nonisolated func post(_ path: String, _ body: String) throws -> Int {
    let client = try HTTPClient()
    let answer =
      body.isEmpty
      ? try client.get(url + path)
      : try client.post(
        url + path,
        headers: [
          HTTPHeader("Content-Type", "application/json"),
          HTTPHeader("Authorization", "Basic ZGV2Og=="),
        ], body: Array(body.utf8))
    return answer.status
  }

  /// The results of a query, as text.
  nonisolated func answer(_ query: String) throws -> String {
    let answer = try HTTPClient().post(
      url + "/v1/query", headers: [HTTPHeader("Content-Type", "application/json")],
      body: Array(query.utf8))
    guard answer.status == 200 else { throw HarnessError("\(answer.status): \(answer.text)") }
    return Self.results(answer.text)
  }

  /// What the query API answers to a GET request, without what it says about itself.
  nonisolated func get(_ target: String) throws -> String {
    let answer = try HTTPClient().get(url + target)
    guard answer.status == 200 else { throw HarnessError("\(answer.status): \(answer.text)") }
    return Self.results(answer.text)
  }

  static nonisolated func results(_ answer: String) -> String {
    answer.components(separatedBy: ",\"meta\"")[0].components(separatedBy: ",\"position\"")[0]
      .trimmingCharacters(in: .newlines)
  }

  // MARK: Behind its back

  nonisolated var log: JetStreamLog {
    get throws {
      JetStreamLog(
        address: try NATSAddress(try environment["SMARTCONTENT_NATS"] ?? ""), name: "proof")
    }
  }

  /// Asks until trends are of a window that is final, and then until nothing new comes into the log
  /// between two times, a second apart, at which everything is answered alike.
  ///
  /// - Returns: the answers, and the stored time of the newest frame that they are of.
  nonisolated func settled(
    _ ask: () throws -> [String]
  ) async throws -> (answers: [String], until: Int64) {
    var before: (answers: [String], until: Int64) = ([], 0)
    func isFinal(_ answers: [String]) -> Bool {
      answers.contains { $0.contains(#""final":true,"trends":[{"#) }
    }
    // Without events the log's time goes on in steps of up to a minute.
    let hasPassed = try await eventually(withinMs: 60_000, everyMs: 1_000) {
      for number in 0..<20 {
        _ = try post(
          "/p.gif?k=dev&t=custom&aid=pass\(number)&eid=\(UInt64.random(in: 1 ... .max))", "")
      }
      let answers = try ask()
      defer { before.answers = answers }
      return isFinal(before.answers) && isFinal(answers)
    }
    let isSettled = try await eventually(withinMs: 60_000, everyMs: 1_000) {
      let now = (answers: try ask(), until: try lastStored())
      defer { before = now }
      return now == before && isFinal(now.answers)
    }
    guard hasPassed, isSettled else {
      throw HarnessError("the log is never quiet: \(before.answers)")
    }
    return before
  }

  /// The stored time of the newest frame of any stream.
  nonisolated func lastStored() throws -> Int64 {
    let log = try log
    return try (0..<4).map { partition in
      let stream = "events-0\(partition)"
      let last = try log.bounds(stream: stream).last
      return last == 0 ? 0 : try log.frame(stream: stream, sequence: last).storedAt
    }.max() ?? 0
  }

  nonisolated func store(frame: [UInt8], in stream: String, id: String) throws {
    let publisher = try JetStreamPublisher(
      address: try NATSAddress(try environment["SMARTCONTENT_NATS"] ?? ""), name: "proof")
    publisher.publish(stream: stream, messageID: id, frame: frame, token: 1)
    for _ in 0..<40 {
      for completion in publisher.poll(timeoutMs: 250) {
        guard case .stored = completion.outcome else {
          throw HarnessError("\(completion.outcome)")
        }
        return
      }
    }
    throw HarnessError("\(stream) took no frame")
  }

  nonisolated func store(letter: DeadLetter) throws {
    let event = letter.event(site: "default", source: "segment/dev", receivedAt: Self.now)
    try store(
      frame: Self.frame(.deadLetters, [event]), in: "dead-letters", id: "letter-\(event.id)")
  }

  static nonisolated func frame(_ kind: FrameHeader.Kind, _ events: [IncomingEvent]) -> [UInt8] {
    let header = FrameHeader(
      kind: kind, generation: 1, partition: 0, producer: Key128(low: 1, high: 1), epoch: 0,
      producerSequence: 1)
    if kind == .heartbeat { return FrameEncoder.heartbeat(header) }
    var encoder = FrameEncoder()
    for event in events { encoder.append(event) }
    return encoder.seal(header)
  }

  /// Microseconds since the epoch.
  static nonisolated var now: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
  }

  /// Removes every stream with its files, as a lost disk would; only while it is stopped.
  nonisolated func loseLog() throws {
    try FileManager.default.removeItem(
      atPath: String(environmentPath.dropLast("/env".count)) + "/nats/jetstream")
  }

  nonisolated func execute(_ sql: String) async throws {
    let settings = PostgresSettings(
      connection: try environment["SMARTCONTENT_POSTGRES"] ?? "")
    try PostgresConnection(settings).execute(sql)
  }

  nonisolated func activeVersion() async throws -> Int {
    let settings = PostgresSettings(
      connection: try environment["SMARTCONTENT_POSTGRES"] ?? "")
    let result = try PostgresConnection(settings).query(
      "select version from smartcontent.pipelines where name = 'default' and active")
    try result.require(.int4)
    return result.rowCount == 1 ? Int(result.int4(0, 0)) : 0
  }
}
