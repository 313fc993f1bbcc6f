/// Which of the unacknowledged frames to send now: the pure part of the publisher. Times are
/// milliseconds of any rising clock, given by the caller.
///
/// Each stream has a lane, in which frames go out in the order of their arrival. A lane that can't be
/// sure of the server (new session, missing ack, refusal that may pass) sends its oldest frame alone
/// and waits for the answer; that keeps the order when the first frames of a burst are refused or
/// lost and later ones are not.
///
/// ```text
/// probing: only the oldest is out ---- stored ----> open: all are out
///     ^                                               |
///     +-- no ack in time, retriable, new session -----+   (everything is to be sent again, in order)
/// ```
///
/// Copies of a frame carry the same message id, so the server stores one.
struct PublishWindow {
  struct Parameters: Sendable {
    /// Unacknowledged frames over all lanes.
    var capacity = 256
    var ackTimeoutMs: Int64 = 1_000
    /// From arrival to the report that the frame is not known to be stored.
    var deadlineMs: Int64 = 5_000
    /// After a retriable refusal.
    var pauseMs: Int64 = 50
  }

  private struct Entry {
    let lane: Int
    let deadline: Int64
    var sentAt: Int64 = 0
  }

  private struct Lane {
    /// In order of arrival; the first `sent` are out.
    var queue: [UInt64] = []
    var sent = 0
    var isProbing = true
    var pausedUntil: Int64 = 0
    var lastRefusal: String?
  }

  let parameters: Parameters
  private var entries: [UInt64: Entry] = [:]
  private var lanes: [Lane] = []
  private var laneOfStream: [String: Int] = [:]

  init(_ parameters: Parameters = Parameters()) {
    self.parameters = parameters
    entries.reserveCapacity(parameters.capacity)
  }

  var count: Int { entries.count }

  /// - Parameter id: rising.
  mutating func add(_ id: UInt64, stream: String, now: Int64) {
    precondition(entries.count < parameters.capacity)
    let lane: Int
    if let known = laneOfStream[stream] {
      lane = known
    } else {
      lane = lanes.count
      lanes.append(Lane())
      laneOfStream[stream] = lane
    }
    entries[id] = Entry(lane: lane, deadline: now + parameters.deadlineMs)
    lanes[lane].queue.append(id)
  }

  /// The next frame to send, or nil. Call `sent` or `remove` for it before asking again.
  func next(now: Int64) -> UInt64? {
    for lane in lanes where lane.sent < lane.queue.count && lane.pausedUntil <= now {
      if !lane.isProbing || lane.sent == 0 { return lane.queue[lane.sent] }
    }
    return nil
  }

  mutating func sent(_ id: UInt64, now: Int64) {
    guard let lane = entries[id]?.lane else { return }
    precondition(lanes[lane].queue[lanes[lane].sent] == id)
    lanes[lane].sent += 1
    entries[id]?.sentAt = now
  }

  /// The server stored the frame. False when it is not waited for any more.
  mutating func stored(_ id: UInt64) -> Bool {
    guard let lane = remove(id) else { return false }
    lanes[lane].isProbing = false
    lanes[lane].pausedUntil = 0
    lanes[lane].lastRefusal = nil
    return true
  }

  /// The frame's fate is decided otherwise. False when it is not waited for any more.
  mutating func decided(_ id: UInt64) -> Bool { remove(id) != nil }

  /// The server can't store the frame now.
  mutating func refused(_ id: UInt64, reason: String, now: Int64) {
    guard let lane = entries[id]?.lane else { return }
    lanes[lane].lastRefusal = reason
    restart(lane)
    lanes[lane].pausedUntil = now + parameters.pauseMs
  }

  /// Nothing is known of what was sent.
  mutating func sessionBegan() {
    for lane in lanes.indices {
      restart(lane)
      lanes[lane].pausedUntil = 0
    }
  }

  /// Applies the time.
  ///
  /// - Returns: frames whose deadline has passed, with the last refusal of their stream.
  mutating func expire(now: Int64) -> [(id: UInt64, refusal: String?)] {
    var expired: [(id: UInt64, refusal: String?)] = []
    for lane in lanes.indices {
      while let id = lanes[lane].queue.first, entries[id]!.deadline <= now {
        _ = remove(id)
        expired.append((id, lanes[lane].lastRefusal))
      }
      guard lanes[lane].sent > 0, let oldest = lanes[lane].queue.first else { continue }
      if entries[oldest]!.sentAt + parameters.ackTimeoutMs <= now {
        lanes[lane].lastRefusal = "no acknowledgement within \(parameters.ackTimeoutMs) ms"
        restart(lane)
      }
    }
    return expired
  }

  /// When `expire` or `next` will have something to do although nothing happens; nil for never.
  func nextTime(after now: Int64) -> Int64? {
    var time: Int64?
    for lane in lanes {
      guard let oldest = lane.queue.first, let entry = entries[oldest] else { continue }
      var own = entry.deadline
      if lane.sent > 0 { own = min(own, entry.sentAt + parameters.ackTimeoutMs) }
      if lane.sent == 0, lane.pausedUntil > now { own = min(own, lane.pausedUntil) }
      time = min(time ?? own, own)
    }
    return time
  }

  private mutating func restart(_ lane: Int) {
    lanes[lane].sent = 0
    lanes[lane].isProbing = true
  }

  private mutating func remove(_ id: UInt64) -> Int? {
    guard let entry = entries.removeValue(forKey: id) else { return nil }
    // Acks come in order, so this is the first one nearly always.
    let index = lanes[entry.lane].queue.firstIndex(of: id)!
    lanes[entry.lane].queue.remove(at: index)
    if index < lanes[entry.lane].sent { lanes[entry.lane].sent -= 1 }
    return entry.lane
  }
}
