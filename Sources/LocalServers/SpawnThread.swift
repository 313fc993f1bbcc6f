import CShims
import Glibc
import Synchronization

/// The one thread that starts children which are to die with this process.
///
/// The kernel ties a death signal to the *thread* that started the child (prctl(2),
/// PR_SET_PDEATHSIG): were it a thread of a pool, or the thread that watches the children, the child
/// would be killed when that thread ends. So every such child is started by this thread, which is made
/// at its first use and never ends.
final class SpawnThread: Sendable {
  static let shared = SpawnThread()

  /// Bounded by the number of callers: each waits for its own job.
  private let jobs = Mutex<[@Sendable () -> Void]>([])
  private let available = Semaphore()

  private init() {
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { context in
        smartcontent_name_thread("spawn")
        Unmanaged<SpawnThread>.fromOpaque(context!).takeRetainedValue().loop()
      }, Unmanaged.passRetained(self).toOpaque())
    precondition(code == 0, "no thread to start children from: \(FileSystem.message(code))")
    pthread_detach(thread)
  }

  /// Runs `body` there and returns its result; blocks the calling thread meanwhile.
  func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) -> Value {
    let result = Latch<Value>()
    jobs.withLock { $0.append { result.set(body()) } }
    available.post()
    return result.wait()
  }

  private func loop() -> Never {
    while true {
      available.wait()
      let job = jobs.withLock { $0.isEmpty ? nil : $0.removeFirst() }
      job?()
    }
  }
}
