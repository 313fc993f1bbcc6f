import DemoTraffic
import Synchronization

/// The thread that starts processes again and ends freezes that are over.
final class Tender: Sendable {
  private let nodes: [Node]
  private let shallStop = Atomic(false)
  private let thread = Mutex<WorkerThread?>(nil)

  init(_ nodes: [Node]) { self.nodes = nodes }

  func start() {
    let worker = WorkerThread { [self] in
      while !shallStop.load(ordering: .acquiring) {
        for node in nodes { node.tend() }
        Clock.pause(ms: 10)
      }
    }
    thread.withLock { $0 = worker }
  }

  func stop() {
    shallStop.store(true, ordering: .releasing)
    thread.withLock { $0.take() }?.join()
  }
}
