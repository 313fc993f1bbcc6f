import Glibc

/// A first-in, first-out queue between threads, with a bound and a blocking read.
///
/// `@unchecked Sendable`: every access to the storage is between lock and unlock of its own
/// pthread mutex, whose condition variable the reader sleeps on.
final class BoundedQueue<Element: Sendable>: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let filled = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private let countMax: Int
  private var elements: [Element] = []
  private var isClosed = false

  init(countMax: Int) {
    self.countMax = countMax
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(filled, nil)
  }

  deinit {
    pthread_cond_destroy(filled)
    pthread_mutex_destroy(mutex)
    filled.deallocate()
    mutex.deallocate()
  }

  /// - Returns: false where the queue is full or closed; the element was not taken.
  func push(_ element: Element) -> Bool {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    guard !isClosed, elements.count < countMax else { return false }
    elements.append(element)
    pthread_cond_signal(filled)
    return true
  }

  /// Blocks until there is something.
  ///
  /// - Returns: everything queued, in order; empty once the queue is closed and drained.
  func popAll() -> [Element] {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while elements.isEmpty && !isClosed { pthread_cond_wait(filled, mutex) }
    defer { elements = [] }
    return elements
  }

  func close() {
    pthread_mutex_lock(mutex)
    isClosed = true
    pthread_cond_broadcast(filled)
    pthread_mutex_unlock(mutex)
  }
}
