import CMemory

/// What cache misses cost on this machine: a loop that loads as many lines per event as a table does, with
/// as much work beside them.
///
/// Lines are asked for as the tables of the engine ask for them: while it is at work on one event the loop asks
/// for the last lines of one eight events later, for those before them of one sixteen later, and so on; the
/// lines of a level lie where a line of the level before says, and the last one is written. The same loop over
/// so few lines that they stay in the first-level cache has the work and no misses: the difference is what
/// misses cost, those of the address tables included, where they can't be hidden.
struct BareLoads {
  /// Lines per event and level.
  let levels: [Int]
  /// Memory of so many bytes and more lies on large pages.
  let largePagesFrom: Int
  private let work: Int
  private let base: Double

  private static let fewBytes = 8192
  private static let ahead = 8
  private static let stateMask = 63
  private static let times = 1_000_000

  /// - Parameter nanosecondsAtFewest: what an event takes without misses; as long the work takes.
  init(levels: [Int], largePagesFrom: Int, nanosecondsAtFewest: Double) {
    self.levels = levels
    self.largePagesFrom = largePagesFrom
    func measure(_ work: Int) -> Double {
      median((0..<3).map { _ in Self.nanoseconds(levels, false, bytes: Self.fewBytes, work: work) })
    }
    let none = measure(0)
    let some = measure(100)
    work = max(0, Int((nanosecondsAtFewest - none) / max(0.01, some - none) * 100))
    base = measure(work)
  }

  /// - Parameter bytes: of memory.
  /// - Returns: nanoseconds per event.
  func misses(bytes: Int) -> Double {
    let all = median(
      (0..<3).map { _ in Self.nanoseconds(levels, bytes >= largePagesFrom, bytes: bytes, work: work)
      })
    return max(0, all - base)
  }

  @inline(never)
  private static func nanoseconds(
    _ levels: [Int], _ isOnLargePages: Bool, bytes: Int, work: Int
  ) -> Double {
    let loads = levels.reduce(0, +)
    let share = max(1, bytes / 64 / loads)
    let byteCount = share * loads * 64
    let memory = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 1 << 21)
    if isOnLargePages { smartcontent_want_large_pages(memory, byteCount) }
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    defer { memory.deallocate() }
    var random = FrameWorkload.Random(state: 3)
    var states = [UInt64](repeating: 0, count: stateMask + 1)
    var sum: UInt64 = 0
    /// Where a load of a level lies: the high half of a product, without a division.
    @inline(__always)
    func place(_ table: Int, _ bits: UInt64) -> UnsafeMutableRawPointer {
      let line = Int(bits.multipliedFullWidth(by: UInt64(share)).high)
      return memory + (table &* share &+ line) &* 64
    }
    let started = CPUTime.thread()
    states.withUnsafeMutableBufferPointer { states in
      for step in 0..<times {
        states[step & stateMask] = random.next()
        var table = 0
        for level in 0...levels.count {
          let event = step &- level &* ahead
          if event < 0 { break }
          var bits = states[event & stateMask]
          if level > 0 {
            var loaded: UInt64 = 0
            var line = memory
            for load in 0..<levels[level &- 1] {
              line = place(table &+ load, bits)
              loaded &+= line.load(as: UInt64.self)
              bits = bits &* 0x9e37_79b9_7f4a_7c15 &+ 0x1234_5678_9abc_def1
            }
            table &+= levels[level &- 1]
            // Always nought, which the processor does not know: the next level waits.
            bits &+= loaded
            states[event & stateMask] = bits
            if level == levels.count { line.storeBytes(of: 0, as: UInt64.self) }
          }
          if level < levels.count {
            for load in 0..<levels[level] {
              smartcontent_prefetch(place(table &+ load, bits))
              bits = bits &* 0x9e37_79b9_7f4a_7c15 &+ 0x1234_5678_9abc_def1
            }
            continue
          }
          var a = bits
          var b = a &+ 1
          for _ in 0..<work {
            a = a &* 0x9e37_79b9_7f4a_7c15 ^ a >> 29
            b = (b ^ b >> 31) &+ 0x1234_5678_9abc_def1
          }
          sum &+= a ^ b
        }
      }
    }
    let spent = CPUTime.thread() - started
    precondition(sum != 1, "the loads are not left out")
    return spent / Double(times) * 1e9
  }
}
