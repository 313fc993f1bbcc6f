import Glibc

/// sem_t at a fixed address. `@unchecked`: the pointer never changes, and sem_post and sem_wait may be
/// called from any thread.
final class Semaphore: @unchecked Sendable {
  private let pointer: UnsafeMutablePointer<sem_t>

  init() {
    pointer = .allocate(capacity: 1)
    sem_init(pointer, 0, 0)
  }

  deinit {
    sem_destroy(pointer)
    pointer.deallocate()
  }

  func post() { sem_post(pointer) }

  /// Blocks the calling thread.
  func wait() { while sem_wait(pointer) != 0 && errno == EINTR {} }
}
