import Foundation
import Glibc
import LocalServers

/// The Python with the clients and checkers that tests run: `SMARTCONTENT_TEST_PYTHON`, else the
/// virtual environment of Scripts/setup.
enum SDKPython {
  static let missing = "run Scripts/setup --tests, which installs the test clients into .venv"

  /// The folder with Package.swift.
  static let root = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path

  static let path: String? = {
    let candidates = [
      ProcessInfo.processInfo.environment["SMARTCONTENT_TEST_PYTHON"], "\(root)/.venv/bin/python3",
    ]
    return candidates.compactMap(\.self).first { access($0, X_OK) == 0 }
  }()

  /// Whether the module can be imported there.
  static func has(_ module: String) -> Bool {
    guard let path else { return false }
    do {
      let run = try ProgramRun(path, ["-c", "import \(module)"])
      return run.wait() == 0
    } catch {
      return false
    }
  }

  /// Starts one of the programs in Clients/.
  static func start(client: String, _ arguments: [String]) throws -> ProgramRun {
    guard let path else { throw HarnessError(missing) }
    return try ProgramRun(
      path, ["\(root)/Tests/IntegrationTests/Clients/\(client)"] + arguments)
  }
}

/// A program that is run to its end, or until it has said something. Killed at the test process's
/// end at the latest.
///
/// `@unchecked Sendable`: used by one test, which hands it from one suspension to the next.
final class ProgramRun: @unchecked Sendable {
  private let process = Process()
  private let outputPath: String
  private let output: FileHandle

  init(_ path: String, _ arguments: [String], environment: [String: String] = [:]) throws {
    outputPath = try TemporaryFolder.make("run") + "/output"
    guard FileManager.default.createFile(atPath: outputPath, contents: nil),
      let output = FileHandle(forWritingAtPath: outputPath)
    else {
      throw HarnessError("\(outputPath) can't be written")
    }
    self.output = output
    process.executableURL = URL(filePath: path)
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let pid = process.processIdentifier
    TestExit.atEnd { [weak self] in
      if let self, process.isRunning { kill(pid, SIGKILL) }
    }
  }

  deinit {
    // Nobody is left who could end it.
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
  }

  /// What it has written to both outputs so far.
  var text: String {
    get throws { try String(contentsOfFile: outputPath, encoding: .utf8) }
  }

  var lastLine: Substring {
    get throws { try text.split(separator: "\n").last ?? "" }
  }

  var isRunning: Bool { process.isRunning }

  /// As Ctrl-C.
  func interrupt() { process.interrupt() }

  /// - Returns: the exit code.
  func wait() -> Int32 {
    process.waitUntilExit()
    return process.terminationStatus
  }

  /// - Returns: the exit code; throws with the output where the program does not end in time.
  func end(withinMs: Int) async throws -> Int32 {
    guard await eventually(withinMs: withinMs, everyMs: 20, { !process.isRunning }) else {
      process.terminate()
      throw HarnessError("the program did not end within \(withinMs) ms:\n\(try text.suffix(2000))")
    }
    return process.terminationStatus
  }

  /// Waits until the output has this.
  func waitUntilSaid(_ words: String, withinMs: Int) async throws {
    let isSaid = try await eventually(withinMs: withinMs, everyMs: 10) {
      try text.contains(words) || !process.isRunning
    }
    guard isSaid, try text.contains(words) else {
      throw HarnessError("the program did not say \"\(words)\":\n\(try text.suffix(2000))")
    }
  }
}
