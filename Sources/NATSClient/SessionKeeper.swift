import Glibc
import Synchronization

/// The thread behind a `NATSConnection`: opens a session whenever there is none.
final class SessionKeeper: @unchecked Sendable {
  // @unchecked: all mutable state is guarded by `monitor`.

  /// Pauses between failed attempts double from the first to the last.
  static let pauseMinMs = 50
  static let pauseMaxMs = 500

  let address: NATSAddress
  private let name: String
  private let monitor = Monitor()
  private var current: NATSSession?
  private var lastFailure = "the first connection is being made"
  private var stopped = false
  private let opened = Atomic<Int>(0)
  private let connected = Atomic<Bool>(false)

  init(_ address: NATSAddress, name: String) {
    self.address = address
    self.name = name
  }

  var isConnected: Bool { connected.load(ordering: .acquiring) }
  var sessionsOpened: Int { opened.load(ordering: .relaxed) }

  func start() {
    let closure = Unmanaged.passRetained(self)
    var thread = pthread_t()
    let status = pthread_create(
      &thread, nil,
      { closure in
        Unmanaged<SessionKeeper>.fromOpaque(closure!).takeRetainedValue().run()
        return nil
      }, closure.toOpaque())
    guard status == 0 else {
      closure.release()
      monitor.locked { lastFailure = "no thread can be started (error \(status))" }
      return
    }
    pthread_detach(thread)
  }

  /// Ends the present session and the thread.
  func stop() {
    let session = monitor.locked {
      stopped = true
      let session = current
      current = nil
      monitor.broadcast()
      return session
    }
    connected.store(false, ordering: .releasing)
    session?.close()
  }

  func session(timeoutMs: Int) throws(NATSError) -> NATSSession {
    let deadline = monotonicMs() + Int64(timeoutMs)
    monitor.lock()
    defer { monitor.unlock() }
    while !stopped {
      if let current, current.isOpen { return current }
      guard timeoutMs > 0, monitor.wait(untilMs: deadline) else { break }
    }
    throw .disconnected(
      servers: address.description, reason: stopped ? "it was closed" : lastFailure)
  }

  private func run() {
    var pauseMs = Self.pauseMinMs
    while waitUntilNeeded() {
      do {
        let session = try NATSSession.open(
          address, name: name, number: sessionsOpened + 1,
          whenEnded: { [weak self] in self?.sessionEnded() })
        guard publish(session) else { return session.close() }
        pauseMs = Self.pauseMinMs
      } catch {
        monitor.lock()
        if case .cannotConnect(_, let reason) = error {
          lastFailure = reason
        } else {
          lastFailure = "\(error)"
        }
        let end = monotonicMs() + Int64(pauseMs)
        while !stopped, monitor.wait(untilMs: end) {}
        monitor.unlock()
        pauseMs = min(2 * pauseMs, Self.pauseMaxMs)
      }
    }
  }

  /// False when there is nothing left to do.
  private func waitUntilNeeded() -> Bool {
    monitor.lock()
    defer { monitor.unlock() }
    while !stopped {
      guard let session = current, session.isOpen else { break }
      monitor.wait()
    }
    // The lost session is let go of here, so that its destruction runs on this thread or a user's.
    current = nil
    return !stopped
  }

  private func publish(_ session: NATSSession) -> Bool {
    monitor.locked {
      guard !stopped else { return false }
      current = session
      opened.add(1, ordering: .relaxed)
      connected.store(session.isOpen, ordering: .releasing)
      monitor.broadcast()
      return true
    }
  }

  private func sessionEnded() {
    monitor.locked {
      lastFailure = "the connection was lost"
      connected.store(false, ordering: .releasing)
      monitor.broadcast()
    }
  }
}
