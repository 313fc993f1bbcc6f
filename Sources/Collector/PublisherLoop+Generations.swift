import Events
import Logging

// From one generation of streams to the next. A sealed stream refuses frames; their events are divided
// among the partitions of the next generation, and their requests wait for all of the new frames.
extension PublisherLoop {
  /// How often a successor is asked for, microseconds.
  private static let askIntervalMicros: Int64 = 250_000

  /// - Returns: false where the lane's stream is sealed and nothing is known to follow.
  func proceed(from lane: Lane) -> Bool {
    lane.partition == nil ? false : proceed(beyond: lane.generation)
  }

  /// - Returns: false where nothing is known to follow the generation.
  func proceed(beyond generation: UInt32) -> Bool {
    let current = lanes.current.generation.number
    if generation < current { return true }
    let now = clock.steadyMicros()
    guard now - askedMicros >= Self.askIntervalMicros else { return false }
    askedMicros = now
    guard let next = target.successor(current) else { return false }
    precondition(next.number > current && !next.streams.isEmpty, "generations rise")
    lanes.proceed(to: next)
    askedMicros = .min / 2
    log.notice(
      "events go to another generation of streams",
      metadata: ["generation": "\(next.number)", "partitions": "\(next.streams.count)"])
    return true
  }

  /// Moves what requests still put into a lane of an ended generation.
  func moveFrames(of lane: Lane, _ now: Int64) {
    while let frame = lane.takeFrame(nowMicros: now) {
      let header = FrameHeader(
        kind: .events, generation: lane.generation, partition: 0, producer: target.producer,
        epoch: 0, producerSequence: 0)
      move(frame.encoder.seal(header), frame.waiters, openedMicros: frame.openedMicros)
      lane.recycle(frame)
    }
  }

  /// Divides the events of a frame among the current lanes.
  ///
  /// - Parameter bytes: a frame that was sealed here.
  func move(_ bytes: [UInt8], _ waiters: [PendingRequest], openedMicros: Int64) {
    let target = lanes.current.lanes
    let parts = divide(bytes, among: target.count)
    let count = parts.count { $0 != nil }
    for waiter in waiters {
      for _ in 1..<max(1, count) { waiter.addFrame() }
    }
    for (partition, part) in parts.enumerated() {
      guard let part else { continue }
      part.waiters = waiters
      part.openedMicros = openedMicros
      target[partition].adopt(part)
    }
  }

  /// The events of a frame by partition.
  ///
  /// - Parameter bytes: a frame that was sealed by a collector.
  func divide(_ bytes: [UInt8], among count: Int) -> [OpenFrame?] {
    var parts = [OpenFrame?](repeating: nil, count: count)
    bytes.withUnsafeBytes { bytes in
      let view: FrameView
      do throws(FrameError) {
        view = try FrameView(bytes)
      } catch {
        preconditionFailure("a frame that was sealed by a collector is not one: \(error)")
      }
      for index in 0..<view.count {
        let event = IncomingEvent(view, event: index)
        let partition = KeyGroup.partition(of: event.person, partitions: count)
        let part = parts[partition] ?? OpenFrame()
        parts[partition] = part
        part.append(event)
      }
    }
    return parts
  }
}
