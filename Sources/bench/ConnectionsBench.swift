import ArgumentParser
import Foundation
import Glibc

/// Connections that are kept alive and say nothing, with load beside them.
struct ConnectionsBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "connections",
    abstract: "Memory of a collector with 10,000 idle connections, and load beside them.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Idle connections.") var idle = 10_000
  @Option(help: "Connections of the load.") var connections = 64
  @Option(help: "Rounds of load.") var rounds = 6
  @Option(help: "Seconds of each round; the memory is looked at after each.") var seconds = 5
  @Option(help: "Folder with the definitions.") var streams = "Streams"

  func run() async throws {
    try IdleConnections.raiseLimit(to: idle + 1000)
    let load = try await CollectorUnderLoad.start(home: report.home, streams: streams)
    var table = Report(
      "\(idle) idle connections, and \(connections) that send pixels in \(rounds) rounds of"
        + " \(seconds) s")
    func mebibytes() throws -> Double { Double(try load.collector.residentBytes()) / 1_048_576 }
    table.add("resident_at_start", try mebibytes(), "MiB")
    let idle = try IdleConnections(count: idle, url: load.collector.url)
    let before = try mebibytes()
    table.add("resident_with_idle", before, "MiB")
    var last = before
    for round in 1...rounds {
      let result = try LoadGenerator.run(
        url: load.collector.url, script: LoadScripts.pixel(), connections: connections,
        seconds: seconds, folder: report.home)
      last = try mebibytes()
      table.add("resident_after_round_\(round)", last, "MiB")
      table.add("pixels_per_second_\(round)", result.requestsPerSecond, "pixels/s")
      table.add("failed_requests_\(round)", Double(result.failures), "", goal: "0")
      // Each keeps its place, as a browser that comes back does.
      try idle.request()
    }
    table.add("growth_of_load", last - before, "MiB")
    table.print(json: report.json)
    idle.close()
    try await load.stop(home: report.home)
  }
}

/// Connections that were used once, and are open.
final class IdleConnections {
  private var sockets: [Int32] = []
  private let bytes: [UInt8]

  /// Opens them, each with a request that is answered.
  init(count: Int, url: String) throws {
    guard let colon = url.lastIndex(of: ":"), let port = UInt16(url[url.index(after: colon)...])
    else { throw BenchError("\(url) names no port") }
    bytes = Array("GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".utf8)
    for _ in 0..<count { sockets.append(try Self.connect(port)) }
    try request()
  }

  static func raiseLimit(to count: Int) throws {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(resource, &limit) == 0 else { return }
    guard limit.rlim_max >= UInt(count) else {
      throw BenchError("\(count) open files are needed, \(limit.rlim_max) are allowed: ulimit -Hn")
    }
    limit.rlim_cur = limit.rlim_max
    setrlimit(resource, &limit)
  }

  /// One request on each, and its answer.
  func request() throws {
    var buffer = [UInt8](repeating: 0, count: 4096)
    for (number, socket) in sockets.enumerated() {
      guard send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count,
        recv(socket, &buffer, buffer.count, 0) > 0
      else { throw BenchError("connection \(number) was closed by the collector") }
    }
  }

  func close() {
    for socket in sockets { Glibc.close(socket) }
    sockets = []
  }

  private static func connect(_ port: UInt16) throws -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else {
      throw BenchError("no socket: \(String(cString: strerror(errno)))")
    }
    var timeout = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(
      descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else {
      throw BenchError("cannot connect: \(String(cString: strerror(errno)))")
    }
    return descriptor
  }
}
