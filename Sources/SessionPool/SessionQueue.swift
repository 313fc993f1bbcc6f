import Glibc

/// The work that waits for a session, and the threads that do it.
///
/// `@unchecked Sendable`: every stored property is either constant or only touched while `mutex` is
/// held. A session never leaves the thread that opened it.
final class SessionQueue<Session: AnyObject>: @unchecked Sendable {
  /// Gives what tells the caller, which is run once the pools know what became of the session.
  typealias Work = @Sendable (inout Session?) -> () -> Void

  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let changed: UnsafeMutablePointer<pthread_cond_t>
  private let waitingMax: Int
  private let losses: SessionLosses
  /// First come, first served. A ring would save the shifting; there are a few dozen at most.
  private var waiting: [Work] = []
  private var isClosed = false

  init(waitingMax: Int, losses: SessionLosses) {
    self.waitingMax = waitingMax
    self.losses = losses
    mutex = .allocate(capacity: 1)
    changed = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(changed, nil)
  }

  deinit {
    pthread_cond_destroy(changed)
    pthread_mutex_destroy(mutex)
    changed.deallocate()
    mutex.deallocate()
  }

  /// - Returns: false where there is no room, or the pool is gone.
  func add(_ work: @escaping Work) -> Bool {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    guard !isClosed, waiting.count < waitingMax else { return false }
    waiting.append(work)
    pthread_cond_signal(changed)
    return true
  }

  /// Lets the threads end once what waits is done.
  func close() {
    pthread_mutex_lock(mutex)
    isClosed = true
    pthread_cond_broadcast(changed)
    pthread_mutex_unlock(mutex)
  }

  func startThread() {
    var thread = pthread_t()
    let argument = Unmanaged.passRetained(ThreadStart { self.serve() })
    let status = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue().run()
        return nil
      }, argument.toOpaque())
    // EAGAIN: the machine has no room for another thread. A pool without threads would never
    // answer, so this ends the program where it starts.
    precondition(status == 0, "a session thread can't be started (errno \(status))")
    pthread_detach(thread)
  }

  private func serve() {
    var session: Session?
    /// Losses that were known when the session was seen to work last.
    var known = losses.count
    while let work = next() {
      if losses.count != known { session = nil }
      let before = session
      let answer = work(&session)
      if let before, before !== session { losses.add() }
      known = losses.count
      answer()
    }
  }

  /// Blocks until there is work; nil once the pool is closed and empty.
  private func next() -> Work? {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while waiting.isEmpty {
      if isClosed { return nil }
      pthread_cond_wait(changed, mutex)
    }
    return waiting.removeFirst()
  }
}

/// What a new thread runs, in a box that fits through C.
private final class ThreadStart {
  let run: () -> Void
  init(_ run: @escaping () -> Void) { self.run = run }
}
