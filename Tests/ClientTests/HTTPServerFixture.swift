import HTTPServer
import Logging
import Synchronization
import Testing

/// Runs a server on a free port for the length of `body`.
func withServer(
  _ routes: Routes, configure: (inout ServerParameters) -> Void = { _ in },
  observer: (@Sendable (AccessRecord) -> Void)? = nil,
  _ body: (Server, Int) async throws -> Void
) async throws {
  var parameters = ServerParameters(host: "127.0.0.1", port: 0, eventLoops: 2)
  configure(&parameters)
  var log = Logger(label: "test")
  log.logLevel = .critical
  let server = Server(parameters, routes: routes, log: log, observer: observer)
  let port = try await server.start()
  do {
    try await body(server, port)
  } catch {
    try await server.shutdown(withinMs: 0)
    throw error
  }
  try await server.shutdown(withinMs: 0)
}

/// Waits until `condition` holds, for at most ten seconds.
func eventually(
  _ condition: @Sendable () -> Bool, sourceLocation: SourceLocation = #_sourceLocation
) async {
  let deadline = ContinuousClock.now + .seconds(10)
  while !condition() {
    if ContinuousClock.now > deadline {
      Issue.record("the condition did not come true", sourceLocation: sourceLocation)
      return
    }
    await Task.yield()
  }
}

/// A value that tasks and threads share.
final class Shared<Value: Sendable>: Sendable {
  private let state: Mutex<Value>
  init(_ value: Value) { state = Mutex(value) }
  var value: Value { state.withLock { $0 } }
  func change<R: Sendable>(_ body: @Sendable (inout Value) -> R) -> R {
    state.withLock { body(&$0) }
  }
}

let pong = PreparedResponse(
  status: .ok, headers: [(name: "Content-Type", value: "text/plain")], body: Array("pong".utf8))
