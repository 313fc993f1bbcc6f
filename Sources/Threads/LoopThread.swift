import Glibc
import Synchronization

/// An operating-system thread that runs one function to its end.
///
/// The data plane blocks in C libraries, so it has threads of its own instead of the cooperative
/// pool's.
public final class LoopThread: Sendable {
  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  private let handle: Mutex<pthread_t?>

  public init(name: String, _ run: @escaping @Sendable () -> Void) {
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
  public func join() {
    if let thread = take() { pthread_join(thread, nil) }
  }

  /// Lets the function end when it will; nobody waits for it.
  public func detach() {
    if let thread = take() { pthread_detach(thread) }
  }

  private func take() -> pthread_t? {
    handle.withLock { handle -> pthread_t? in
      defer { handle = nil }
      return handle
    }
  }
}
