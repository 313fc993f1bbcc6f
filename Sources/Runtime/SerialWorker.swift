import Synchronization
import Threads

/// One thread that runs closures in order.
public final class SerialWorker: Sendable {
  private let queue: BoundedQueue<@Sendable () -> Void>?
  private let thread: LoopThread?

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

  private init() {
    queue = nil
    thread = nil
  }

  /// One that runs closures at once, on the thread that gives them: for a program that drives its loops
  /// step by step and has no other threads.
  public static func immediate() -> SerialWorker { SerialWorker() }

  /// - Returns: false where the queue is full or closed; the closure will not run.
  func submit(_ work: @escaping @Sendable () -> Void) -> Bool {
    guard let queue else {
      work()
      return true
    }
    return queue.push(work)
  }

  /// Runs what is queued, then ends the thread.
  public func close() {
    queue?.close()
    thread?.join()
  }
}
