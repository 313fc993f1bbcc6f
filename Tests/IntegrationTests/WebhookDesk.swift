import Cryptography
import Events
import Foundation
import HTTPServer
import Logging
import Synchronization

/// Somebody's server that is told of incidents: keeps what comes, and answers as it is told to.
final class WebhookDesk: Sendable {
  struct Message: Sendable {
    var id: String
    var timestamp: Int64
    var signature: String
    var body: [UInt8]
    /// What it was answered.
    var status: Int

    /// The body, in the parts that tests look at.
    struct Body: Decodable {
      struct Incident: Decodable {
        var campaign: String
        var summary: String
      }
      var type: String
      var data: Incident
    }

    var content: Body {
      get throws { try JSONDecoder().decode(Body.self, from: Data(body)) }
    }
  }

  private struct State {
    var statuses: [Int] = []
    var messages: [Message] = []
  }

  /// 24 bytes from 0 up.
  static let secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"

  let url: String
  private let state: Shared

  private final class Shared: Sendable { let value = Mutex(State()) }

  init() async throws {
    let state = Shared()
    self.state = state
    let port = Int(try TestServers.freePort())
    var routes = Routes()
    routes.on(.post, "/hook") { request in
      let status = state.value.withLock { state in
        let status = state.statuses.isEmpty ? 204 : state.statuses.removeFirst()
        state.messages.append(
          Message(
            id: request.header("webhook-id") ?? "",
            timestamp: request.header("webhook-timestamp").flatMap { Int64($0) } ?? 0,
            signature: request.header("webhook-signature") ?? "", body: request.body,
            status: status))
        return status
      }
      return HTTPResponse(
        status: status == 204 ? .noContent : .internalServerError, headers: [], body: .bytes([]))
    }
    let server = Server(
      ServerParameters(host: "127.0.0.1", port: port, eventLoops: 1), routes: routes,
      log: Logger(label: "desk"))
    url = "http://127.0.0.1:\(try await server.start())/hook"
  }

  /// The next answers; then it accepts everything.
  func answer(_ statuses: Int...) { state.value.withLock { $0.statuses = statuses } }

  var messages: [Message] { state.value.withLock(\.messages) }
  var accepted: [Message] { messages.filter { (200..<300).contains($0.status) } }

  /// Checked without the program's own code for it.
  static func isSigned(_ message: Message) throws -> Bool {
    let code = try HMACSHA256(key: Array(0..<24))
      .code(of: Array("\(message.id).\(message.timestamp).".utf8) + message.body)
    return message.signature == "v1," + Data(code).base64EncodedString()
  }
}
