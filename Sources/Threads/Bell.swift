import Glibc

/// Lets one thread sleep until another one rings, or for a time; rung while nobody sleeps, it wakes the next that
/// will.
///
/// `@unchecked Sendable`: the flag is only used between lock and unlock of the bell's own pthread
/// mutex, whose condition variable the sleeper waits on.
public final class Bell: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let rung = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var isRung = false

  public init() {
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(rung, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(rung)
    pthread_mutex_destroy(mutex)
    rung.deallocate()
    mutex.deallocate()
  }

  public func ring() {
    pthread_mutex_lock(mutex)
    isRung = true
    pthread_cond_signal(rung)
    pthread_mutex_unlock(mutex)
  }

  /// Returns when it rings, at once where it has rung since the last wait, or after the time.
  ///
  /// - Returns: whether it has rung.
  @discardableResult
  public func wait(milliseconds: Int) -> Bool {
    var deadline = timespec()
    clock_gettime(CLOCK_MONOTONIC, &deadline)
    deadline.tv_sec += milliseconds / 1000
    deadline.tv_nsec += milliseconds % 1000 * 1_000_000
    if deadline.tv_nsec >= 1_000_000_000 {
      deadline.tv_sec += 1
      deadline.tv_nsec -= 1_000_000_000
    }
    pthread_mutex_lock(mutex)
    while !isRung && pthread_cond_timedwait(rung, mutex, &deadline) != ETIMEDOUT {}
    let hasRung = isRung
    isRung = false
    pthread_mutex_unlock(mutex)
    return hasRung
  }

  /// Returns when it rings, at once where it has rung since the last wait.
  public func wait() {
    pthread_mutex_lock(mutex)
    while !isRung { pthread_cond_wait(rung, mutex) }
    isRung = false
    pthread_mutex_unlock(mutex)
  }
}
