import ArgumentParser
import Events
import Foundation
import Operators
import Views

/// What an event costs from a thousand keys to ten million, apart from cache misses, and what a key
/// costs in memory.
///
/// Three tables by key: ids of deduplication, histories of persons, and counters of windows by tuple.
/// ``KeyRounds`` give each key the same events at every number of keys. Rounds pass until state has its
/// size; then whole windows are measured, with their closing and all that leaves state. Beside it runs a
/// bare loop (``BareLoads``) over as much memory, which touches as many cache lines per event: what it
/// takes longer than over a few lines is what the misses cost. What is left of an event's time is
/// its cost apart from them. Where instructions are counted instead (`valgrind --tool=callgrind
/// --toggle-collect='*putMeasured*'` and `--without-misses`) there are no misses in it to begin with. Frames are in memory, checksum and decoding inside, sinks outside; one thread,
/// its processor time.
struct FlatBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "flat", abstract: "Cost per event from 1,000 to 10 M keys; memory per key.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Events per measurement; at least a whole window.") var events = 1_000_000
  @Option(help: "The fewest keys.") var keysMin = 1_000
  @Option(help: "The most keys.") var keysMax = 10_000_000
  @Option(help: "One table alone: dedupe, sessions or windows.") var only: String?
  @Option(help: "Measurements of each, of which the median counts.") var repeats = 3
  @Flag(help: "Leave out the bare loop; what is measured is cost and misses together.")
  var withoutMisses = false

  func run() throws {
    var table = Report("Cost per event by number of keys")
    // First, as long as no table has left memory behind that the next one takes.
    if only == nil || only == WindowState.name {
      let bytes = try WindowState.bytesPerKeyAndWindow(keyCount: min(keysMax, 1_000_000))
      table.add("\(WindowState.name)_bytes_per_key_and_window", bytes, "bytes", goal: "100")
    }
    try measure(&table) { IDState() }
    try measure(&table) { PersonState() }
    try measure(&table) { WindowState() }
    table.print(json: report.json)
  }

  private func measure<State: KeyedState & ~Copyable>(
    _ table: inout Report, _ make: () -> State
  ) throws {
    if let only, only != State.name { return }
    var counts = [keysMax]
    while let last = counts.last, last / 10 >= keysMin { counts.append(last / 10) }
    var costs: [Double] = []
    var bytesPerKey = 0.0
    // The most keys first: what a key takes is measured where it can be.
    for count in counts {
      let before = ResidentMemory.bytes()
      var state = make()
      var rounds = KeyRounds(
        key: State.key, keyCount: count, freshEighths: State.freshEighths,
        roundTime: State.roundTime)
      var spent: Double = 0
      for _ in 0..<State.warmRounds { try pass(count, &rounds, &state, &spent) }
      if bytesPerKey == 0 {
        bytesPerKey = max(16, Double(ResidentMemory.bytes() - before) / Double(count))
      }
      // Whoever counts instructions begins here.
      FileHandle.standardError.write(Data("\(State.name): \(count) keys are in state\n".utf8))
      let window = count * State.measuredRounds
      let measured = (events + window - 1) / window * window
      var times: [Double] = []
      for _ in 0..<repeats {
        spent = 0
        try pass(measured, &rounds, &state, &spent, isMeasured: true)
        times.append(spent / Double(measured) * 1e9)
      }
      costs.append(median(times))
    }
    if withoutMisses {
      for (count, cost) in zip(counts, costs).reversed() {
        table.add("\(State.name)_\(count)_ns", cost, "ns")
      }
      return
    }
    let fewest = costs.last ?? 0
    let bare = BareLoads(
      levels: State.loads, largePagesFrom: State.largePagesFrom, nanosecondsAtFewest: fewest)
    var left: [Double] = []
    for (index, count) in counts.enumerated().reversed() {
      let misses = bare.misses(bytes: Int(bytesPerKey * Double(count)))
      left.append(costs[index] - misses)
      table.add("\(State.name)_\(count)_ns", costs[index], "ns")
      table.add("\(State.name)_\(count)_misses_ns", misses, "ns")
    }
    table.add("\(State.name)_bytes_per_key", bytesPerKey, "bytes")
    table.add(
      "\(State.name)_largest_to_smallest_ratio",
      (left.max() ?? 0) / max(0.1, left.min() ?? 1), "", goal: "1.25")
  }

  /// Puts so many events in, and adds the seconds that they took. Frames are made a piece at a time.
  private func pass<State: KeyedState & ~Copyable>(
    _ eventCount: Int, _ rounds: inout KeyRounds, _ state: inout State, _ spent: inout Double,
    isMeasured: Bool = false
  ) throws {
    for first in stride(from: 0, to: eventCount, by: 250_000) {
      let frames = rounds.make(min(250_000, eventCount - first))
      let started = CPUTime.thread()
      if isMeasured {
        try Self.putMeasured(frames, into: &state)
      } else {
        for frame in frames { try state.take(frame) }
      }
      spent += CPUTime.thread() - started
    }
  }

  /// A function of its own, so that its instructions can be counted by themselves.
  @inline(never)
  private static func putMeasured<State: KeyedState & ~Copyable>(
    _ frames: [KeyedFrames.Frame], into state: inout State
  ) throws {
    for frame in frames { try state.take(frame) }
  }
}

