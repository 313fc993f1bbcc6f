import Synchronization

/// One thread that runs closures in order.
public final class SerialWorker: Sendable {
  private let queue: BoundedQueue<@Sendable () -> Void>
  private let thread: LoopThread

  public init(name: String, queueCountMax: Int = 1024) {
    let queue = BoundedQueue<@Sendable () -> Void>(countMax: queueCountMax)
    self.queue = queue
    thread = LoopThread(name: name) {
      while true {
        let work = queue.popAll()
        if work.isEmpty { return }
        for run in work { run() }
      }
    }
  }

  /// - Returns: false where the queue is full or closed; the closure will not run.
  func submit(_ work: @escaping @Sendable () -> Void) -> Bool { queue.push(work) }

  /// Runs what is queued, then ends the thread.
  public func close() {
    queue.close()
    thread.join()
  }
}
