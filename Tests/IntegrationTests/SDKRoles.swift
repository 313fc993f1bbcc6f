import Glibc
import HTTPClient
@testable import LocalServers

/// The roles `collect`, `process` and `serve` as processes of their own beside private servers, as
/// docker-compose.yml runs them.
actor SDKRoles {
  static let writeKey = "dev"

  private let servers: LocalServers
  private let folder: String
  private let ports: [UInt16]
  private var programs: [String: ChildProgram] = [:]
  private var startCount = 0

  /// One set for all tests that end nothing.
  static func shared() async throws -> SDKRoles { try await sharedTask.value }

  private static let sharedTask = Task.detached { try await SDKRoles("roles") }

  /// Whether the collector has a spool.
  private let hasSpool: Bool
  private let streamsFolder: String
  private let more: [String: String]

  /// - Parameters:
  ///   - roles: in this order, each waited for.
  ///   - streams: the folder of definitions; by default that of the repository.
  ///   - more: of their environment.
  init(
    _ purpose: String, starting roles: [Role] = Role.usual, hasSpool: Bool = false,
    streams: String = "\(SDKPython.root)/Streams", more: [String: String] = [:]
  ) async throws {
    self.hasSpool = hasSpool
    streamsFolder = streams
    self.more = more
    folder = try TemporaryFolder.make(purpose)
    servers = try await TestServers.start(purpose)
    ports = try LoopbackPort.free(Role.allCases.count)
    let streams = try start(["streams", "apply"], name: "streams")
    guard await streams.waitForEnd(timeoutMs: 20_000) == .exited(0) else {
      throw HarnessError("streams apply failed:\n\(streams.log())")
    }
    for role in roles { try await start(role) }
  }

  enum Role: String, CaseIterable, Sendable {
    case collect
    case processOne
    case processTwo
    case processThree
    case serve

    /// What runs unless a test says otherwise, in the order of their start.
    static let usual: [Role] = [.collect, .processOne, .processTwo, .serve]

    var command: String {
      switch self {
      case .collect: "collect"
      case .processOne, .processTwo, .processThree: "process"
      case .serve: "serve"
      }
    }
  }

  nonisolated var natsURL: String { servers.endpoints.natsURLWithToken }
  nonisolated var postgresURL: String { servers.endpoints.postgresURL }

  nonisolated func url(_ role: Role) -> String {
    "http://127.0.0.1:\(ports[Role.allCases.firstIndex(of: role) ?? 0])"
  }

  /// Starts the role and waits until it is ready.
  func start(_ role: Role) async throws {
    let program = try start([role.command], name: role.rawValue, role: role)
    programs[role.rawValue] = program
    try await waitUntilReady(role)
  }

  /// Starts a command beside the roles, with their servers and definitions.
  func command(_ arguments: [String], name: String) throws -> ChildProgram {
    try start(arguments, name: name)
  }

  func waitUntilReady(_ role: Role) async throws {
    guard let program = programs[role.rawValue] else {
      throw HarnessError("\(role) was not started")
    }
    try await SmartContentProgram.waitUntilReady(program, url: url(role) + "/health/ready")
  }

  /// Sends the role's process a signal.
  func signal(_ role: Role, _ number: Int32) { programs[role.rawValue]?.signal(number) }

  /// Ends the role as a crash would.
  func kill(_ role: Role) async { await programs[role.rawValue]?.kill() }

  /// Stops a server as it stands, its connections open; it answers nothing until it goes on.
  func pause(_ server: LocalServer) {
    if let process = servers.processID(of: server) { Glibc.kill(process, SIGSTOP) }
  }

  func goOn(_ server: LocalServer) {
    if let process = servers.processID(of: server) { Glibc.kill(process, SIGCONT) }
  }

  /// Ends a server as a crash would; it is started again with its data.
  func kill(_ server: LocalServer) { servers.kill(server) }

  private func start(
    _ arguments: [String], name: String, role: Role? = nil
  ) throws -> ChildProgram {
    startCount += 1
    let shared = [
      "SMARTCONTENT_NATS": servers.endpoints.natsURLWithToken,
      "SMARTCONTENT_REDIS": servers.endpoints.redisURL,
      "SMARTCONTENT_POSTGRES": servers.endpoints.postgresURL,
      "SMARTCONTENT_STREAMS": streamsFolder,
      "SMARTCONTENT_STATE": "\(folder)/\(name)",
      "SMARTCONTENT_WRITE_KEYS": "\(Self.writeKey):default",
    ]
    var environment = more
    if let role {
      environment["SMARTCONTENT_HTTP"] = String(url(role).dropFirst("http://".count))
    }
    if role == .collect && hasSpool { environment["SMARTCONTENT_SPOOL"] = "\(folder)/spool" }
    environment.merge(shared) { $1 }
    return try SmartContentProgram.start(
      arguments, name: "\(name)-\(startCount)", folder: folder, environment: environment)
  }

  /// Sends events that count for nothing to every partition.
  ///
  /// - Returns: a position that covers everything that was acknowledged before the call.
  ///
  /// - Parameter ofUsers: whether they are views of users, which the second stage has to take in too.
  nonisolated func fence(_ name: String, ofUsers: Bool = false) throws -> String {
    let events = (0..<200).map { number in
      """
      {"type":"\(ofUsers ? "page" : "identify")","messageId":"fence-\(name)-\(number)",\
      "anonymousId":"fence-\(number)",\(ofUsers ? "\"userId\":\"fence-\(number)\"," : "")"traits":{}}
      """
    }
    let answer = try HTTPClient().post(
      url(.collect) + "/v1/batch",
      headers: [HTTPHeader("Content-Type", "application/json")],
      body: Array(
        "{\"writeKey\":\"\(Self.writeKey)\",\"batch\":[\(events.joined(separator: ","))]}".utf8))
    guard answer.status == 200, let position = answer.header("SmartContent-Position") else {
      throw HarnessError("the fence was answered with \(answer.status): \(answer.text)")
    }
    return position
  }
}
