import Synchronization

/// Says "stop" to a loop on another thread, and lets the loop wait for it with a time-out.
public final class StopFlag: Sendable {
  private let flag = Atomic<Bool>(false)
  private let bell = Bell()

  public init() {}

  public var isSet: Bool { flag.load(ordering: .acquiring) }

  public func set() {
    flag.store(true, ordering: .releasing)
    bell.ring()
  }

  /// Waits for at most `milliseconds`; returns early, with true, when the flag is set.
  public func wait(milliseconds: Int) -> Bool {
    if !isSet { bell.wait(milliseconds: milliseconds) }
    guard isSet else { return false }
    // The bell wakes one; there may be another one who waits.
    bell.ring()
    return true
  }
}
