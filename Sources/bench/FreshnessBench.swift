import ArgumentParser
import Foundation
import HTTPClient
import LocalServers
import Runtime
import Synchronization

/// From a client's send to the event's being visible in the query API, under a steady load.
///
/// Senders keep `--rate` events per second as pixels. Some are probes with a content of their own; a
/// poller asks the query API for the probes' contents again and again, and a probe's freshness is
/// the time from before its request was sent to after the first answer that shows it.
struct FreshnessBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "freshness", abstract: "From a client's send to visible in the query API.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Events per second.") var rate = 1000
  @Option(help: "Seconds of load.") var seconds = 20
  @Option(help: "Folder with the definitions.") var streams = "Streams"

  private static let senders = 8
  private static let probesPerSecond = 20

  private struct State {
    var sentAt: [String: Int64] = [:]
    var freshness: [Int64] = []
    var sent = 0
    var failed = 0
    var isOver = false
  }

  func run() async throws {
    let served = try await ServedProgram.start(
      ["dev", "--home", report.home, "--streams", streams], folder: report.home + "-dev")
    let state = Shared(State())
    let clock = LoopClock.system.monotonic
    let begin = clock()
    let end = begin + Int64(seconds) * 1_000_000
    let each = Int64(Self.senders) * 1_000_000 / Int64(rate)
    var threads: [Thread] = []
    let url = served.url
    let group = DispatchGroup()
    for sender in 0..<Self.senders {
      group.enter()
      threads.append(
        Thread {
          defer { group.leave() }
          Self.send(url: url, sender: sender, each: each, until: end, clock: clock, state: state)
        })
    }
    group.enter()
    threads.append(
      Thread {
        defer { group.leave() }
        Self.poll(url: url, until: end + 2_000_000, clock: clock, state: state)
      })
    for thread in threads { thread.start() }
    await withCheckedContinuation { continuation in
      group.notify(queue: .global()) { continuation.resume() }
    }
    let result = state.value.withLock { $0 }
    let sorted = result.freshness.sorted()
    guard !sorted.isEmpty else { throw BenchError("no probe became visible") }
    func percentile(_ share: Double) -> Double {
      Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]) / 1000
    }
    var table = Report("Freshness at \(rate) events/s: client's send to visible in the query API")
    table.add("events_per_second", Double(result.sent) / Double(seconds), "events/s")
    table.add("failed_requests", Double(result.failed), "")
    table.add("probes_seen", Double(sorted.count), "")
    table.add("probes_not_seen", Double(result.sentAt.count), "", goal: "0")
    table.add("p50_ms", percentile(0.5), "ms", goal: "120")
    table.add("p99_ms", percentile(0.99), "ms", goal: "300")
    table.add("max_ms", percentile(1), "ms")
    table.print(json: report.json)
    await served.stop()
    try LocalServers.remove(home: report.home)
  }

  private static func send(
    url: String, sender: Int, each: Int64, until end: Int64, clock: @Sendable () -> Int64,
    state: Shared<State>
  ) {
    var next = clock()
    var number = 0
    do {
      let client = try HTTPClient()
      while next < end {
        let wait = next - clock()
        if wait > 0 { usleep(UInt32(wait)) }
        number += 1
        let isProbe = number % (1_000_000 / Int(each) * senders / probesPerSecond) == sender
        let content = isProbe ? "probe-\(sender)-\(number)" : "post-\(number % 50)"
        let campaign = isProbe ? "probes" : "campaign-\(number % 10)"
        let path =
          "/p.gif?k=dev&t=impression&cid=\(campaign)&cnt=\(content)&var=a&ch=web"
          + "&uid=u\(sender)-\(number % 5000)&eid=\(sender)-\(number)"
        let now = clock()
        if isProbe { state.value.withLock { $0.sentAt[content] = now } }
        let answer = try client.get(url + path)
        state.value.withLock {
          $0.sent += 1
          if answer.status != 200 { $0.failed += 1 }
        }
        next += each
      }
    } catch {
      state.value.withLock { $0.failed += 1 }
    }
  }

  private static func poll(
    url: String, until end: Int64, clock: @Sendable () -> Int64, state: Shared<State>
  ) {
    do {
      let client = try HTTPClient()
      while clock() < end {
        let waiting = state.value.withLock { Array($0.sentAt.keys) }
        if waiting.isEmpty {
          usleep(1000)
          continue
        }
        let names = waiting.map { "\"\($0)\"" }.joined(separator: ",")
        let body = """
          {"metrics":["impressions"],"dimensions":["content"],"date_range":"day",\
          "filters":[["is","campaign",["probes"]],["is","content",[\(names)]]]}
          """
        let answer = try client.post(
          url + "/v1/query", headers: [HTTPHeader("Content-Type", "application/json")],
          body: Array(body.utf8))
        let now = clock()
        let text = answer.text
        state.value.withLock { state in
          for name in waiting where text.contains("[\"\(name)\"]") {
            if let sent = state.sentAt.removeValue(forKey: name) {
              state.freshness.append(now - sent)
            }
          }
        }
      }
    } catch {
      state.value.withLock { $0.failed += 1 }
    }
  }
}

/// A value between threads.
private final class Shared<Value: Sendable>: Sendable {
  let value: Mutex<Value>

  init(_ value: Value) { self.value = Mutex(value) }
}
