import Glibc
import Synchronization

/// What is to be done when the test process ends: last registered, first done.
enum TestExit {
  private static let work = Mutex<[@Sendable () -> Void]>([])

  static func atEnd(_ body: @escaping @Sendable () -> Void) {
    _ = registered
    work.withLock { $0.append(body) }
  }

  private static let registered: Bool = {
    atexit {
      let work = TestExit.work.withLock { $0 }
      for body in work.reversed() { body() }
    }
    return true
  }()
}
