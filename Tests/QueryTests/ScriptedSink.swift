import Synchronization

@testable import QueryAPI

/// Collects a live stream's events and can hold its writer back as a slow reader does.
final class ScriptedSink: EventSink {
  struct Event: Equatable, Sendable {
    var id = ""
    var name = ""
    var data = ""
  }

  private struct State {
    var events: [Event] = []
    var comments: [String] = []
    var isHeld = false
    var held: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())

  var events: [Event] { state.withLock { $0.events } }
  var comments: [String] { state.withLock { $0.comments } }

  func hold() { state.withLock { $0.isHeld = true } }

  func release() {
    let held = state.withLock { state in
      state.isHeld = false
      defer { state.held = [] }
      return state.held
    }
    for continuation in held { continuation.resume() }
  }

  func write(_ bytes: [UInt8]) async throws {
    let text = String(decoding: bytes, as: UTF8.self)
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let isHeld = state.withLock { state in
        record(text, in: &state)
        if state.isHeld { state.held.append(continuation) }
        return state.isHeld
      }
      if !isHeld { continuation.resume() }
    }
  }

  private func record(_ text: String, in state: inout State) {
    precondition(text.hasSuffix("\n\n"), "events end with an empty line")
    if text.hasPrefix(":") {
      state.comments.append(String(text.dropFirst(2).dropLast(2)))
      return
    }
    var event = Event()
    for line in text.dropLast(2).split(separator: "\n") {
      if line.hasPrefix("id: ") { event.id = String(line.dropFirst(4)) }
      if line.hasPrefix("event: ") { event.name = String(line.dropFirst(7)) }
      if line.hasPrefix("data: ") { event.data = String(line.dropFirst(6)) }
    }
    state.events.append(event)
  }
}
