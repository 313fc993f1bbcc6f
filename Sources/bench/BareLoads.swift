/// What cache misses cost on this machine: a loop that loads as many lines per event as a table does, with
/// as much work beside them.
///
/// Events come in groups of 64, as the tables take them: what one event loads does not wait for the
/// others of its group. The lines of a level lie where a line of the level before says, and the last one is
/// written. Then some arithmetic follows, so that a group does not run into the next one. The same loop over so
/// few lines that they stay in the first-level cache has the arithmetic and no misses: the difference is
/// what misses cost, those of the address tables included.
struct BareLoads {
  /// Lines per event and level.
  let levels: [Int]
  private let work: Int
  private let base: Double

  private static let fewBytes = 8192
  private static let groupCount = 64
  private static let times = 1_000_000

  /// - Parameter nanosecondsAtFewest: what an event takes without misses; as long the arithmetic takes.
  init(levels: [Int], nanosecondsAtFewest: Double) {
    self.levels = levels
    let none = Self.nanoseconds(levels, bytes: Self.fewBytes, work: 0)
    let some = Self.nanoseconds(levels, bytes: Self.fewBytes, work: 100)
    let work = max(0, Int((nanosecondsAtFewest - none) / max(0.01, some - none) * 100))
    self.work = work
    base = median((0..<3).map { _ in Self.nanoseconds(levels, bytes: Self.fewBytes, work: work) })
  }

  /// - Parameter bytes: of memory.
  /// - Returns: nanoseconds per event.
  func misses(bytes: Int) -> Double {
    max(0, median((0..<3).map { _ in Self.nanoseconds(levels, bytes: bytes, work: work) }) - base)
  }

  @inline(never)
  private static func nanoseconds(_ levels: [Int], bytes: Int, work: Int) -> Double {
    let loads = levels.reduce(0, +)
    let share = max(1, bytes / 64 / loads)
    let memory = UnsafeMutableRawPointer.allocate(byteCount: share * loads * 64, alignment: 64)
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: share * loads * 64)
    defer { memory.deallocate() }
    var random = FrameWorkload.Random(state: 3)
    var states = [UInt64](repeating: 0, count: groupCount)
    var lasts = [Int](repeating: 0, count: groupCount)
    var sum: UInt64 = 0
    let started = CPUTime.thread()
    states.withUnsafeMutableBufferPointer { states in
      lasts.withUnsafeMutableBufferPointer { lasts in
        for _ in 0..<times / groupCount {
          for event in 0..<groupCount { states[event] = random.next() }
          var table = 0
          for count in levels {
            for event in 0..<groupCount {
              var bits = states[event]
              var loaded: UInt64 = 0
              for load in 0..<count {
                // The high half of the product: where in the share, without a division.
                let place = Int(bits.multipliedFullWidth(by: UInt64(share)).high)
                let offset = ((table &+ load) &* share &+ place) &* 64
                loaded &+= memory.load(fromByteOffset: offset, as: UInt64.self)
                lasts[event] = offset
                bits = bits &* 0x9e37_79b9_7f4a_7c15 &+ 0x1234_5678_9abc_def1
              }
              // Always nought, which the processor does not know: the next level waits.
              states[event] = bits &+ loaded
            }
            table &+= count
          }
          for event in 0..<groupCount {
            memory.storeBytes(of: 0, toByteOffset: lasts[event] &+ 8, as: UInt64.self)
            var a = states[event]
            var b = a &+ 1
            for _ in 0..<work {
              a = a &* 0x9e37_79b9_7f4a_7c15 ^ a >> 29
              b = (b ^ b >> 31) &+ 0x1234_5678_9abc_def1
            }
            sum &+= a ^ b
          }
        }
      }
    }
    let spent = CPUTime.thread() - started
    precondition(sum != 1, "the loads are not left out")
    return spent / Double(times) * 1e9
  }
}
