/// The frames of one stream in a ``Spool``, and how far they are drained: the pure part.
///
/// The first ones are out: published and not yet settled. After a failure nothing more goes out until
/// all that are out have been settled; then those that were not stored go again, in order, one alone
/// until the log has taken it.
///
///     waiting -> out -> drained
///        ^        |
///        +--------+  a failure, or a stream that is sealed
struct SpoolQueue {
  struct Entry {
    let segment: SpoolSegment
    let record: SpoolSegment.Record
  }

  /// An entry that is out.
  private struct Out {
    enum State: Equatable {
      case waiting
      /// Messages that are on their way: several where the frame is divided.
      case inFlight(Int)
      case failed
      case drained
    }

    let id: UInt64
    let entry: Entry
    var state = State.waiting
  }

  /// Frames on their way while the log takes them.
  private static let windowMax = 4

  private var entries: [Entry] = []
  private var head = 0
  private var out: [Out] = []
  /// Whether the log has taken nothing since the last failure, or ever.
  private var isTrying = true
  /// Steady time before which nothing is published.
  private var pausedUntil: Int64 = .min
  private var nextID: UInt64 = 1
  /// Bytes of the entries that are not drained.
  private(set) var byteCount = 0

  /// Entries that are not drained.
  var count: Int { entries.count - head + out.count { $0.state != .drained } }
  var isEmpty: Bool { count == 0 }
  /// When the oldest was written, microseconds since the epoch.
  var oldestAt: Int64? {
    out.first { $0.state != .drained }?.entry.record.writtenAt
      ?? (head < entries.count ? entries[head].record.writtenAt : nil)
  }

  mutating func append(_ entry: Entry) {
    entries.append(entry)
    byteCount += entry.record.byteCount
  }

  /// The next entry to publish, in order; say next what became of it by ``published(_:messages:)``.
  mutating func next(nowMicros: Int64) -> (id: UInt64, entry: Entry)? {
    guard nowMicros >= pausedUntil else { return nil }
    var inFlight = 0
    var hasFailed = false
    for frame in out {
      if case .inFlight = frame.state { inFlight += 1 }
      hasFailed = hasFailed || frame.state == .failed
    }
    if hasFailed {
      guard inFlight == 0 else { return nil }
      for index in out.indices where out[index].state == .failed { out[index].state = .waiting }
    }
    guard inFlight < (isTrying ? 1 : Self.windowMax) else { return nil }
    if let waiting = out.first(where: { $0.state == .waiting }) {
      return (waiting.id, waiting.entry)
    }
    guard head < entries.count else { return nil }
    let taken = Out(id: nextID, entry: entries[head])
    nextID += 1
    head += 1
    if head > 1024 && head * 2 > entries.count {
      entries.removeFirst(head)
      head = 0
    }
    out.append(taken)
    return (taken.id, taken.entry)
  }

  mutating func published(_ id: UInt64, messages: Int) { set(id, .inFlight(messages)) }

  /// One message of the entry is stored.
  ///
  /// - Returns: the entry, where that was the last one: it is drained.
  mutating func stored(_ id: UInt64) -> Entry? {
    isTrying = false
    pausedUntil = .min
    guard let index = out.firstIndex(where: { $0.id == id }),
      case .inFlight(let messages) = out[index].state
    else { return nil }
    if messages > 1 {
      out[index].state = .inFlight(messages - 1)
      return nil
    }
    return drained(id)
  }

  /// The entry needs not be published, or cannot be.
  mutating func drained(_ id: UInt64) -> Entry? {
    guard let index = out.firstIndex(where: { $0.id == id }) else { return nil }
    let entry = out[index].entry
    out[index].state = .drained
    byteCount -= entry.record.byteCount
    while let first = out.first, first.state == .drained { out.removeFirst() }
    return entry
  }

  /// One message of the entry is not known to be stored: the whole entry is published again.
  mutating func failed(_ id: UInt64, pauseUntil: Int64) {
    isTrying = true
    pausedUntil = max(pausedUntil, pauseUntil)
    set(id, .failed)
  }

  private mutating func set(_ id: UInt64, _ state: Out.State) {
    if let index = out.firstIndex(where: { $0.id == id }), out[index].state != .drained {
      out[index].state = state
    }
  }
}
