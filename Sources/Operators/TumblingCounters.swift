/// Counts per group in tumbling windows, where the groups are known and numbered.
///
/// One dense array: a row of counters per window, from the earliest to the latest that has been
/// counted in. A window's number is a multiplication by the reciprocal of its length (Granlund and
/// Montgomery 1994, the round-up method, exact here for every span below 2^63 µs), so counting has no
/// branch that depends on the event. Counters of two tables add up in any order. Cost: 2 ns per
/// count, 8 bytes per group and window.
public struct TumblingCounters: ~Copyable {
  /// Microseconds.
  public let length: Int64
  /// Groups are 0 to `groupCount - 1`.
  public let groupCount: Int
  /// The most windows from the earliest to the latest.
  public let windowCountMax: Int
  /// Start of the first window, microseconds since the epoch; of no meaning while there is none.
  public private(set) var start: Int64 = 0
  public private(set) var windowCount = 0

  private let reciprocal: UInt64
  private let shift: UInt64
  /// Length of all windows, microseconds.
  private var span: UInt64 = 0
  private var capacity = 0
  private var cells: UnsafeMutablePointer<Int64>

  public init(length: Int64, groupCount: Int, windowCountMax: Int) {
    precondition(length > 0 && groupCount > 0 && windowCountMax > 0, "a declaration is checked")
    precondition(
      Int64.max / length / 2 > Int64(windowCountMax), "the span of all windows is a time")
    self.length = length
    self.groupCount = groupCount
    self.windowCountMax = windowCountMax
    let divisor = UInt64(length)
    shift = UInt64(63 - divisor.leadingZeroBitCount)
    // The power of two itself would need one bit more than there is.
    let isPowerOfTwo = divisor & (divisor - 1) == 0
    let power: UInt64 = 1 << shift
    reciprocal =
      isPowerOfTwo ? .max : divisor.dividingFullWidth((power, 0)).quotient &+ 1
    cells = .allocate(capacity: 1)
  }

  deinit { cells.deallocate() }

  /// The start of the window that contains `time`.
  public func start(of time: Int64) -> Int64 {
    let remainder = time % length
    return remainder < 0 ? time - remainder - length : time - remainder
  }

  /// The start of a window, microseconds since the epoch.
  public func start(window: Int) -> Int64 { start + Int64(window) * length }

  /// The window that contains `time`, or -1 where it is outside of those that there are.
  @inline(__always)
  func window(of time: Int64) -> Int {
    let offset = UInt64(bitPattern: time &- start)
    return offset < span ? divide(offset) : -1
  }

  @inline(__always)
  private func divide(_ offset: UInt64) -> Int {
    // For a power of two the reciprocal is one too small, which the one more here makes good.
    let factor = reciprocal == .max ? offset &+ 1 : offset
    return Int(
      truncatingIfNeeded: reciprocal.multipliedFullWidth(by: factor).high &>> shift)
  }

  /// Counts `increment` events of a group at a time.
  ///
  /// - Returns: false, and nothing is counted, where the windows would become more than
  ///   ``windowCountMax``.
  @inline(__always)
  public mutating func add(group: Int, time: Int64, _ increment: Int64 = 1) -> Bool {
    var window = window(of: time)
    if window < 0 {
      window = open(time)
      if window < 0 { return false }
    }
    cells[window &* groupCount &+ group] &+= increment
    return true
  }

  /// - Precondition: window and group are within their counts.
  @inline(__always)
  mutating func add(group: Int, window: Int, _ increment: Int64) {
    cells[window &* groupCount &+ group] &+= increment
  }

  /// The counters of a window, one per group; valid until the next change.
  public func counts(window: Int) -> UnsafeBufferPointer<Int64> {
    precondition(window >= 0 && window < windowCount, "a window that there is")
    return UnsafeBufferPointer(start: cells + window * groupCount, count: groupCount)
  }

  /// Adds another table's counters of windows that start at `from` or later.
  ///
  /// - Returns: the events of windows that were passed over, because they start earlier or because
  ///   there would be too many windows.
  public mutating func merge(_ other: borrowing TumblingCounters, from: Int64 = .min) -> Int64 {
    precondition(other.length == length && other.groupCount == groupCount, "the same windows")
    var left: Int64 = 0
    for window in 0..<other.windowCount {
      let counts = other.counts(window: window)
      let start = other.start(window: window)
      let mine = start < from ? -1 : open(start)
      for group in 0..<groupCount {
        if mine < 0 {
          left &+= counts[group]
        } else {
          cells[mine &* groupCount &+ group] &+= counts[group]
        }
      }
    }
    return left
  }

  /// Drops the windows that start before `start`.
  public mutating func removeWindows(before start: Int64) {
    if windowCount == 0 || start <= self.start { return }
    let dropped = Int(
      min(Int64(windowCount), (start - self.start + length - 1) / length))
    let rest = windowCount - dropped
    cells.update(from: cells + dropped * groupCount, count: rest * groupCount)
    self.start += Int64(dropped) * length
    set(windowCount: rest)
  }

  public mutating func removeAll() { set(windowCount: 0) }

  private mutating func set(windowCount: Int) {
    self.windowCount = windowCount
    span = UInt64(windowCount) * UInt64(length)
  }

  /// Makes the window that contains `time` and all between it and those that there are.
  ///
  /// - Returns: its number, or -1 where there would be too many.
  @inline(never)
  mutating func open(_ time: Int64) -> Int {
    let known = window(of: time)
    if known >= 0 { return known }
    let wanted = start(of: time)
    if windowCount == 0 { start = wanted }
    let first = min(start, wanted)
    let last = max(start + Int64(max(0, windowCount - 1)) * length, wanted)
    let (distance, isOver) = last.subtractingReportingOverflow(first)
    guard !isOver, distance / length < Int64(windowCountMax) else { return -1 }
    let count = Int(distance / length) + 1
    let before = Int((start - first) / length)
    if count > capacity || before > 0 {
      let roomy = max(8, count + count / 2)
      let larger = UnsafeMutablePointer<Int64>.allocate(capacity: roomy * groupCount)
      larger.initialize(repeating: 0, count: before * groupCount)
      (larger + before * groupCount).update(from: cells, count: windowCount * groupCount)
      cells.deallocate()
      cells = larger
      capacity = roomy
    }
    let filled = (before + windowCount) * groupCount
    (cells + filled).initialize(repeating: 0, count: count * groupCount - filled)
    start = first
    set(windowCount: count)
    return Int((wanted - first) / length)
  }
}
