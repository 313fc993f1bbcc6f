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
    let all = frames
    let due = Mutex<[Int64]>([])
    let interval = Int64(eventsPerFrame) * 1_000_000 / Int64(rate)
    let feeder = Thread {
      let begin = benchNow()
      for index in all.indices {
        let time = begin + Int64(index + 1) * interval
        while true {
          let wait = time - benchNow()
          if wait <= 0 { break }
          if wait > 100 { usleep(UInt32(wait - 50)) }
        }
        due.withLock { $0.append(benchNow()) }
      }
    }
    var pipeline = Pipeline(
      spec: spec, stream: StreamPartition(stream: "events-00", generation: 1, partition: 0),
      groups: 0..<KeyGroup.count)
    var latencies: [Int64] = []
    latencies.reserveCapacity(frames.count)
    var arrivals: [Int64] = []
    var done = 0
    var drained = 0
    var lastDrain = benchNow()
    var rows = 0
    var drains = 0
    var frameSeconds: [Double] = []
    var drainSeconds: [Double] = []
    var spans: [(what: String, at: Int64, seconds: Double)] = []
    let snapshotBytes = RuntimeParameters().snapshotBytesMax
    feeder.start()
    let cpu = CPUTime.thread()
    let began = benchNow()
    while drained < frames.count {
      if let next = due.withLock({ $0.isEmpty ? nil : $0 }) {
        due.withLock { $0.removeFirst(next.count) }
        for time in next {
          arrivals.append(time)
          let before = CPUTime.thread()
          try frames[done].withUnsafeBytes { bytes in
            try pipeline.process(
              frame: try FrameView(bytes), sequence: UInt64(done + 1),
              storedAt: start + Int64(done + 1) * interval)
          }
          if pipeline.changeByteCount >= snapshotBytes { pipeline.forgetChanges() }
          done += 1
          frameSeconds.append(CPUTime.thread() - before)
          if worst > 0 {
            spans.append(("frame \(done)", benchNow() - began, frameSeconds[done - 1]))
          }
        }
        _ = pipeline.takeEmitted()
      } else {
        usleep(100)
      }
      let now = benchNow()
      guard done > drained, now - lastDrain >= Int64(drainMs) * 1000 || done == frames.count else {
        continue
      }
      let before = CPUTime.thread()
      rows += pipeline.drainHot().count
      drainSeconds.append(CPUTime.thread() - before)
      if worst > 0 {
        spans.append(("drain \(drains)", benchNow() - began, drainSeconds[drains]))
      }
      drains += 1
      lastDrain = now
      let end = benchNow()
      for index in drained..<done { latencies.append(end - arrivals[index]) }
      drained = done
    }
    let wall = Double(benchNow() - began) / 1_000_000
    latencies.sort()
    func percentile(_ share: Double) -> Double {
      Double(latencies[min(latencies.count - 1, Int(Double(latencies.count) * share))]) / 1000
    }
    var table = Report("In-engine latency at \(rate) events/s, drains every \(drainMs) ms")
    table.add("events_per_second", Double(rate * seconds) / wall, "events/s")
    table.add("p50_ms", percentile(0.5), "ms")
    table.add("p99_ms", percentile(0.99), "ms", goal: "10")
    table.add("max_ms", percentile(1), "ms")
    table.add("rows_per_drain", Double(rows) / Double(max(1, drains)), "rows")
    table.add("loop_busy_share", (CPUTime.thread() - cpu) / wall, "")
    // Processor time: what the tail is made of, whatever else the machine does.
    for (name, seconds) in [("frame", frameSeconds.sorted()), ("drain", drainSeconds.sorted())] {
      table.add("\(name)_cpu_p50_ms", seconds[seconds.count / 2] * 1000, "ms")
      table.add("\(name)_cpu_p99_ms", seconds[seconds.count * 99 / 100] * 1000, "ms")
      table.add("\(name)_cpu_max_ms", (seconds.last ?? 0) * 1000, "ms")
    }
    table.print(json: report.json)
    for span in spans.sorted(by: { $0.seconds > $1.seconds }).prefix(worst) {
      print(
        "  \(span.what): \(Int(span.seconds * 1_000_000)) µs of processor time, ended at "
          + "\(span.at / 1000) ms")
    }
  }
}
