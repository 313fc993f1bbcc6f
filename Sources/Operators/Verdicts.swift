/// What became of an event.
public enum Verdict: UInt8, CaseIterable, Sendable {
  /// Not refused so far; no event ends with it.
  case accepted = 0
  /// A copy of an event that is remembered.
  case duplicate = 1
  /// Counted before its 10 s window was final.
  case onTime = 2
  /// Counted after it.
  case late = 3
  /// Later than allowed: not counted.
  case tooLate = 4
}

/// A verdict per event of one frame, and how many events had their time moved.
///
/// Filled and read again frame after frame; its buffer only grows.
public struct Verdicts: ~Copyable {
  public private(set) var count = 0
  /// Counted events whose time was later than is possible and became the time of receipt.
  public var clampedFuture = 0
  /// ``Verdict/rawValue`` per event.
  @usableFromInline var values: UnsafeMutablePointer<UInt8>
  private var capacity = 1024

  public init() { values = .allocate(capacity: capacity) }

  deinit { values.deallocate() }

  /// Starts a frame of `count` events, all accepted.
  public mutating func reset(count: Int) {
    if count > capacity {
      values.deallocate()
      capacity = count * 2
      values = .allocate(capacity: capacity)
    }
    values.initialize(repeating: Verdict.accepted.rawValue, count: count)
    self.count = count
    clampedFuture = 0
  }

  public subscript(index: Int) -> Verdict {
    precondition(index >= 0 && index < count, "a verdict is asked for within its frame")
    return Verdict(rawValue: values[index]) ?? .accepted
  }

  /// True where the event was counted, on time or late.
  @inlinable
  public func isCounted(_ index: Int) -> Bool {
    values[index] == Verdict.onTime.rawValue || values[index] == Verdict.late.rawValue
  }

  /// True where the event is a copy.
  @inlinable
  public func isDuplicate(_ index: Int) -> Bool { values[index] == Verdict.duplicate.rawValue }

  /// How many events have each verdict.
  public func tally() -> (duplicate: Int, onTime: Int, late: Int, tooLate: Int) {
    var duplicate = 0
    var onTime = 0
    var late = 0
    var tooLate = 0
    for index in 0..<count {
      let value = values[index]
      duplicate &+= value == Verdict.duplicate.rawValue ? 1 : 0
      onTime &+= value == Verdict.onTime.rawValue ? 1 : 0
      late &+= value == Verdict.late.rawValue ? 1 : 0
      tooLate &+= value == Verdict.tooLate.rawValue ? 1 : 0
    }
    return (duplicate, onTime, late, tooLate)
  }
}
