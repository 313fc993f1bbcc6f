import Foundation
import HTTPClient
import LocalServers

/// The built `smartcontent` beside this executable, started as a process of its own.
struct ServedProgram {
  let program: ChildProgram
  let url: String

  /// - Parameter arguments: without `--http`, for which a free port is taken.
  static func start(
    _ arguments: [String], environment: [String: String] = [:], folder: String,
    readyPath: String = "/health/ready"
  ) async throws -> ServedProgram {
    let own = CommandLine.arguments[0]
    let path = own.prefix(through: own.lastIndex(of: "/") ?? own.startIndex) + "smartcontent"
    var port: UInt16 = 18_080
    while !LoopbackPort.isFree(port) { port += 1 }
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let program = try ChildProgram(
      path: String(path), arguments: arguments + ["--http", "127.0.0.1:\(port)"],
      environment: environment, logPath: "\(folder)/smartcontent.log")
    let served = ServedProgram(program: program, url: "http://127.0.0.1:\(port)")
    let client = try HTTPClient(HTTPClientSettings(connectTimeoutMs: 500, timeoutMs: 2000))
    for _ in 0..<400 {
      if let ending = program.ending {
        throw BenchError("smartcontent \(ending):\n\(program.log())")
      }
      do {
        if try client.get(served.url + readyPath).status == 200 { return served }
      } catch {
        // Not listening yet.
      }
      try await Task.sleep(for: .milliseconds(50))
    }
    throw BenchError("smartcontent is not ready after 20 s:\n\(program.log())")
  }

  func stop() async {
    program.signal(SIGTERM)
    if await program.waitForEnd(timeoutMs: 8000) == nil { await program.kill() }
  }

  /// Resident memory in bytes.
  func residentBytes() throws -> Int {
    let status = try String(contentsOfFile: "/proc/\(program.pid)/status", encoding: .utf8)
    for line in status.split(separator: "\n") where line.hasPrefix("VmRSS:") {
      if let kibibytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) {
        return kibibytes * 1024
      }
    }
    throw BenchError("/proc shows no resident size of \(program.pid)")
  }
}
