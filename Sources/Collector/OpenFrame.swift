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

  /// An event of no request.
  func append(_ event: IncomingEvent) {
    encoder.append(event)
    add(Self.size(of: event), key: 0, person: event.person)
  }

  /// - Parameter size: of the event.
  func append(
    _ events: EventBatch, _ index: Int, _ size: Int, of request: PendingRequest,
    _ cursor: inout EventBatch.Cursor
  ) {
    events.append(index, to: &encoder, &cursor)
    add(size, key: request.key, person: events.person(index))
    if waiters.last !== request {
      waiters.append(request)
      request.addFrame()
    }
  }

  private func add(_ size: Int, key: Int, person: Key128) {
    waitingBytes += size
    shares.add(size, key: key, person: person)
  }

  func recycle() {
    waiters.removeAll(keepingCapacity: true)
    waitingBytes = 0
    shares.removeAll()
  }

  /// Columns of an event besides its texts, about.
  private static let eventOverheadBytes = 65

  static func size(of event: borrowing IncomingEvent) -> Int {
    size(
      payload: event.payload.count, id: event.id.utf8.count, dimensions: event.dimensions.count)
  }

  static func size(payload: Int, id: Int, dimensions: Int) -> Int {
    payload + id + dimensions + eventOverheadBytes
  }
}
