import Glibc

/// nats-server with JetStream in its durable form: an ack means that the message is fsynced.
struct NATSRecipe: ServerRecipe {
  let home: HomeFolder
  let program: ServerProgram
  let endpoints: LocalEndpoints

  var server: LocalServer { .nats }
  var ports: [(name: String, port: UInt16)] {
    [("nats-server", endpoints.natsPort), ("nats-server monitoring", endpoints.natsMonitorPort)]
  }
  var stopSignals: [(percent: Int, signal: Int32)] { [(0, SIGTERM)] }

  /// Options: docs.nats.io/running-a-nats-service/configuration.
  /// `sync_interval: always` fsyncs each write before its ack (nats-server 2.10). The limit of the
  /// store is explicit: a really full disk hangs publishers until the server is restarted.
  var configuration: String {
    """
    server_name: smartcontent-local
    listen: "127.0.0.1:\(endpoints.natsPort)"
    http: "127.0.0.1:\(endpoints.natsMonitorPort)"
    authorization { token: "\(endpoints.natsToken)" }
    # Bytes; a frame of events is at most a quarter of it.
    max_payload: 1048576
    # A reader may be this far behind before it is disconnected.
    max_pending: 67108864
    logtime: true
    logtime_utc: true
    jetstream {
      store_dir: "\(home.dataPath(.nats))"
      sync_interval: always
      max_file_store: \(endpoints.natsMaxFileStoreBytes)
      max_memory_store: 67108864
    }

    """
  }

  func prepare() throws(LocalServersError) -> Command? {
    try FileSystem.makeFolder(home.dataPath(.nats), mode: 0o700)
    try FileSystem.write(configuration, to: home.configurationPath(.nats), mode: 0o600)
    return nil
  }

  var command: Command {
    // SIGTERM also when the parent is gone: the server then writes its indexes, which makes the next
    // start faster, and is gone within milliseconds.
    Command(
      path: program.path, arguments: ["--config", home.configurationPath(.nats)],
      workingFolder: home.dataPath(.nats), user: nil, deathSignal: SIGTERM)
  }

  func readinessProblem() -> String? {
    guard let talk = LoopbackExchange(port: endpoints.natsPort) else {
      return "it does not accept connections on port \(endpoints.natsPort) yet"
    }
    let greeting = talk.receiveText(lines: 1)
    guard greeting.hasPrefix("INFO ") else { return "its greeting was not INFO" }
    guard
      talk.send(
        #"CONNECT {"verbose":false,"pedantic":false,"lang":"swift","#
          + #""name":"readiness","auth_token":"\#(endpoints.natsToken)"}"# + "\r\nPING\r\n")
    else { return "it closed the connection" }
    let answer = talk.receiveText(lines: 1)
    guard answer.contains("PONG") else { return "it answered \(answer.prefix(200))" }
    // The server accepts clients only after its streams have been recovered.
    return greeting.contains(#""jetstream":true"#) ? nil : "JetStream is not enabled"
  }

  /// A stream whose disk was full once stores nothing any more, and answers nobody who publishes,
  /// until the server is restarted; only its health check says so (seen with 2.15.1).
  func condition() -> ServerCondition {
    guard let talk = LoopbackExchange(port: endpoints.natsMonitorPort),
      talk.send("GET /healthz HTTP/1.0\r\n\r\n")
    else { return .well }
    let answer = String(decoding: talk.receive { _ in false }, as: UTF8.self)
    guard answer.contains("write error") else { return .well }
    guard let free = FileSystem.freeBytes(home.dataPath(.nats)) else { return .well }
    if free < Self.restartFreeBytesMin {
      return .ailing("there is no space left for its data in \(home.dataPath(.nats))")
    }
    return .needsRestart("its disk was full and has space again")
  }

  /// Room for the next block of a stream, which has 8 MiB at most.
  private static let restartFreeBytesMin: Int64 = 16 << 20
}
