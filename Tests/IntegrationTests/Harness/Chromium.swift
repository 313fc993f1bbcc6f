import Foundation
import Glibc
import HTTPServer
import LocalServers
import Synchronization

/// Headless Chromium, led by the DevTools protocol: pages that stay open while a test scrolls, clicks,
/// cuts their network and closes them.
///
/// The browser reads commands from its descriptor 3 and writes answers and events to 4, each a JSON text
/// ended by NUL (`--remote-debugging-pipe`). Here both are named pipes, so that no port is needed.
final class Chromium: Sendable {
  static let path: String? = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].first {
    access($0, X_OK) == 0
  }

  /// What the browser said without being asked.
  struct Event: Sendable {
    let method: String
    let session: String
    /// The whole message, JSON.
    let message: Data
  }

  private struct State {
    var unread: [UInt8] = []
    var answers: [Int: Data] = [:]
    var events: [Event] = []
    var lastID = 0
  }

  private let program: ChildProgram
  private let commands: Int32
  private let state = Mutex(State())

  init() async throws {
    let folder = try TemporaryFolder.make("chromium")
    let pipes = (commands: "\(folder)/commands", answers: "\(folder)/answers")
    commands = try Self.open(pipes.commands)
    let answers = try Self.open(pipes.answers)
    guard let path = Self.path else { throw HarnessError("run Scripts/setup --tests for chromium") }
    program = try ChildProgram(
      path: "/bin/sh",
      arguments: [
        "-c", "exec \"$@\" 3<\"$COMMANDS\" 4>\"$ANSWERS\"", "sh", path, "--headless=new",
        "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en-US",
        "--user-data-dir=\(folder)/profile", "--remote-debugging-pipe", "about:blank",
      ],
      environment: [
        "COMMANDS": pipes.commands, "ANSWERS": pipes.answers, "LANGUAGE": "en_US",
        "LC_ALL": "C.UTF-8",
      ], logPath: "\(folder)/output")
    let program = program
    TestExit.atEnd { program.signal(SIGKILL) }
    Thread.detachNewThread { [self] in read(answers) }
  }

  /// A named pipe, opened so that neither side waits for the other.
  private static func open(_ path: String) throws -> Int32 {
    guard mkfifo(path, 0o600) == 0 else {
      throw HarnessError("can't make \(path): \(String(cString: strerror(errno)))")
    }
    let file = Glibc.open(path, O_RDWR | O_CLOEXEC)
    guard file >= 0 else {
      throw HarnessError("can't open \(path): \(String(cString: strerror(errno)))")
    }
    return file
  }

  /// On a thread of its own until the test process ends: the pipe stays open on this side.
  private func read(_ answers: Int32) {
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(answers, &block, block.count)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return }
      state.withLock { state in
        state.unread += block[..<count]
        let parts = state.unread.split(separator: 0, omittingEmptySubsequences: false)
        state.unread = Array(parts.last ?? [])
        for part in parts.dropLast() { Self.take(Data(part), &state) }
      }
    }
  }

  private struct Message: Decodable {
    var id: Int?
    var method: String?
    var sessionId: String?
  }

  private static func take(_ data: Data, _ state: inout State) {
    do {
      let message = try JSONDecoder().decode(Message.self, from: data)
      if let id = message.id {
        state.answers[id] = data
      } else {
        state.events.append(
          Event(method: message.method ?? "", session: message.sessionId ?? "", message: data))
      }
    } catch {
      print("harness: chromium sent what is no message: \(error)")
    }
  }

  private struct Failure: Decodable {
    struct Reason: Decodable { var message: String }
    var error: Reason?
  }

  /// Sends a command and waits for its answer.
  ///
  /// - Parameter parameters: a JSON object.
  @discardableResult
  func call(_ method: String, _ parameters: String = "{}", session: String? = nil) async throws
    -> Data
  {
    let id = state.withLock { state in
      state.lastID += 1
      return state.lastID
    }
    let place = session.map { ",\"sessionId\":\"\($0)\"" } ?? ""
    let command = Array(
      "{\"id\":\(id),\"method\":\"\(method)\",\"params\":\(parameters)\(place)}".utf8)
    try write(command + [0])
    let isAnswered = await eventually(withinMs: 30_000, everyMs: 2) {
      program.ending != nil || state.withLock { $0.answers[id] != nil }
    }
    guard isAnswered, let answer = state.withLock({ $0.answers.removeValue(forKey: id) }) else {
      throw HarnessError("chromium did not answer \(method):\n\(program.log())")
    }
    if let reason = try JSONDecoder().decode(Failure.self, from: answer).error {
      throw HarnessError("chromium refused \(method) \(parameters): \(reason.message)")
    }
    return answer
  }

  private func write(_ bytes: [UInt8]) throws {
    var written = 0
    while written < bytes.count {
      let count = bytes[written...].withUnsafeBytes {
        Glibc.write(commands, $0.baseAddress, $0.count)
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else {
        throw HarnessError("can't write to chromium: \(String(cString: strerror(errno)))")
      }
      written += count
    }
  }

  func events(session: String) -> [Event] {
    state.withLock { $0.events.filter { $0.session == session } }
  }

  /// Opens a tab, without a page.
  ///
  /// - Parameter script: runs in each page before its own scripts.
  func tab(before script: String? = nil) async throws -> ChromiumTab {
    struct Target: Decodable {
      struct Result: Decodable { var targetId: String }
      var result: Result
    }
    struct Session: Decodable {
      struct Result: Decodable { var sessionId: String }
      var result: Result
    }
    let target = try JSONDecoder().decode(
      Target.self, from: try await call("Target.createTarget", #"{"url":"about:blank"}"#)
    ).result.targetId
    let session = try JSONDecoder().decode(
      Session.self,
      from: try await call(
        "Target.attachToTarget", #"{"targetId":"\#(target)","flatten":true}"#)
    ).result.sessionId
    let tab = ChromiumTab(browser: self, target: target, session: session)
    for domain in ["Page", "Network", "Runtime"] { try await tab.call("\(domain).enable") }
    try await tab.call(
      "Emulation.setDeviceMetricsOverride",
      "{\"width\":\(ChromiumTab.width),\"height\":\(ChromiumTab.height),\"deviceScaleFactor\":1,\"mobile\":false}"
    )
    if let script {
      try await tab.call(
        "Page.addScriptToEvaluateOnNewDocument", "{\"source\":\(JSONText.quoted(script))}")
    }
    return tab
  }
}
