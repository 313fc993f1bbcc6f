/// Which of the unacknowledged frames to send now: the pure part of the publisher. Times are
/// milliseconds of any rising clock, given by the caller.
///
/// Each stream has a lane, in which frames go out in the order of their arrival. A lane that can't be
/// sure of the server (new session, refusal that may pass) sends its oldest frame alone and waits
/// for the answer; that keeps the order when the first frames of a burst are refused and later ones
/// are not.
///
/// ```text
/// careful: only the oldest is out ---- stored ----> open: all are out
///     ^                                               |
///     +------- retriable refusal, new session --------+   (all are to be sent again, in order)
/// ```
///
/// When the oldest gets no answer in time, a second copy of it alone is sent, as a *probe* with a reply
/// subject of its own. If the first copy's ack comes after all, the server was merely slow (fsync)
/// and nothing else is sent again: sending the whole window again would make it slower still. If the
/// probe's ack comes first, something was lost, and all are sent again.
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
    var isCareful = true
    var pausedUntil: Int64 = 0
    /// When the present oldest frame became the oldest.
    var oldestSince: Int64 = 0
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

  /// A copy to be sent.
  struct Send: Equatable {
    let id: UInt64
    var isProbe = false
  }

  /// The next frame to send, or nil. Call `sent` or `decided` for it before asking again.
  func next(now: Int64) -> Send? {
    for lane in lanes {
      if let due = probeTime(lane), due <= now { return Send(id: lane.queue[0], isProbe: true) }
      guard lane.sent < lane.queue.count, lane.pausedUntil <= now else { continue }
      if !lane.isCareful || lane.sent == 0 { return Send(id: lane.queue[lane.sent]) }
    }
    return nil
  }

  mutating func sent(_ send: Send, now: Int64) {
    guard let lane = entries[send.id]?.lane else { return }
    entries[send.id]?.sentAt = now
    if send.isProbe {
      lanes[lane].lastRefusal = "no acknowledgement within \(parameters.ackTimeoutMs) ms"
    } else {
      precondition(lanes[lane].queue[lanes[lane].sent] == send.id)
      lanes[lane].sent += 1
    }
  }

  /// The server stored the frame. False when it is not waited for any more.
  mutating func stored(_ send: Send, now: Int64) -> Bool {
    guard let lane = remove(send.id, now: now) else { return false }
    if send.isProbe { lanes[lane].sent = 0 }
    lanes[lane].isCareful = false
    lanes[lane].pausedUntil = 0
    lanes[lane].lastRefusal = nil
    return true
  }

  /// The frame's fate is decided otherwise. False when it is not waited for any more.
  mutating func decided(_ id: UInt64, now: Int64) -> Bool { remove(id, now: now) != nil }

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
        _ = remove(id, now: now)
        expired.append((id, lanes[lane].lastRefusal))
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
      if let due = probeTime(lane) { own = min(own, due) }
      if lane.sent == 0, lane.pausedUntil > now { own = min(own, lane.pausedUntil) }
      time = min(time ?? own, own)
    }
    return time
  }

  /// When a probe of the oldest frame is due, nil while it isn't out.
  private func probeTime(_ lane: Lane) -> Int64? {
    guard lane.sent > 0, let oldest = lane.queue.first, let entry = entries[oldest] else {
      return nil
    }
    return max(entry.sentAt, lane.oldestSince) + parameters.ackTimeoutMs
  }

  private mutating func restart(_ lane: Int) {
    lanes[lane].sent = 0
    lanes[lane].isCareful = true
  }

  private mutating func remove(_ id: UInt64, now: Int64) -> Int? {
    guard let entry = entries.removeValue(forKey: id) else { return nil }
    // Acks come in order, so this is the first one nearly always.
    let index = lanes[entry.lane].queue.firstIndex(of: id)!
    lanes[entry.lane].queue.remove(at: index)
    if index == 0 { lanes[entry.lane].oldestSince = now }
    if index < lanes[entry.lane].sent { lanes[entry.lane].sent -= 1 }
    return entry.lane
  }
}
