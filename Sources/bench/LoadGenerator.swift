import Foundation

/// wrk (Debian package `wrk`) with a script that makes every request different.
enum LoadGenerator {
  struct Result {
    var requestsPerSecond: Double
    var failures: Int
    var p99Ms: Double
    /// Of the generator itself.
    var cpuSeconds: Double
    var seconds: Double
  }

  static func run(
    url: String, script: String, connections: Int, seconds: Int, folder: String
  ) throws -> Result {
    let path = "\(folder)/load.lua"
    try script.write(toFile: path, atomically: true, encoding: .utf8)
    let before = CPUTime.endedChildren()
    let output = try Shell.run([
      "wrk", "-t1", "-c\(connections)", "-d\(seconds)s", "--timeout", "5s", "-s", path, url,
    ])
    for line in output.split(separator: "\n") where line.hasPrefix("RESULT ") {
      let fields = line.split(separator: " ").dropFirst().compactMap { Double($0) }
      guard fields.count == 3 else { break }
      return Result(
        requestsPerSecond: fields[0], failures: Int(fields[1]), p99Ms: fields[2],
        cpuSeconds: CPUTime.endedChildren() - before, seconds: Double(seconds))
    }
    throw BenchError("wrk gave no result:\n\(output)")
  }
}

/// Runs a program to its end and gives its output.
enum Shell {
  static func run(_ command: [String]) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let text = String(decoding: output, as: UTF8.self)
    guard process.terminationStatus == 0 else {
      throw BenchError("\(command[0]) ended with \(process.terminationStatus): \(text)")
    }
    return text
  }
}
