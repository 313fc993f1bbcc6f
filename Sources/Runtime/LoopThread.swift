import Glibc
import Synchronization

/// An operating-system thread that runs one function to its end.
///
/// The data plane blocks in C libraries, so it has threads of its own instead of the cooperative
/// pool's.
final class LoopThread: Sendable {
  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  private let handle: Mutex<pthread_t?>

  init(name: String, _ run: @escaping @Sendable () -> Void) {
    var thread = pthread_t()
    let context = Unmanaged.passRetained(Body(run)).toOpaque()
    let result = pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
        return nil
      }, context)
    precondition(result == 0, "the system gives no further thread (\(name)): errno \(result)")
    handle = Mutex(thread)
  }

  /// Waits until the function has returned.
  func join() {
    let thread = handle.withLock { handle -> pthread_t? in
      defer { handle = nil }
      return handle
    }
    if let thread { pthread_join(thread, nil) }
  }
}

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
  func wait(milliseconds: Int) -> Bool {
    if !isSet { bell.wait(milliseconds: milliseconds) }
    guard isSet else { return false }
    // The bell wakes one; there may be another one who waits.
    bell.ring()
    return true
  }
}
