import ArgumentParser
import Events
import Operators
import Views

/// Hopping windows, as Nexmark's query 5 counts: events per key in windows that slide by one second.
///
/// Frames are in memory; checksum, decoding, counting, closing windows and handing out every row of
/// every window inside, sinks outside; one thread, its processor time. The slide stays the same, so
/// what may differ between lengths is the cost of a longer window alone.
struct HoppingBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hopping", abstract: "Hopping windows: count per key, 60 s sliding by 1 s.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Events.") var events = 5_000_000
  @Option(help: "Keys.") var keys = 10_000
  @Option(help: "Events per second of event time.") var eventsPerSecond = 20_000

  func run() throws {
    let frames = KeyedFrames(
      key: .tuple, keyCount: keys, eventCount: events, eventsPerSecond: eventsPerSecond
    ).make()
    var table = Report(
      "Hopping windows: \(keys) keys, slide 1 s, \(eventsPerSecond) events per second of event time"
    )
    let sizes: [Int64] = [10, 60, 180]
    var rates = [[Double]](repeating: [], count: sizes.count)
    var rows = 0
    for _ in 0..<3 {
      for (index, size) in sizes.enumerated() {
        let started = CPUTime.thread()
        let result = try Self.run(frames, size: size)
        rates[index].append(Double(events) / (CPUTime.thread() - started))
        if size == 60 { rows = result }
      }
    }
    for (index, size) in sizes.enumerated() {
      table.add(
        "window_\(size)s_events_per_core", median(rates[index]), "events/s",
        goal: size == 60 ? "1,500,000" : "")
    }
    let medians = rates.map(median)
    table.add(
      "slowest_to_fastest_ratio", (medians.min() ?? 0) / (medians.max() ?? 1), "", goal: "0.8")
    table.add("rows_handed_out_60s", Double(rows), "rows")
    table.print(json: report.json)
  }

  /// - Returns: the rows that were handed out.
  @inline(never)
  static func run(_ frames: [KeyedFrames.Frame], size: Int64, slide: Int64 = 1) throws -> Int {
    var windows = HoppingWindows(
      size: size * 1_000_000, slide: slide * 1_000_000, lateness: 5_000_000,
      tupleCountMax: 20_000_000)
    var rows: [TrendRow] = []
    var dimensions: [DimensionEntry] = []
    var count = 0
    for (index, frame) in frames.enumerated() {
      try frame.bytes.withUnsafeBytes { bytes in
        let view = try FrameView(bytes)
        windows.take(
          view,
          at: FrameMoment(
            sequence: UInt64(index + 1), logTime: frame.logTime,
            watermark: frame.logTime - 1_000_000))
      }
      windows.drain(into: &rows, dimensions: &dimensions)
      count += rows.count
      rows.removeAll(keepingCapacity: true)
      dimensions.removeAll(keepingCapacity: true)
    }
    return count
  }
}

extension HoppingWindows {
  /// Counts every event of a frame.
  mutating func take(_ frame: FrameView, at moment: FrameMoment) {
    advance(to: moment)
    begin(tupleCount: frame.tupleCount) { frame.tupleBytes($0) }
    for index in 0..<frame.count {
      count(
        tuple: frame.tuple(index), time: frame.eventTime(index), kind: frame.kind(index),
        revenueMicros: frame.revenueMicros(index), at: moment)
    }
  }
}
