import Dataflow
import Events
import Operators
import Views

/// A window of a tuple, with the tuple written out.
struct RowKey: Hashable {
  var level: WindowLevel
  var start: Int64
  var tuple: [UInt8]
}

struct RowValue: Hashable {
  var counts = Counts()
  var revision: Int32 = 0
}

/// Recomputes everything from the whole log in the plainest way: dictionaries, one event after the
/// other, no batches, no tables, no incremental state beside what the rules themselves name.
struct NaiveOracle {
  var rows: [RowKey: RowValue] = [:]
  var late: [LateEvent] = []
  var accounting = Accounting()
  var logTime = Int64.min
  var watermark = Int64.min
  var overflowed: Int64 = 0

  private let spec: PipelineSpec
  /// Whole second of log time at which an id was stored last as new.
  private var ids: [Key128: Int64] = [:]
  /// Windows that were put into state, by tuple.
  private var inState: [[UInt8]: Set<RowKey>] = [:]

  init(spec: PipelineSpec) { self.spec = spec }

  init(_ history: History, upTo count: Int? = nil) {
    self.init(spec: history.spec)
    for (index, frame) in history.frames.prefix(count ?? history.frames.count).enumerated() {
      add(frame, sequence: UInt64(index + 1))
    }
  }

  mutating func add(_ frame: LoggedFrame, sequence: UInt64) {
    var stored = frame.storedAt
    if frame.originalLogTime != 0 && !frame.isPoison { stored = min(stored, frame.originalLogTime) }
    logTime = max(logTime, stored)
    watermark = logTime - spec.allowedDisorder
    if frame.isPoison || frame.kind == .heartbeat { return }
    accounting.received += Int64(frame.events.count)
    if frame.kind == .deadLetters {
      accounting.rejected += Int64(frame.events.count)
      return
    }
    var revised: Set<RowKey> = []
    for (index, event) in frame.events.enumerated() {
      add(event, index, sequence, &revised)
    }
    for key in revised { rows[key, default: RowValue()].revision += 1 }
  }

  private mutating func add(
    _ event: TestEvent, _ index: Int, _ sequence: UInt64, _ revised: inout Set<RowKey>
  ) {
    if isDuplicate(event.key) {
      accounting.duplicate += 1
      return
    }
    var time = max(event.time, TimeRange.earliest)
    let received = min(event.received, logTime + hour)
    let isFuture = event.time > received + 5 * minute
    if isFuture { time = max(received, TimeRange.earliest) }
    let end = WindowLevel.tenSeconds.start(of: time) + 10 * second
    let isOnTime = end > watermark
    if let lateness = spec.allowedLateness, !isOnTime, end + lateness <= watermark {
      accounting.tooLate += 1
      late.append(
        LateEvent(
          sequence: sequence, index: Int32(index), eventTime: time, kind: event.kind.rawValue,
          dimensionID: Self.id(event.tuple.encoded), revenueMicros: event.revenue))
      return
    }
    if isOnTime { accounting.onTime += 1 } else { accounting.late += 1 }
    if isFuture { accounting.clampedFuture += 1 }
    if event.kind == .identify || event.kind == .custom { return }
    let tuple = admitted(event.tuple)
    for level in WindowLevel.allCases {
      let key = RowKey(level: level, start: level.start(of: time), tuple: tuple)
      let end = key.start + level.length
      if isExpired(key) {
        if let retention = level.retention, end + retention <= logTime { continue }
      } else {
        inState[tuple, default: []].insert(key)
      }
      rows[key, default: RowValue()].counts.add(
        kind: event.kind.rawValue, revenueMicros: event.revenue)
      if end <= watermark { revised.insert(key) }
    }
  }

  func isExpired(_ key: RowKey) -> Bool {
    watermark >= key.start + key.level.length + spec.windowGrace
  }

  private mutating func isDuplicate(_ key: Key128) -> Bool {
    let now = max(0, logTime / second)
    let horizon = (spec.dedupeHorizon + second - 1) / second
    if let stored = ids[key], now - stored <= horizon { return true }
    ids[key] = now
    return false
  }

  private mutating func admitted(_ tuple: DimensionTuple) -> [UInt8] {
    let encoded = tuple.encoded
    if isLive(encoded) || inState.keys.filter({ isLive($0) }).count < spec.tupleCountMax {
      return encoded
    }
    overflowed += 1
    return DimensionTuple(
      site: tuple.site, campaign: "(other)", content: "(other)", variant: "(other)",
      channel: "(other)", currency: tuple.currency
    ).encoded
  }

  private func isLive(_ tuple: [UInt8]) -> Bool {
    inState[tuple, default: []].contains { !isExpired($0) }
  }

  static func id(_ encoded: [UInt8]) -> Int64 {
    encoded.withUnsafeBytes { DimensionTuple.identifier(encoded: $0) }
  }
}
