/// How one kind of server is configured, started, asked and stopped. The supervisor knows nothing
/// about NATS, Redis or Postgres beyond this.
protocol ServerRecipe: Sendable {
  var server: LocalServer { get }
  /// The ports that it listens on, with names for messages.
  var ports: [(name: String, port: UInt16)] { get }
  /// The signals of a stop, each so many parts of 100 of the stop time after its beginning. SIGKILL
  /// follows by itself at the end.
  var stopSignals: [(percent: Int, signal: Int32)] { get }

  /// Makes folders and configuration, clears what a killed run left. The answer is a command that
  /// must have ended well before the server can start, nil for none.
  func prepare() throws(LocalServersError) -> Command?
  /// Called when that command has ended with status 0.
  func finishPreparation() throws(LocalServersError)
  /// The server itself; stays in the foreground.
  var command: Command { get }
  /// One real conversation with the server; nil: it is ready, else what is missing.
  func readinessProblem() -> String?
  /// How a server that was ready does now; asked every second.
  func condition() -> ServerCondition
}

/// How a running server does.
enum ServerCondition: Equatable {
  case well
  /// It does not do its work and a restart would not help now; becomes `needsRestart` or `well`.
  case ailing(String)
  /// It will not do its work again before it is restarted, and then it will.
  case needsRestart(String)
}

extension ServerRecipe {
  func condition() -> ServerCondition { .well }
  func finishPreparation() {}
}
