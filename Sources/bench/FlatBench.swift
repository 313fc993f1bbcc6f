import ArgumentParser
import Events
import Operators
import Views

/// What an event costs from a thousand keys to ten million, apart from cache misses, and what a key
/// costs in memory.
///
/// Three tables by key: ids of deduplication, histories of persons, and counters of windows by tuple.
/// Each is filled with its keys; then events of random keys come. Beside it, in turns, a bare loop makes
/// as many random loads per event as the table needs, one depending on the other, in as much memory as
/// the table has taken: that is what the misses cost on this machine at that size. What is left is the
/// cost apart from them. Frames are in memory, checksum and decoding inside, sinks outside; one thread,
/// its processor time.
struct FlatBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "flat", abstract: "Cost per event from 1,000 to 10 M keys; memory per key.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Events per measurement.") var events = 1_000_000
  @Option(help: "The most keys.") var keysMax = 10_000_000

  private struct Figures {
    /// Nanoseconds per event.
    var cost: [Double] = []
    var bare: [Double] = []

    func left(_ index: Int) -> Double { cost[index] - bare[index] }
  }

  func run() throws {
    var table = Report("Cost per event by number of keys")
    var counts = [1_000]
    while let last = counts.last, last * 10 <= keysMax { counts.append(last * 10) }
    try measure("dedupe", .id, loads: 1, counts, &table) { IDState() }
    try measure("sessions", .person, loads: 3, counts, &table) { PersonState() }
    try measure("windows", .tuple, loads: 5, counts, &table) { WindowState() }
    table.print(json: report.json)
  }

  private func measure<State: KeyedState & ~Copyable>(
    _ name: String, _ key: KeyedFrames.Key, loads: Int, _ counts: [Int], _ table: inout Report,
    _ make: () -> State
  ) throws {
    var figures = Figures()
    for count in counts {
      var state = make()
      let before = ResidentMemory.bytes()
      var seed: UInt64 = 100
      for first in stride(from: 0, to: count, by: 500_000) {
        let frames = KeyedFrames(
          key: key, keyCount: count, eventCount: min(500_000, count - first),
          eventsPerSecond: 1_000_000_000, firstInTurn: first
        ).make()
        for frame in frames { try state.take(frame) }
      }
      let footprint = max(4096, ResidentMemory.bytes() - before)
      let perWindow = try state.bytesOfAnotherWindow(keyCount: count)
      var costs: [Double] = []
      var bares: [Double] = []
      for _ in 0..<3 {
        seed += 1
        let frames = KeyedFrames(
          key: key, keyCount: count, eventCount: events, eventsPerSecond: 1_000_000_000, seed: seed
        ).make()
        let started = CPUTime.thread()
        for frame in frames { try state.take(frame) }
        costs.append((CPUTime.thread() - started) / Double(events) * 1e9)
        bares.append(BareLoads.nanoseconds(bytes: footprint, loads: loads, times: events))
      }
      figures.cost.append(median(costs))
      figures.bare.append(median(bares))
      let label = "\(name)_\(count)"
      table.add("\(label)_ns", median(costs), "ns")
      table.add("\(label)_bare_loads_ns", median(bares), "ns")
      if count >= 1_000_000 {
        table.add("\(label)_bytes_per_key", Double(footprint) / Double(count), "bytes")
        if let perWindow {
          table.add(
            "\(label)_bytes_per_key_and_window", Double(perWindow) / Double(count), "bytes",
            goal: "100")
        }
      }
    }
    let left = counts.indices.map(figures.left)
    table.add(
      "\(name)_largest_to_smallest_ratio", (left.max() ?? 0) / max(0.1, left.min() ?? 1), "",
      goal: "1.25")
  }
}

/// State by key that frames are put into.
private protocol KeyedState: ~Copyable {
  mutating func take(_ frame: KeyedFrames.Frame) throws
  /// What one more window of every key takes, bytes; nil where there are no windows.
  mutating func bytesOfAnotherWindow(keyCount: Int) throws -> Int?
}

extension KeyedState where Self: ~Copyable {
  mutating func bytesOfAnotherWindow(keyCount: Int) throws -> Int? { nil }
}

private struct IDState: ~Copyable, KeyedState {
  private var dedupe = Deduplicator(
    groups: 0..<256, horizon: 86_400_000_000, countMax: 100_000_000)
  private var verdicts = Verdicts()

  @inline(never)
  mutating func take(_ frame: KeyedFrames.Frame) throws {
    try frame.bytes.withUnsafeBytes { bytes in
      let view = try FrameView(bytes)
      let moment = FrameMoment(
        sequence: 1, logTime: frame.logTime, watermark: frame.logTime - 1_000_000)
      dedupe.advance(to: moment)
      verdicts.reset(count: view.count)
      try dedupe.process(view, at: moment, verdicts: &verdicts)
    }
  }
}

private struct PersonState: ~Copyable, KeyedState {
  private var state = SessionState()

  mutating func take(_ frame: KeyedFrames.Frame) throws { try state.take(frame) }
}

private struct WindowState: ~Copyable, KeyedState {
  private var windows = HoppingWindows(
    size: 10_000_000, slide: 10_000_000, lateness: 60_000_000, tupleCountMax: 20_000_000)

  @inline(never)
  mutating func take(_ frame: KeyedFrames.Frame) throws {
    try frame.bytes.withUnsafeBytes { bytes in
      windows.take(
        try FrameView(bytes),
        at: FrameMoment(
          sequence: 1, logTime: frame.logTime, watermark: frame.logTime - 60_000_000))
    }
  }

  mutating func bytesOfAnotherWindow(keyCount: Int) throws -> Int? {
    let before = ResidentMemory.bytes()
    for first in stride(from: 0, to: keyCount, by: 500_000) {
      let frames = KeyedFrames(
        key: .tuple, keyCount: keyCount, eventCount: min(500_000, keyCount - first),
        eventsPerSecond: 1_000_000_000, start: 1_700_000_020_000_000, firstInTurn: first
      ).make()
      for frame in frames { try take(frame) }
    }
    return ResidentMemory.bytes() - before
  }
}

/// Random loads in memory, as few instructions as can be beside them.
enum BareLoads {
  /// - Parameters:
  ///   - bytes: of memory.
  ///   - loads: that depend on each other, each in its own share of the memory; the next time need not
  ///     wait for them.
  /// - Returns: nanoseconds each time.
  @inline(never)
  static func nanoseconds(bytes: Int, loads: Int, times: Int) -> Double {
    let lines = max(16, bytes / 64)
    let share = max(1, lines / loads)
    let memory = UnsafeMutableRawPointer.allocate(byteCount: share * loads * 64, alignment: 64)
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: share * loads * 64)
    defer { memory.deallocate() }
    var random = FrameWorkload.Random(state: 3)
    var sum: UInt64 = 0
    let started = CPUTime.thread()
    for _ in 0..<times {
      var bits = random.next()
      for load in 0..<loads {
        // The high half of the product: where in the share, without a division.
        let place = Int(bits.multipliedFullWidth(by: UInt64(share)).high)
        let value = memory.load(fromByteOffset: (load &* share &+ place) &* 64, as: UInt64.self)
        bits = bits &* 0x9e37_79b9_7f4a_7c15 &+ value &+ 0x1234_5678_9abc_def1
      }
      sum &+= bits
    }
    let spent = CPUTime.thread() - started
    precondition(sum != 1, "the loads are not left out")
    return spent / Double(times) * 1e9
  }
}
