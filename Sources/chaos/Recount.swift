import Dataflow
import Events
import Views

/// Counts one pipeline's windows from the whole log in the plainest way: dictionaries, one event
/// after the other, none of the engine's operators.
struct Recount {
  struct Key: Hashable {
    var level: WindowLevel
    var start: Int64
    var dimensionID: Int64
    /// Partition of the stream that counted it.
    var partition: Int
  }

  struct Value: Hashable {
    var counts = Counts()
    var revision: Int32 = 0
  }

  /// Per stream, what became of its events, and how far its time has come.
  struct Stream {
    var accounting = Accounting()
    var lateCount = 0
    var logTime = Int64.min
    var watermark = Int64.min
    /// The last frame that has events.
    var lastSequence: UInt64 = 0
    fileprivate var seen: Set<Key128> = []
  }

  private(set) var rows: [Key: Value] = [:]
  private(set) var streams: [String: Stream] = [:]
  private let spec: PipelineSpec
  /// The dedupe horizon is longer than any run, so every copy is one.
  private static let futureTolerance: Int64 = 300_000_000
  private static let receiptTolerance: Int64 = 3_600_000_000

  init(spec: PipelineSpec) { self.spec = spec }

  mutating func add(_ frame: LogScan.Frame) {
    var stream = streams.removeValue(forKey: frame.stream.stream) ?? Stream()
    defer { streams[frame.stream.stream] = stream }
    var stored = frame.storedAt
    if let view = frame.view, view.header.originalLogTime != 0 {
      stored = min(stored, view.header.originalLogTime)
    }
    stream.logTime = max(stream.logTime, stored)
    stream.watermark = stream.logTime - spec.allowedDisorder
    guard let view = frame.view, view.header.kind != .heartbeat else { return }
    stream.accounting.received += Int64(view.count)
    stream.lastSequence = frame.sequence
    if view.header.kind == .deadLetters {
      stream.accounting.rejected += Int64(view.count)
      return
    }
    guard view.header.kind == .events else { return }
    let dimensions = (0..<view.tupleCount).map {
      DimensionTuple.identifier(encoded: view.tupleBytes($0))
    }
    var revised: Set<Key> = []
    for index in 0..<view.count {
      guard stream.seen.insert(view.key(index)).inserted else {
        stream.accounting.duplicate += 1
        continue
      }
      add(
        view, index, dimensions[view.tuple(index)], partition: frame.stream.partition, &stream,
        &revised)
    }
    for key in revised { rows[key]?.revision += 1 }
  }

  private mutating func add(
    _ view: FrameView, _ index: Int, _ dimensionID: Int64, partition: Int,
    _ stream: inout Stream, _ revised: inout Set<Key>
  ) {
    var time = view.eventTime(index)
    let received = min(view.receivedAt(index), stream.logTime + Self.receiptTolerance)
    let isFuture = time > received + Self.futureTolerance
    if isFuture { time = received }
    let end = WindowLevel.tenSeconds.start(of: time) + WindowLevel.tenSeconds.length
    let isOnTime = end > stream.watermark
    if let lateness = spec.allowedLateness, !isOnTime, end + lateness <= stream.watermark {
      stream.accounting.tooLate += 1
      stream.lateCount += 1
      return
    }
    if isOnTime { stream.accounting.onTime += 1 } else { stream.accounting.late += 1 }
    if isFuture { stream.accounting.clampedFuture += 1 }
    let kind = view.kind(index)
    guard (1...5).contains(kind) else { return }
    for level in WindowLevel.allCases {
      let key = Key(
        level: level, start: level.start(of: time), dimensionID: dimensionID,
        partition: partition)
      let end = key.start + level.length
      let isExpired = stream.watermark >= end + spec.windowGrace
      if isExpired, let retention = level.retention, end + retention <= stream.logTime { continue }
      rows[key, default: Value()].counts.add(
        kind: kind, revenueMicros: view.revenueMicros(index))
      if end <= stream.watermark { revised.insert(key) }
    }
  }
}
