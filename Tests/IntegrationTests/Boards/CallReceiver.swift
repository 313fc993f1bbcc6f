import HTTPServer
import Logging
import Synchronization

/// Where Alertmanager's calls go in a test: keeps them, and answers in PagerDuty's words.
/// Source: https://developer.pagerduty.com/docs/send-alert-event
final class CallReceiver: Sendable {
  struct Call {
    var path: String
    var authorization: String?
    var contentType: String?
    var body: String
  }

  let url: String
  private let log = CallLog()

  func calls(to path: String) -> [Call] { log.calls.withLock { $0.filter { $0.path == path } } }

  /// Apart from the receiver, so that routes can have it before there is one.
  private final class CallLog: Sendable {
    let calls = Mutex<[Call]>([])
  }

  init() async throws {
    let port = Int(try TestServers.freePort())
    url = "http://127.0.0.1:\(port)"
    var routes = Routes()
    for path in ["/v2/enqueue", "/webhook"] {
      routes.on(.post, path) { [log] request in
        let call = Call(
          path: request.path, authorization: request.header("authorization"),
          contentType: request.header("content-type"),
          body: String(decoding: request.body, as: UTF8.self))
        log.calls.withLock { $0.append(call) }
        return HTTPResponse(
          status: .ok,
          headers: [(name: "Content-Type", value: "application/json")],
          body: .bytes(Array(#"{"status":"success","message":"Event processed"}"#.utf8)))
      }
    }
    let server = Server(
      ServerParameters(host: "127.0.0.1", port: port, eventLoops: 1), routes: routes,
      log: Logger(label: "calls"))
    _ = try await server.start()
  }
}
