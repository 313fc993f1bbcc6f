import ArgumentParser
import Foundation
import HTTPClient
import LocalServers
import Runtime
import Synchronization

/// From a client's send to the event's being visible in the query API, under a steady load.
///
/// Senders keep `--rate` events per second: as pixels up to 1,000, in batches beyond. Some are probes with
/// a content of their own; a poller asks the query API for the probes' contents again and again. A
/// probe's freshness is the time from before its request was sent to after the first answer that shows
/// it; from the log, it is counted from the answer to its request, which says that it is stored. Ingest,
/// log (each frame synced), processor, stores and query are inside.
struct FreshnessBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "freshness", abstract: "From a client's send to visible in the query API.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Events per second.") var rate = 1000
  @Option(help: "Seconds of load.") var seconds = 20
  @Option(help: "Folder with the definitions.") var streams = "Streams"

  private static let senders = 16
  private static let probesPerSecond = 20

  private struct State {
    var sentAt: [String: Int64] = [:]
    var storedAt: [String: Int64] = [:]
    var freshness: [Int64] = []
    /// From the answer to the probe's request; from 0 on where it was seen before that.
    var fromLog: [Int64] = []
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
    let batch = max(1, rate / 1000)
    let each = Int64(Self.senders * batch) * 1_000_000 / Int64(rate)
    var threads: [Thread] = []
    let url = served.url
    let group = DispatchGroup()
    for sender in 0..<Self.senders {
      group.enter()
      threads.append(
        Thread {
          defer { group.leave() }
          Self.send(
            url: url, sender: sender, each: each, batch: batch, until: end, clock: clock,
            state: state)
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
    guard !result.freshness.isEmpty else { throw BenchError("no probe became visible") }
    func percentile(_ values: [Int64], _ share: Double) -> Double {
      let sorted = values.sorted()
      if sorted.isEmpty { return 0 }
      return Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]) / 1000
    }
    var table = Report("Freshness at \(rate) events/s: client's send to visible in the query API")
    table.add("events_per_second", Double(result.sent) / Double(seconds), "events/s")
    table.add("failed_requests", Double(result.failed), "")
    table.add("probes_seen", Double(result.freshness.count), "")
    table.add("probes_not_seen", Double(result.sentAt.count), "", goal: "0")
    table.add("p50_ms", percentile(result.freshness, 0.5), "ms", goal: "120")
    table.add("p99_ms", percentile(result.freshness, 0.99), "ms", goal: "300")
    table.add("max_ms", percentile(result.freshness, 1), "ms")
    table.add("from_log_p50_ms", percentile(result.fromLog, 0.5), "ms")
    table.add("from_log_p99_ms", percentile(result.fromLog, 0.99), "ms", goal: "150")
    table.print(json: report.json)
    await served.stop()
    try LocalServers.remove(home: report.home)
  }

  private static func send(
    url: String, sender: Int, each: Int64, batch: Int, until end: Int64,
    clock: @Sendable () -> Int64, state: Shared<State>
  ) {
    var next = clock()
    var number = 0
    let probeEvery = max(1, 1_000_000 / Int(each) * senders / probesPerSecond)
    do {
      let client = try HTTPClient()
      while next < end {
        let wait = next - clock()
        if wait > 0 { usleep(UInt32(wait)) }
        number += 1
        let isProbe = number % probeEvery == sender % probeEvery
        let content = isProbe ? "probe-\(sender)-\(number)" : "post-\(number % 50)"
        let campaign = isProbe ? "probes" : "campaign-\(number % 10)"
        let now = clock()
        if isProbe { state.value.withLock { $0.sentAt[content] = now } }
        let answer =
          batch == 1
          ? try client.get(
            url + "/p.gif?k=dev&t=impression&cid=\(campaign)&cnt=\(content)&var=a&ch=web"
              + "&uid=u\(sender)-\(number % 5000)&eid=\(sender)-\(number)")
          : try client.post(
            url + "/v1/batch",
            headers: [
              HTTPHeader("Content-Type", "application/json"),
              HTTPHeader("Authorization", "Basic ZGV2Og=="),
            ],
            body: body(sender, number, batch, campaign: campaign, content: content))
        let answered = clock()
        state.value.withLock {
          $0.sent += batch
          if answer.status != 200 { $0.failed += 1 }
          if $0.sentAt[content] != nil {
            $0.storedAt[content] = answered
          } else if isProbe {
            $0.fromLog.append(0)
          }
        }
        next += each
      }
    } catch {
      state.value.withLock { $0.failed += 1 }
    }
  }

  /// A Segment batch whose first event has the given campaign and content.
  private static func body(
    _ sender: Int, _ number: Int, _ batch: Int, campaign: String, content: String
  ) -> [UInt8] {
    let events = (0..<batch).map { index in
      let (campaign, content) =
        index == 0 ? (campaign, content) : ("campaign-\(index % 10)", "post-\(number % 50)")
      return
        #"{"type":"track","event":"Content Impression","messageId":"\#(sender)-\#(number)-\#(index)","#
        + #""userId":"u\#(sender)-\#((number * batch + index) % 5000)","#
        + #""properties":{"campaign_id":"\#(campaign)","content_id":"\#(content)","#
        + #""variant_id":"a","channel":"web"}}"#
    }
    return Array(#"{"batch":[\#(events.joined(separator: ","))]}"#.utf8)
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
            if let stored = state.storedAt.removeValue(forKey: name) {
              state.fromLog.append(now - stored)
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
