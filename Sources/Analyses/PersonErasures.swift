public import Events
public import Operators

/// Who was erased, and until when nothing of them has a say.
///
/// An erasure is an event of the log, on the erased person's own key, and a fact for those who read the log from its
/// beginning. It covers what was stored or received before it:
/// also what other streams have of the person's devices, and what waited in a spool meanwhile. What comes later is of
/// somebody nobody knows.
public struct PersonErasures: Sendable {
  static let countMax = 1_000_000

  private var times: [Key128: Int64] = [:]

  public init() {}

  public var isEmpty: Bool { times.isEmpty }

  /// Of each person the time of the erasure, microseconds since the epoch.
  public var all: [Key128: Int64] { times }

  /// Not the same once somebody else is erased.
  public var version: (count: Int, newest: Int64) { (times.count, times.values.max() ?? .min) }

  /// - Parameter time: microseconds since the epoch.
  public mutating func note(_ person: Key128, at time: Int64) {
    times[person] = max(times[person] ?? .min, time)
    if times.count > Self.countMax { forgetOldest() }
  }

  /// Notes an erasure.
  ///
  /// - Returns: false where the event is none.
  public mutating func take(_ frame: FrameView, _ index: Int, at moment: FrameMoment) -> Bool {
    guard frame.kind(index) == EventKind.erasure.rawValue else { return false }
    note(frame.person(index), at: moment.logTime)
    return true
  }

  /// What is so long ago is behind all streams.
  private mutating func forgetOldest() {
    let order = times.sorted { ($0.value, $0.key) < ($1.value, $1.key) }
    for (person, _) in order.prefix(Self.countMax / 10) { times[person] = nil }
  }

  /// Whether some of the events are covered by an erasure.
  public func touch(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment
  ) -> Bool {
    guard !times.isEmpty else { return false }
    for number in 0..<counted.count where cover(frame, counted.index(number), at: moment) {
      return true
    }
    return false
  }

  /// Whether the event is of somebody who was erased since.
  public func cover(_ frame: FrameView, _ index: Int, at moment: FrameMoment) -> Bool {
    guard frame.kind(index) != EventKind.erasure.rawValue else { return false }
    return isCovered(frame.person(index), frame, index, moment)
      || isCovered(frame.user(index), frame, index, moment)
  }

  private func isCovered(
    _ person: Key128, _ frame: FrameView, _ index: Int, _ moment: FrameMoment
  ) -> Bool {
    guard let erased = times[person] else { return false }
    return frame.receivedAt(index) < erased || moment.logTime < erased
  }
}
