import Glibc

/// A mutex with a condition on the monotonic clock. `Synchronization.Mutex` has no condition, and
/// thread sanitizers don't know it.
public final class Monitor: @unchecked Sendable {
  // @unchecked: both pointers are immutable and point to objects made for many threads.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  public init() {
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  public func lock() { pthread_mutex_lock(mutex) }
  public func unlock() { pthread_mutex_unlock(mutex) }

  public func locked<R>(_ body: () throws -> R) rethrows -> R {
    lock()
    defer { unlock() }
    return try body()
  }

  /// Wakes every waiter. The lock need not be held, if what they wait for was changed under it.
  public func broadcast() { pthread_cond_broadcast(condition) }

  /// Waits without limit; the lock must be held. May return without a cause.
  public func wait() { pthread_cond_wait(condition, mutex) }

  /// Waits until `untilMs` on the monotonic clock; the lock must be held.
  ///
  /// - Returns: false when the time has come.
  public func wait(untilMs: Int64) -> Bool {
    var time = timespec(
      tv_sec: Int(untilMs / 1_000), tv_nsec: Int(untilMs % 1_000) * 1_000_000)
    return pthread_cond_timedwait(condition, mutex, &time) != ETIMEDOUT
  }
}

/// Milliseconds of the monotonic clock.
public func monotonicMs() -> Int64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
}
