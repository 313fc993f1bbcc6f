import Cryptography
import Events
import HTTPClient
import HTTPServer
import Learning
import Logging
import Metrics
import Synchronization

@testable import DecisionAPI

/// The decision API on a real server, with a door of one key, a model that tests set and a log that keeps events.
final class DecisionFixture: Sendable {
  static let start: Int64 = 1_793_491_200_000_000
  static let plan = DecisionPlan(
    id: "hero", site: "default", campaign: "spring", content: "post-1", arms: ["a", "b", "c"],
    defaultArm: 1, features: ["hour", "note"])

  let board = ModelBoard<DecisionModels>()
  let registry = MetricRegistry()
  let signer: DecisionSigner
  let stored = Mutex<[IncomingEvent]>([])
  let storage = Mutex(DecisionStorage.stored("1~0.7"))
  let routes: Routes

  init(plans: [DecisionPlan] = [plan]) throws {
    let signer = try DecisionSigner(secret: Array(0..<32))
    self.signer = signer
    let holder = Holder()
    let desk = DecisionDesk(
      plans: plans, models: { [board] in board.current }, signer: signer,
      store: { events, completion in
        guard let fixture = holder.fixture.withLock({ $0 }) else { return completion(.refused) }
        fixture.stored.withLock { $0 += events }
        completion(fixture.storage.withLock { $0 })
      }, server: "s1", registry: registry, clock: { Self.start + 5_000_000 })
    var routes = Routes()
    DecisionRoutes(desk, door: Door()).declare(on: &routes)
    self.routes = routes
    holder.fixture.withLock { $0 = self }
  }

  /// The store is made before the fixture that it belongs to.
  private final class Holder: Sendable {
    let fixture = Mutex<DecisionFixture?>(nil)
  }

  var events: [IncomingEvent] { stored.withLock { $0 } }

  /// - Parameter parts: of each arm, in 65,536ths.
  func learn(_ parts: [UInt32], of plan: DecisionPlan = plan, isCaughtUp: Bool = true) throws {
    guard let propensities = Propensities(parts: parts) else { throw Malformed() }
    let position = Position(generation: 1, sequences: [0: 3])
    let arm = PolicySnapshot.Arm(
      trials: 10, effectiveTrials: 10, rewards: 1, mean: 0.1, lower: 0.02, upper: 0.3,
      isStopped: false)
    let snapshot = PolicySnapshot(
      plan: plan, position: position, logTime: Self.start, propensities: propensities,
      arms: plan.arms.map { _ in arm }, shadows: [], isApprentice: false)
    board.publish(
      DecisionModels(
        progress: LearningProgress(
          position: position, logTime: Self.start, isCaughtUp: isCaughtUp),
        plans: [plan.id: snapshot]))
  }

  func withServer(_ body: (Int) async throws -> Void) async throws {
    var log = Logger(label: "test")
    log.logLevel = .critical
    let server = Server(
      ServerParameters(host: "127.0.0.1", port: 0, eventLoops: 1), routes: routes, log: log)
    let port = try await server.start()
    let result: Result<Void, any Error>
    do {
      result = .success(try await body(port))
    } catch {
      result = .failure(error)
    }
    try await server.shutdown(withinMs: 0)
    try result.get()
  }

  static func post(
    _ port: Int, _ target: String, _ body: String, key: String? = "dev"
  ) throws -> HTTPAnswer {
    let headers = key.map { [HTTPHeader("Authorization", "Bearer \($0)")] } ?? []
    return try HTTPClient().post(
      "http://127.0.0.1:\(port)\(target)", headers: headers, body: Array(body.utf8))
  }

  func metric(_ line: String) -> String? {
    String(decoding: registry.exposition(.prometheusText), as: UTF8.self).split(separator: "\n")
      .first { $0.hasPrefix(line + " ") }.map { String($0.dropFirst(line.utf8.count + 1)) }
  }

  private struct Door: DecisionDoor {
    func admit(_ call: DecisionCall, named: String?) throws(Problem) -> any DecisionGuest {
      guard named == "dev" || call.header("authorization") == "Bearer dev" else {
        throw Problem(.unauthorized, code: "unknown_write_key", detail: "no key")
      }
      return Guest()
    }

    func postHogJSON(query: String, body: [UInt8]) -> [UInt8]? { body.first == 0x7b ? body : nil }
    let postHogSettings = [(name: "autocapture_opt_out", json: "false")]
  }

  private struct Guest: DecisionGuest {
    let site = "default"

    func person(_ id: String) -> Key128 { EventIdentity.personKey(site: site, id: id) }
    func cleaned(_ text: String) -> String { text == "ada@example.org" ? "[mail]" : text }
    func admits(_ event: inout IncomingEvent) -> Bool {
      event.agent = "test"
      return event.person != person("nobody")
    }
  }

  struct Malformed: Error {}
}