/// State by key that frames are put into.
private protocol KeyedState: ~Copyable {
  static var name: String { get }
  static var key: KeyedFrames.Key { get }
  static var freshEighths: Int { get }
  /// Microseconds of event time.
  static var roundTime: Int64 { get }
  /// Rounds until state has its size.
  static var warmRounds: Int { get }
  /// Rounds in which everything has happened that happens per window.
  static var measuredRounds: Int { get }
  /// Cache lines per event that lie anywhere, by what must be known before. Lines that are read or written
  /// in order are not counted.
  static var loads: [Int] { get }
  /// From so many bytes of state on most of them lie on large pages.
  static var largePagesFrom: Int { get }

  mutating func take(_ frame: KeyedFrames.Frame) throws
}

/// Ids are remembered for two rounds; a quarter of the events are copies.
private struct IDState: ~Copyable, KeyedState {
  static let name = "dedupe"
  static let key = KeyedFrames.Key.id
  static let freshEighths = 6
  static let roundTime: Int64 = 1_000_000_000
  static let warmRounds = 5
  static let measuredRounds = 1
  static let loads = [1]
  /// The 256 tables have 2 MiB each.
  static let largePagesFrom = 256 << 21

  private var dedupe = Deduplicator(
    groups: 0..<256, horizon: 2 * IDState.roundTime, countMax: 100_000_000)
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

/// A touch of each person every eight minutes, on average: sessions of some four touches, with a gap of
/// ten minutes.
///
/// Lines: place, record, last touch (40 bytes: 1.5), first of the session (0.7), the larger block of every
/// other one (1); and 0.8 reviews with a record and a session (4).
private struct PersonState: ~Copyable, KeyedState {
  static let name = "sessions"
  static let key = KeyedFrames.Key.person
  static let freshEighths = 1
  static let roundTime: Int64 = 480_000_000
  static let warmRounds = 6
  static let measuredRounds = 1
  static let loads = [2, 3, 4]
  static let largePagesFrom = 1 << 21

  private var state = SessionState()

  mutating func take(_ frame: KeyedFrames.Frame) throws { try state.take(frame) }
}

/// Two events of each tuple in each window of ten seconds.
///
/// Lines: place, slot (48 bytes: 1.5), text (62 bytes: 1.75), place and row (56 bytes: 1.75) in the pane; and for each
/// row, two events, three times the total (80 bytes: 2) and once the slot when the window closes and the pane
/// leaves.
private struct WindowState: ~Copyable, KeyedState {
  static let name = "windows"
  static let key = KeyedFrames.Key.tuple
  static let freshEighths = 1
  static let roundTime: Int64 = 5_000_000
  static let warmRounds = 8
  static let measuredRounds = 2
  static let loads = [3, 4, 4]
  static let largePagesFrom = 1 << 21

  private var windows: HoppingWindows
  private var rows: [TrendRow] = []
  private var dimensions: [DimensionEntry] = []

  /// How far the watermark is behind.
  private let delay: Int64

  init(delay: Int64 = 1_000_000, lateness: Int64 = 5_000_000) {
    self.delay = delay
    windows = HoppingWindows(
      size: 10_000_000, slide: 10_000_000, lateness: lateness, tupleCountMax: 20_000_000)
  }

  @inline(never)
  mutating func take(_ frame: KeyedFrames.Frame) throws {
    try frame.bytes.withUnsafeBytes { bytes in
      windows.take(
        try FrameView(bytes),
        at: FrameMoment(
          sequence: 1, logTime: frame.logTime, watermark: frame.logTime - delay))
    }
    windows.drain(into: &rows, dimensions: &dimensions)
    rows.removeAll(keepingCapacity: true)
    dimensions.removeAll(keepingCapacity: true)
  }

  /// What one more window of a key takes: two are filled, of which none is closed, and the second counts.
  /// Frames are small beside it.
  static func bytesPerKeyAndWindow(keyCount: Int) throws -> Double {
    var state = WindowState(delay: 60_000_000, lateness: 60_000_000)
    var rounds = KeyRounds(
      key: .tuple, keyCount: keyCount, freshEighths: 0, roundTime: 10_000_000)
    var before = 0
    for window in 0..<2 {
      if window == 1 { before = ResidentMemory.bytes() }
      for first in stride(from: 0, to: keyCount, by: 10_000) {
        for frame in rounds.make(min(10_000, keyCount - first)) { try state.take(frame) }
      }
    }
    let bytes = ResidentMemory.bytes() - before
    guard bytes > 0 else { throw BenchError("a window took no memory that was not there before") }
    return Double(bytes) / Double(keyCount)
  }
}
