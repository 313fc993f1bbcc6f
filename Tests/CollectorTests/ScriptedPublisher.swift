import Events
import Foundation
import Ports
import Testing

/// A log in memory whose acknowledgements the test gives.
final class ScriptedPublisher: FramePublisher, @unchecked Sendable {  // All under `condition`.
  struct Published: Sendable {
    let stream: String
    let messageID: String
    let frame: [UInt8]
    let token: UInt64
  }

  let windowMax: Int
  private let condition = NSCondition()
  private var published: [Published] = []
  private var unsettled: [Published] = []
  private var outcomes: [(token: UInt64, outcome: PublishOutcome)] = []
  private var automatic: (@Sendable (Published, UInt64) -> PublishOutcome)?
  private var sequences: [String: UInt64] = [:]
  private var isWoken = false
  private var mostInFlight: [String: Int] = [:]

  /// - Parameter automatic: settles each frame at once; nil leaves it to ``settle(_:)``.
  init(windowMax: Int = 256, automatic: (@Sendable (Published, UInt64) -> PublishOutcome)? = nil) {
    self.windowMax = windowMax
    self.automatic = automatic
  }

  static var storing: ScriptedPublisher {
    ScriptedPublisher { _, sequence in .stored(sequence: sequence, duplicate: false) }
  }

  var inFlight: Int { condition.withLock { unsettled.count + outcomes.count } }
  var frames: [Published] { condition.withLock { published } }
  var unsettledCount: Int { condition.withLock { unsettled.count } }

  /// The most frames that one stream had in flight.
  func mostInFlight(_ stream: String) -> Int { condition.withLock { mostInFlight[stream] ?? 0 } }

  func publish(stream: String, messageID: String, frame: [UInt8], token: UInt64) {
    condition.withLock {
      let one = Published(stream: stream, messageID: messageID, frame: frame, token: token)
      published.append(one)
      if let automatic {
        outcomes.append((token, automatic(one, next(stream))))
      } else {
        unsettled.append(one)
        let count = unsettled.count { $0.stream == stream }
        mostInFlight[stream] = max(mostInFlight[stream] ?? 0, count)
      }
    }
  }

  private func next(_ stream: String) -> UInt64 {
    sequences[stream, default: 0] += 1
    return sequences[stream] ?? 0
  }

  /// Settles all frames in flight.
  func settle(_ outcome: @Sendable (UInt64) -> PublishOutcome) {
    condition.withLock {
      for one in unsettled { outcomes.append((one.token, outcome(next(one.stream)))) }
      unsettled = []
      condition.signal()
    }
  }

  func store(duplicate: Bool = false) {
    settle { .stored(sequence: $0, duplicate: duplicate) }
  }

  /// From now on every frame is settled at once.
  func becomeAutomatic(_ outcome: @escaping @Sendable (Published, UInt64) -> PublishOutcome) {
    condition.withLock { automatic = outcome }
  }

  func poll(timeoutMs: Int) -> [(token: UInt64, outcome: PublishOutcome)] {
    condition.withLock {
      let deadline = Date(timeIntervalSinceNow: Double(timeoutMs) / 1000)
      while outcomes.isEmpty && !isWoken {
        if !condition.wait(until: deadline) { break }
      }
      isWoken = false
      defer { outcomes = [] }
      return outcomes
    }
  }

  func wake() {
    condition.withLock {
      isWoken = true
      condition.signal()
    }
  }
}

extension ScriptedPublisher.Published {
  /// The ids of the frame's events, or an issue where it is not a frame.
  func ids() throws -> [String] {
    try frame.withUnsafeBytes { bytes in
      let view = try FrameView(bytes)
      return (0..<view.count).map { view.id($0) }
    }
  }

  func header() throws -> FrameHeader { try frame.withUnsafeBytes { try FrameView($0).header } }
}
