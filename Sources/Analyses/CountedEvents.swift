/// The events of a frame that count, in the frame's order: neither copies nor too late, and within the times that
/// an analysis wants to see.
///
/// Filled and read again frame after frame; its buffers only grow.
public struct CountedEvents: ~Copyable {
  public private(set) var count = 0
  @usableFromInline var indices: UnsafeMutablePointer<UInt32>
  @usableFromInline var eventTimes: UnsafeMutablePointer<Int64>
  private var capacity = 1024

  public init() {
    indices = .allocate(capacity: capacity)
    eventTimes = .allocate(capacity: capacity)
  }

  deinit {
    indices.deallocate()
    eventTimes.deallocate()
  }

  /// The place in the frame of the event with a number below ``count``.
  @inlinable public func index(_ number: Int) -> Int { Int(indices[number]) }

  /// When it happened, corrected (``WindowPolicy/eventTime(stated:receivedAt:logTime:)``), microseconds since
  /// the epoch.
  @inlinable public func time(_ number: Int) -> Int64 { eventTimes[number] }

  /// Empties it, with room for so many.
  mutating func reset(capacity wanted: Int) {
    count = 0
    guard wanted > capacity else { return }
    indices.deallocate()
    eventTimes.deallocate()
    capacity = wanted * 2
    indices = .allocate(capacity: capacity)
    eventTimes = .allocate(capacity: capacity)
  }

  /// Takes those of another one that are to be kept, in the same order.
  public mutating func take(
    _ other: borrowing CountedEvents, where isKept: (_ index: Int) -> Bool
  ) {
    reset(capacity: other.count)
    for number in 0..<other.count {
      let index = other.index(number)
      if isKept(index) { append(index, at: other.time(number)) }
    }
  }

  @inline(__always)
  mutating func append(_ index: Int, at time: Int64) {
    indices[count] = UInt32(truncatingIfNeeded: index)
    eventTimes[count] = time
    count &+= 1
  }
}
