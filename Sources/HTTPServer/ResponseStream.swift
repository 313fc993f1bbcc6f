import NIOCore
import Synchronization

/// The stream has ended: the client went away or the server drains.
public struct StreamClosed: Error, Sendable {
  public init() {}
}

/// The writing end of a streamed response body.
///
/// ``write(_:)`` returns once the bytes are on their way *and* the channel takes more, so a
/// producer that reads the newest state after each write gives a slow reader the newest state and
/// never a backlog. At most one write is in the channel beyond its small buffer.
public final class ResponseStream: Sendable {
  private struct State {
    var isWritable = true
    var isClosed = false
    var waiters: [CheckedContinuation<Bool, Never>] = []
  }

  private let state = Mutex(State())
  private let connection: Connection
  private let exchange: UInt64

  init(connection: Connection, exchange: UInt64) {
    self.connection = connection
    self.exchange = exchange
  }

  /// Whether the channel would take bytes now without keeping them.
  public var isWritable: Bool { state.withLock { $0.isWritable && !$0.isClosed } }

  /// True once the client has gone or the server drains.
  public var isClosed: Bool { state.withLock { $0.isClosed } }

  /// Sends `bytes` and waits until the channel takes more.
  ///
  /// - Throws: ``StreamClosed``.
  public func write(_ bytes: [UInt8]) async throws {
    if isClosed { throw StreamClosed() }
    let isOpen = await withCheckedContinuation { (continuation: CheckedContinuation<Bool, Never>) in
      connection.eventLoop.execute {
        self.connection.writeChunk(bytes, exchange: self.exchange)
        self.wait(with: continuation)
      }
    }
    if !isOpen { throw StreamClosed() }
  }

  /// Sends the UTF-8 of `text`; see ``write(_:)-([UInt8])``.
  public func write(_ text: String) async throws { try await write(Array(text.utf8)) }

  private func wait(with continuation: CheckedContinuation<Bool, Never>) {
    let answer: Bool? = state.withLock { state in
      if state.isClosed { return false }
      if state.isWritable { return true }
      state.waiters.append(continuation)
      return nil
    }
    if let answer { continuation.resume(returning: answer) }
  }

  func writabilityChanged(to isWritable: Bool) {
    let ready = state.withLock { state -> [CheckedContinuation<Bool, Never>] in
      state.isWritable = isWritable
      guard isWritable else { return [] }
      defer { state.waiters = [] }
      return state.waiters
    }
    for continuation in ready { continuation.resume(returning: true) }
  }

  func close() {
    let waiting = state.withLock { state -> [CheckedContinuation<Bool, Never>] in
      state.isClosed = true
      defer { state.waiters = [] }
      return state.waiters
    }
    for continuation in waiting { continuation.resume(returning: false) }
  }
}
