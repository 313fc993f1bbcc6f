import Foundation
import Glibc
import HTTPClient
import LocalServers
import Testing

/// What clients that mean no good, or are just many, cost a real collector in memory.
@Suite("Memory of a collector", .serialized, .endsWhatItStarts)
struct ConnectionMemoryTests {
  /// Of four hundred requests: a million together, where the collector is optimised.
  #if DEBUG
    private static let tinyRounds = 250
  #else
    private static let tinyRounds = 2500
  #endif

  /// 10,000, or as many as the system allows.
  private static func idleCount() -> Int {
    max(500, min(10_000, LoopbackConnections.raiseLimit() - 1500))
  }

  /// A request on each, and its answer.
  private func touch(_ idle: LoopbackConnections) throws {
    let live = Array("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
    for index in idle.indices { try idle.send(live, on: index) }
    for index in idle.indices { try idle.wait(for: #"{"status":"ok"}"#, times: 1, on: index) }
  }

  private static func mebibytes(_ program: ChildProgram) throws -> Int {
    let status = try TextFile.read("/proc/\(program.pid)/status")
    guard let match = status.firstMatch(of: /VmRSS:\s+([0-9]+) kB/), let kibibytes = Int(match.1)
    else { throw HarnessError("/proc shows no resident size") }
    return kibibytes / 1024
  }

  @Test(
    "idle connections, bodies that do not end, bombs and tiny requests leave memory bounded",
    .timeLimit(.minutes(4)))
  func bounded() async throws {
    let folder = try TemporaryFolder.make("memory")
    var options = LocalServersOptions()
    options.servers = [.nats]
    let servers = try await TestServers.start("memory", home: folder + "/servers", options: options)
    let environment = [
      "SMARTCONTENT_NATS": servers.endpoints.natsURLWithToken,
      "SMARTCONTENT_STREAMS": "\(SDKPython.root)/Streams",
    ]
    let streams = try SmartContentProgram.start(
      ["streams", "apply"], name: "streams", folder: folder, environment: environment)
    #expect(await streams.waitForEnd(timeoutMs: 20_000) == .exited(0))
    let port = try TestServers.freePort()
    let program = try SmartContentProgram.start(
      ["collect", "--http", "127.0.0.1:\(port)", "--write-keys", "dev:default"], name: "collect",
      folder: folder, environment: environment)
    try await SmartContentProgram.waitUntilReady(
      program, url: "http://127.0.0.1:\(port)/health/ready")
    let atStart = try Self.mebibytes(program)

    let idle = try LoopbackConnections(count: Self.idleCount(), port: port)
    try touch(idle)
    let withIdle = try Self.mebibytes(program)
    let perConnection = (withIdle - atStart) * 1024 / idle.indices.count
    #expect(perConnection < 16, "an idle connection takes \(perConnection) KiB")

    // Headers and bodies of which nothing more comes.
    let slow = try LoopbackConnections(count: 400, port: port)
    for index in slow.indices {
      let head =
        index % 2 == 0
        ? "GET /p.gif?k=dev HTTP/1.1\r\nHost: x\r\nX: "
        : "POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n{\"batch\":["
      try slow.send(Array(head.utf8), on: index)
    }

    // A million tiny requests on four connections, pipelined.
    let busy = try LoopbackConnections(count: 4, port: port)
    let tiny = Array(
      String(repeating: "GET /p.gif?k=no HTTP/1.1\r\nHost: x\r\n\r\n", count: 100).utf8)
    var peak = withIdle
    var early = withIdle
    for round in 0..<Self.tinyRounds {
      for index in busy.indices { try busy.send(tiny, on: index) }
      for index in busy.indices { try busy.wait(for: "HTTP/1.1 ", times: 100, on: index) }
      if round % 50 == 0 { peak = max(peak, try Self.mebibytes(program)) }
      if round == Self.tinyRounds / 10 { early = peak }
    }
    #expect(peak - withIdle < 100, "tiny requests took \(peak - withIdle) MiB")
    #expect(peak - early < 16, "the last nine tenths of them took \(peak - early) MiB")

    // They are cut off when they say nothing for longer.
    try touch(idle)

    let client = try HTTPClient()
    let bomb = try Self.bomb()
    for _ in 0..<20 {
      let answer = try client.post(
        "http://127.0.0.1:\(port)/v1/batch",
        headers: [
          HTTPHeader("Content-Type", "application/json"), HTTPHeader("Content-Encoding", "gzip"),
          HTTPHeader("Authorization", "Basic ZGV2Og=="),
        ], body: bomb)
      #expect(answer.status == 400)
      peak = max(peak, try Self.mebibytes(program))
    }
    #expect(peak - withIdle < 150, "bombs took \(peak - withIdle) MiB")

    // Nobody who was there was thrown out, and events are still taken.
    try touch(idle)
    let pixel = try client.get("http://127.0.0.1:\(port)/p.gif?k=dev&t=impression&uid=u&eid=last")
    #expect(pixel.status == 200)
    program.signal(SIGTERM)
    _ = await program.waitForEnd(timeoutMs: 8000)
    await servers.stop()
  }

  /// 100 MB of zeros in some 100 KB.
  private static func bomb() throws -> [UInt8] {
    let path = try TemporaryFolder.make("bomb") + "/bomb"
    let process = Process()
    process.executableURL = URL(filePath: "/bin/sh")
    process.arguments = ["-c", "head -c 100000000 /dev/zero | gzip > '\(path)'"]
    try process.run()
    process.waitUntilExit()
    return Array(try Data(contentsOf: URL(filePath: path)))
  }
}
