import Glibc

/// Hands requests from the pacing thread to the connections' threads. Bounded: a full queue makes
/// the pacing thread wait, and so slows the traffic to what the server takes.
///
/// `@unchecked Sendable`: everything mutable is touched under `mutex` only.
final class RequestQueue: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var waiting: [DemoRequest] = []
  private var head = 0
  private var isEnded = false
  private let countMax: Int

  init(countMax: Int) {
    self.countMax = countMax
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(changed, nil)
  }

  deinit {
    pthread_cond_destroy(changed)
    pthread_mutex_destroy(mutex)
    changed.deallocate()
    mutex.deallocate()
  }

  /// Waits for room.
  func append(_ request: DemoRequest) {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while waiting.count - head >= countMax { pthread_cond_wait(changed, mutex) }
    waiting.append(request)
    pthread_cond_broadcast(changed)
  }

  /// - Returns: nil once the queue has ended and is empty.
  func next() -> DemoRequest? {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while head == waiting.count, !isEnded { pthread_cond_wait(changed, mutex) }
    guard head < waiting.count else { return nil }
    let request = waiting[head]
    head += 1
    if head == waiting.count {
      waiting.removeAll(keepingCapacity: true)
      head = 0
    } else if head >= countMax {
      waiting.removeFirst(head)
      head = 0
    }
    pthread_cond_broadcast(changed)
    return request
  }

  /// Nothing more will be appended.
  func end() {
    pthread_mutex_lock(mutex)
    isEnded = true
    pthread_cond_broadcast(changed)
    pthread_mutex_unlock(mutex)
  }
}
