import Glibc
import HTTPClient
import LocalServers

/// The built `smartcontent` executable, run as processes of their own, for tests that kill them.
enum SmartContentProgram {
  /// Beside the test bundle: `swift test` builds both into one folder.
  static func path() throws -> String {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes {
      readlink("/proc/self/exe", $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
    }
    var folders: [String] = []
    if count > 0 { folders.append(String(decoding: buffer[..<count], as: UTF8.self)) }
    folders += CommandLine.arguments
    for place in folders {
      guard let slash = place.lastIndex(of: "/") else { continue }
      let candidate = place[..<slash] + "/smartcontent"
      if access(String(candidate), X_OK) == 0 { return String(candidate) }
    }
    throw HarnessError(
      "smartcontent was not found beside \(folders.first ?? "?"): run `swift build` first")
  }

  /// Starts it; the output goes to `<folder>/<name>.log`. It is killed with its test where that says so.
  static func start(
    _ arguments: [String], name: String, folder: String, environment: [String: String] = [:]
  ) throws -> ChildProgram {
    let program = try ChildProgram(
      path: path(), arguments: arguments, environment: environment,
      logPath: "\(folder)/\(name).log")
    TestExit.atEnd { program.signal(SIGKILL) }
    return program
  }

  /// Waits until `url` answers 200, such as `http://127.0.0.1:8080/health/ready`. Throws with the end of the log when
  /// the program ends before, or the time is over.
  static func waitUntilReady(_ program: ChildProgram, url: String, withinMs: Int = 20_000)
    async throws
  {
    let client = try HTTPClient(HTTPClientSettings(connectTimeoutMs: 500, timeoutMs: 1000))
    var last = "it was not asked"
    let isReady = await eventually(withinMs: withinMs, everyMs: 10) {
      if program.ending != nil { return true }
      do {
        let answer = try client.get(url)
        last = "it answered \(answer.status): \(answer.text.prefix(300))"
        return answer.status == 200
      } catch {
        last = "\(error)"
        return false
      }
    }
    if let ending = program.ending {
      throw HarnessError("smartcontent \(ending) before it was ready:\n\(program.log())")
    }
    guard isReady else {
      throw HarnessError("\(url) is not ready after \(withinMs) ms; \(last)\n\(program.log())")
    }
  }
}
