import Foundation
import Glibc
import HTTPClient
import LocalServers
import Synchronization
import Testing

/// The collector's spool on real processes: nats-server away, the collector killed.
@Suite("The spool", .serialized, .endsWhatItStarts)
struct SpoolProofTests {
  private struct Collector {
    let url: String
    let folder: String
    let natsURL: String

    func start(_ life: Int) throws -> ChildProgram {
      try SmartContentProgram.start(
        [
          "collect", "--http", String(url.dropFirst("http://".count)), "--spool",
          folder + "/spool", "--write-keys", "dev:default",
        ], name: "collect-\(life)", folder: folder,
        environment: [
          "SMARTCONTENT_NATS": natsURL, "SMARTCONTENT_STREAMS": "\(SDKPython.root)/Streams",
        ])
    }

    /// Waits until readiness says so.
    func waitUntil(_ status: String, _ program: ChildProgram) async throws {
      let client = try HTTPClient()
      var last = ""
      let isSo = await eventually(withinMs: 30_000, everyMs: 20) {
        do {
          last = try client.get(url + "/health/ready").text
        } catch {
          last = "\(error)"
        }
        return last.hasPrefix(#"{"status":"\#(status)""#)
      }
      guard isSo else { throw HarnessError("\(last)\n\(program.log().suffix(2000))") }
    }
  }

  /// Sends pixels on a thread of its own until it is stopped, and keeps what was acknowledged.
  private final class Sender: Sendable {
    private struct State {
      var acknowledged: [String] = []
      var spooled = 0
      var shallStop = false
      var hasEnded = false
      var failure: String?
    }

    private let state = Mutex(State())

    var acknowledged: [String] { state.withLock { $0.acknowledged } }
    var spooled: Int { state.withLock { $0.spooled } }
    var hasEnded: Bool { state.withLock { $0.hasEnded } }
    var failure: String? { state.withLock { $0.failure } }

    init(_ url: String, name: String) {
      let thread = Thread {
        do {
          try self.run(url, name: name)
        } catch {
          self.state.withLock { $0.failure = "\(error)" }
        }
        self.state.withLock { $0.hasEnded = true }
      }
      thread.start()
    }

    private func run(_ url: String, name: String) throws {
      let client = try HTTPClient(HTTPClientSettings(connectTimeoutMs: 500, timeoutMs: 10_000))
      var number = 0
      while !state.withLock({ $0.shallStop }) {
        number += 1
        let id = "\(name)-\(number)"
        do {
          let answer = try client.get(
            url + "/p.gif?k=dev&t=impression&cid=spool&uid=u\(number % 97)&eid=\(id)")
          guard answer.status == 200 else { continue }
          state.withLock { state in
            state.acknowledged.append(id)
            if answer.header("SmartContent-Spooled") != nil { state.spooled += 1 }
          }
        } catch {
          // The collector is being killed: not acknowledged, and not sent again.
          poll(nil, 0, 5)
        }
      }
    }

    func stop() { state.withLock { $0.shallStop = true } }
  }

  @Test(
    "with nats-server stopped and the collector killed every acknowledged event is in the log once",
    .timeLimit(.minutes(2)))
  func exactlyOnce() async throws {
    let folder = try TemporaryFolder.make("spool")
    var options = LocalServersOptions()
    options.servers = [.nats]
    var servers = try await TestServers.start("spool", home: folder + "/servers", options: options)
    let natsURL = servers.endpoints.natsURLWithToken
    let collector = Collector(
      url: "http://127.0.0.1:\(try TestServers.freePort())", folder: folder, natsURL: natsURL)
    let streams = try SmartContentProgram.start(
      ["streams", "apply"], name: "streams", folder: folder,
      environment: [
        "SMARTCONTENT_NATS": natsURL, "SMARTCONTENT_STREAMS": "\(SDKPython.root)/Streams",
      ])
    #expect(await streams.waitForEnd(timeoutMs: 20_000) == .exited(0), "\(streams.log())")

    var program = try collector.start(0)
    try await collector.waitUntil("ok", program)
    let senders = (0..<4).map { Sender(collector.url, name: "s\($0)") }
    defer { for sender in senders { sender.stop() } }
    func acknowledged() -> Int { senders.reduce(0) { $0 + $1.acknowledged.count } }
    #expect(await eventually(withinMs: 10_000) { acknowledged() > 200 })

    await servers.stop()
    try await collector.waitUntil("degraded", program)
    for life in 1...2 {
      let before = acknowledged()
      #expect(
        await eventually(withinMs: 20_000) { acknowledged() > before + 200 }, "\(program.log())")
      await program.kill()
      program = try collector.start(life)
    }
    let spooled = senders.reduce(0) { $0 + $1.spooled }
    #expect(spooled > 200)

    servers = try await TestServers.start("spool", home: folder + "/servers", options: options)
    #expect(servers.endpoints.natsURLWithToken == natsURL)
    try await collector.waitUntil("ok", program)
    let before = acknowledged()
    #expect(await eventually(withinMs: 20_000) { acknowledged() > before + 100 })
    for sender in senders { sender.stop() }
    #expect(await eventually(withinMs: 20_000) { senders.allSatisfy(\.hasEnded) })
    #expect(senders.compactMap(\.failure).isEmpty)
    try await collector.waitUntil("ok", program)
    program.signal(SIGTERM)
    #expect(await program.waitForEnd(timeoutMs: 8000) == .exited(0))

    let counts = try LoggedEvents.counts(natsURL: natsURL)
    let ids = senders.flatMap(\.acknowledged)
    let missing = ids.filter { counts[$0] == nil }
    let doubled = ids.filter { counts[$0, default: 0] > 1 }
    #expect(missing.isEmpty, "\(missing.count) of \(ids.count), such as \(missing.prefix(3))")
    #expect(doubled.isEmpty, "\(doubled.count) of \(ids.count), such as \(doubled.prefix(3))")
    await servers.stop()
  }
}
