import Definitions
import Foundation
import Glibc
import HTTPClient
import JetStreamLog
import LocalServers
import NATSClient
import Ports
import Synchronization
import Testing

/// What happens when the log has no room: by its limits, and on a disk that is really full.
@Suite("A full log", .serialized, .endsWhatItStarts)
struct FullLogTests {
  /// `mount` is a right that containers do not have.
  private static let canMount: Bool = {
    guard let folder = try? TemporaryFolder.make("mount") else { return false }
    guard mount("tmpfs", folder, "tmpfs", 0, "size=1m") == 0 else { return false }
    umount2(folder, Int32(MNT_DETACH))
    return true
  }()

  @Test(
    "a disk that was full takes frames again by itself once there is space", .enabled(if: canMount))
  func fullDisk() async throws {
    let home = try TemporaryFolder.make("full-disk")
    let disk = home + "/nats"
    #expect(mkdir(disk, 0o700) == 0)
    #expect(mount("tmpfs", disk, "tmpfs", 0, "size=40m") == 0)
    defer { umount2(disk, Int32(MNT_DETACH)) }
    var options = LocalServersOptions()
    options.servers = [.nats]
    options.natsMaxFileStoreBytes = 1 << 30
    let events = Mutex<[LocalServersEvent]>([])
    options.onEvent = { event in events.withLock { $0.append(event) } }
    let servers = try await LocalServers.start(home: home, options: options)

    let address = try NATSAddress(servers.endpoints.natsURLWithToken)
    let log = JetStreamLog(address: address, name: "test")
    _ = try log.admin.create("st", config: #"{"name":"st","subjects":["st"],"storage":"file"}"#)
    let publisher = try JetStreamPublisher(address: address, name: "test")
    #expect(try stored(publisher, 1) == nil)

    let ballast = disk + "/ballast"
    try fill(ballast)
    let refusal = try #require(try stored(publisher, 2))
    #expect(refusal.contains("restart nats-server once there is space"))
    #expect(
      await eventually(withinMs: 5000) {
        events.withLock { $0.contains { if case .ailing(.nats, _) = $0 { true } else { false } } }
      })
    unlink(ballast)
    let isStoredAgain = try await eventually(withinMs: 10_000, everyMs: 1) {
      try stored(publisher, 3) == nil
    }
    #expect(isStoredAgain, "nats-server was started again")
    let last = try log.bounds(stream: "st").last
    #expect(last >= 2)
    await servers.stop()
  }

  @Test("a stream at its limit refuses early with 503, and takes events again once it is raised")
  func limit() async throws {
    let folder = try TemporaryFolder.make("full-stream")
    let servers = try await TestServers.start("full-stream", home: folder + "/servers")
    let streams = folder + "/Streams"
    try FileManager.default.copyItem(atPath: "Streams", toPath: streams)
    try applyStreams(bytesMax: "1MiB", streams, servers)
    let port = try TestServers.freePort()
    let url = "http://127.0.0.1:\(port)"
    let collector = try SmartContentProgram.start(
      [
        "collect", "--http", "127.0.0.1:\(port)", "--streams", streams, "--write-keys",
        "dev:default",
      ], name: "collect", folder: folder,
      environment: ["SMARTCONTENT_NATS": servers.endpoints.natsURLWithToken])
    try await SmartContentProgram.waitUntilReady(collector, url: url + "/health/ready")

    let client = try HTTPClient()
    var refused: HTTPAnswer?
    for number in 0..<200 where refused == nil {
      let answer = try client.post(
        url + "/v1/batch", headers: Self.headers, body: Self.batch(number))
      if answer.status != 200 { refused = answer }
    }
    let answer = try #require(refused, "4 MiB of events do not fit in 4 streams of 1 MiB")
    #expect(answer.status == 503)
    #expect(answer.header("Retry-After") == "1")
    #expect(answer.text.contains("the log is full"))
    let readiness = try client.get(url + "/health/ready")
    #expect(readiness.status == 503)
    #expect(readiness.text.contains("maximum bytes exceeded"))

    try applyStreams(bytesMax: "16MiB", streams, servers)
    // Nobody sends: the collector finds out by itself.
    try await SmartContentProgram.waitUntilReady(
      collector, url: url + "/health/ready", withinMs: 5000)
    let again = try client.post(
      url + "/v1/batch", headers: Self.headers, body: Self.batch(1000))
    #expect(again.status == 200)
    collector.signal(SIGTERM)
    _ = await collector.waitForEnd(timeoutMs: 8000)
    await servers.stop()
  }

  private static let headers = [
    HTTPHeader("Authorization", "Basic ZGV2Og=="), HTTPHeader("Content-Type", "application/json"),
  ]

  /// 40 events of a kilobyte, of people in every partition.
  private static func batch(_ number: Int) -> [UInt8] {
    let padding = String(repeating: "x", count: 1000)
    let events = (0..<40).map { index in
      "{\"type\":\"track\",\"event\":\"Content Viewed\",\"messageId\":\"\(number)-\(index)\","
        + "\"anonymousId\":\"a\(index)\",\"properties\":{\"padding\":\"\(padding)\"}}"
    }
    return Array("{\"batch\":[\(events.joined(separator: ","))]}".utf8)
  }

  private func applyStreams(
    bytesMax: String, _ folder: String, _ servers: LocalServers
  ) throws {
    let path = folder + "/streams.yaml"
    let text = try String(contentsOfFile: "Streams/streams.yaml", encoding: .utf8)
    try text.replacing(/max_bytes: \w+/) { _ in "max_bytes: \(bytesMax)" }
      .write(toFile: path, atomically: true, encoding: .utf8)
    let log = JetStreamLog(
      address: try NATSAddress(servers.endpoints.natsURLWithToken), name: "test")
    for stream in try Definitions(folder: folder).streams.all {
      _ =
        try log.admin.info(stream.name) == nil
        ? log.admin.create(stream.name, config: stream.json)
        : log.admin.update(stream.name, config: stream.json)
    }
  }

  /// - Returns: why the frame was not stored, nil where it was.
  private func stored(_ publisher: JetStreamPublisher, _ token: UInt64) throws -> String? {
    publisher.publish(
      stream: "st", messageID: "m\(token)", frame: [UInt8](repeating: 7, count: 2000), token: token)
    while true {
      guard let last = publisher.poll(timeoutMs: 1000).last else { continue }
      if case .stored = last.outcome { return nil }
      return "\(last.outcome)"
    }
  }

  private func fill(_ path: String) throws {
    let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw HarnessError("can't make \(path)") }
    defer { close(file) }
    var piece = 1 << 20
    while piece >= 4096 {
      let block = [UInt8](repeating: 1, count: piece)
      while write(file, block, piece) == piece {}
      piece /= 4
    }
  }
}
