import Events

/// A frame that is being filled, with the requests that wait for it.
final class OpenFrame: @unchecked Sendable {
  // In a lane it is touched under the lane's lock; taken out of it, by the publisher's thread. So what every event
  // touches need not be watched for overlapping accesses, which costs more than the accesses.

  @exclusivity(unchecked) var encoder = FrameEncoder()
  @exclusivity(unchecked) var waiters: [PendingRequest] = []
  /// Steady time of its first event.
  var openedMicros: Int64 = 0
  /// What it counts for in its lane.
  @exclusivity(unchecked) private(set) var waitingBytes = 0
  @exclusivity(unchecked) private(set) var shares = LaneShares()
  /// The queue of the lane that it was in.
  var isOld = false

  var isEmpty: Bool { waitingBytes == 0 }

  func isFull(for size: Int, _ parameters: IngestParameters) -> Bool {
    encoder.count >= parameters.frameEventsMax
      || encoder.byteCount + size > parameters.frameBytesMax
  }

  func append(_ event: IncomingEvent) { append(event, Self.size(of: event), key: 0) }

  /// - Parameter size: of the event.
  func append(_ event: IncomingEvent, _ size: Int, of request: PendingRequest) {
    append(event, size, key: request.key)
    if waiters.last !== request {
      waiters.append(request)
      request.addFrame()
    }
  }

  private func append(_ event: IncomingEvent, _ size: Int, key: Int) {
    encoder.append(event)
    waitingBytes += size
    shares.add(size, key: key, person: event.person)
  }

  func recycle() {
    waiters.removeAll(keepingCapacity: true)
    waitingBytes = 0
    shares.removeAll()
  }

  /// Columns of an event besides its texts, about.
  private static let eventOverheadBytes = 65

  static func size(of event: IncomingEvent) -> Int {
    event.payload.count + event.id.utf8.count + event.dimensions.count + eventOverheadBytes
  }
}
