import Synchronization

/// Counts the live streams that are open and refuses more than a maximum.
final class StreamSlots: Sendable {
  let countMax: Int
  private let open = Mutex(0)
  private let metrics: QueryMetrics

  init(countMax: Int, metrics: QueryMetrics) {
    self.countMax = countMax
    self.metrics = metrics
  }

  /// A place for one stream, given back when it is released.
  final class Slot: Sendable {
    private let slots: StreamSlots

    fileprivate init(_ slots: StreamSlots) { self.slots = slots }

    deinit {
      slots.open.withLock { $0 -= 1 }
      slots.metrics.streamClosed()
    }
  }

  func take() throws(QueryError) -> Slot {
    let isFree = open.withLock { count in
      if count >= countMax { return false }
      count += 1
      return true
    }
    guard isFree else {
      throw QueryError(
        .tooManyStreams, path: "", detail: "\(countMax) live streams are open already; try again")
    }
    metrics.streamOpened()
    return Slot(self)
  }
}
