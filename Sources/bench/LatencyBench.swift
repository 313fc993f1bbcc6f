import ArgumentParser
import Dataflow
import Definitions
import Events
import Foundation
import Operators
import Runtime
import Synchronization
import Views

/// From a frame's arrival at the loop to its effect in drained rows, at a steady rate.
///
/// One thread hands frames over at the times at which they are due; the loop takes what is there, puts
/// it through the whole first stage of the pipeline and drains changed rows at most so often. Each
/// frame's time ends with the drain that follows it. Frames are in memory: checksum, decoding,
/// operators and drains inside, log, stores and snapshots outside: what would go into a snapshot is forgotten
/// where one would be taken.
///
/// Of the slowest hundredth it says what their time went to, on average: what the loop used of a processor for frames
/// and drains meanwhile, how long it stood on a run queue because something else ran, and what is left, in which it
/// slept or the machine stood still.
struct LatencyBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "latency", abstract: "In-engine latency at a steady rate.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Events per second.") var rate = 500_000
  @Option(help: "Seconds.") var seconds = 10
  @Option(help: "Events per frame.") var eventsPerFrame = 500
  @Option(help: "Milliseconds between two drains.") var drainMs = 4
  @Option(help: "Also the longest spans of the loop, so many, and when they were.") var worst = 0
  @Option(help: "Folder with the definitions.") var streams = "Streams"

  func run() throws {
    guard let spec = try Definitions(folder: streams).pipeline("default") else {
      throw BenchError("pipelines.yaml has no pipeline `default`")
    }
    let start: Int64 = 1_700_000_000_000_000
    var frames: [[UInt8]] = []
    var workload = FrameWorkload(
      eventCount: rate * seconds, partitions: 1, eventsPerFrame: eventsPerFrame, start: start)
    workload.eventsPerSecond = rate
    workload.generate { _, _, bytes in frames.append(bytes) }
    let interval = Int64(eventsPerFrame) * 1_000_000 / Int64(rate)
    let due = Mutex<[Int64]>([])
    let frameCount = frames.count
    let feeder = Thread {
      Self.feed(frameCount, every: interval) { time in due.withLock { $0.append(time) } }
    }
    var pipeline = Pipeline(
      spec: spec, stream: StreamPartition(stream: "events-00", generation: 1, partition: 0),
      groups: 0..<KeyGroup.count)
    pipeline.growGently(true)
    var waits: [Wait] = []
    waits.reserveCapacity(frames.count)
    var arrivals: [Int64] = []
    arrivals.reserveCapacity(frames.count)
    var drained = 0
    var rows = 0
    var spans = LoopSpans(capacity: frames.count * 3)
    defer { spans.close() }
    let snapshotBytes = RuntimeParameters().snapshotBytesMax
    feeder.start()
    let before = spans.usage()
    let began = benchNow()
    var lastDrain = began
    while drained < frames.count {
      if let next = due.withLock({ $0.isEmpty ? nil : $0 }) {
        due.withLock { $0.removeFirst(next.count) }
        for time in next {
          let done = arrivals.count
          arrivals.append(time)
          try spans.measure(.frame) {
            try frames[done].withUnsafeBytes { bytes in
              try pipeline.process(
                frame: try FrameView(bytes), sequence: UInt64(done + 1),
                storedAt: start + Int64(done + 1) * interval)
            }
            if pipeline.changeByteCount >= snapshotBytes { pipeline.forgetChanges() }
          }
        }
        _ = pipeline.takeEmitted()
      } else {
        usleep(100)
      }
      let now = benchNow()
      let done = arrivals.count
      guard done > drained, now - lastDrain >= Int64(drainMs) * 1000 || done == frames.count else {
        continue
      }
      rows += spans.measure(.drain) { pipeline.drainHot().count }
      lastDrain = now
      let end = benchNow()
      for index in drained..<done { waits.append(Wait(arrived: arrivals[index], ended: end)) }
      drained = done
    }
    let wall = Double(benchNow() - began) / 1_000_000
    let used = spans.usage() - before
    waits.sort { $0.micros < $1.micros }
    func percentile(_ share: Double) -> Double {
      Double(waits[min(waits.count - 1, Int(Double(waits.count) * share))].micros) / 1000
    }
    var table = Report("In-engine latency at \(rate) events/s, drains every \(drainMs) ms")
    table.add("events_per_second", Double(rate * seconds) / wall, "events/s")
    table.add("p50_ms", percentile(0.5), "ms")
    table.add("p99_ms", percentile(0.99), "ms", goal: "10")
    table.add("max_ms", percentile(1), "ms")
    let drains = spans.sorted(.drain)
    table.add("rows_per_drain", Double(rows) / Double(max(1, drains.count)), "rows")
    table.add("loop_busy_share", used.cpu / 1_000_000 / wall, "")
    table.add("loop_waited_for_a_core_share", used.waited / 1_000_000 / wall, "")
    table.add("loop_page_faults", Double(used.pageFaults), "")
    // Processor time: what the tail is made of, whatever else the machine does.
    for part in LoopSpans.Part.allCases {
      let sorted = spans.sorted(part)
      for (name, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1)] {
        let span = sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
        table.add("\(part.rawValue)_cpu_\(name)_ms", span.used.cpu / 1000, "ms")
      }
    }
    let slowest = waits.suffix(max(1, waits.count / 100))
    for (name, value, unit) in spans.means(of: slowest.map { ($0.arrived, $0.ended) }) {
      table.add("slowest_\(name)", value, unit)
    }
    table.print(json: report.json)
    let longest = spans.all.sorted { $0.used.cpu > $1.used.cpu }
    for span in longest.prefix(worst) {
      print(
        "  \(span.part.rawValue) \(span.number): \(Int(span.used.cpu)) µs of processor time,"
          + " \(Int(span.used.kernel)) of them the kernel's, \(Int(span.used.waited)) waiting for a core,"
          + " \(span.used.pageFaults) page faults, ended at \((span.ended - began) / 1000) ms")
    }
  }

  /// A frame from its arrival to the end of the drain that followed.
  private struct Wait {
    var arrived: Int64
    var ended: Int64
    var micros: Int64 { ended - arrived }
  }

  /// Hands frames over at the times at which they are due.
  private static func feed(
    _ frameCount: Int, every interval: Int64, _ hand: @Sendable (Int64) -> Void
  ) {
    let begin = benchNow()
    for index in 0..<frameCount {
      let time = begin + Int64(index + 1) * interval
      while true {
        let wait = time - benchNow()
        if wait <= 0 { break }
        if wait > 100 { usleep(UInt32(wait - 50)) }
      }
      hand(benchNow())
    }
  }
}
