import Glibc
import JetStreamLog
import LocalServers
import NATSClient
import Ports
import Synchronization
import Testing

/// What happens when the log has no room: by its limits, and on a disk that is really full.
@Suite("A full log", .serialized)
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
    #expect(
      await eventually(withinMs: 10_000, everyMs: 1) { try stored(publisher, 3) == nil },
      "nats-server was started again")
    #expect(try log.bounds(stream: "st").last >= 2)
    await servers.stop()
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
