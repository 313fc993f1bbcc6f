import Dataflow
import Events
import Operators
import Verification
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

/// What `smartcontent verify` recomputes from the whole log, in the words of these tests.
struct NaiveOracle {
  private let tuples = TupleNumbers()
  private let activity: ActivityRecount
  private let lateEvents: LateRecount
  private let counts = AccountingRecount()
  private let recount: StreamRecount
  private let spec: PipelineSpec

  init(spec: PipelineSpec) {
    self.spec = spec
    activity = ActivityRecount(spec: spec, tuples: tuples)
    lateEvents = LateRecount(tuples: tuples)
    recount = StreamRecount(
      TestLoop.stream, spec: spec, tuples: tuples, models: [activity, lateEvents, counts])
  }

  init(_ history: History, upTo count: Int? = nil) {
    self.init(spec: history.spec)
    for (index, frame) in history.frames.prefix(count ?? history.frames.count).enumerated() {
      add(frame, sequence: UInt64(index + 1))
    }
  }

  func add(_ frame: LoggedFrame, sequence: UInt64) {
    frame.bytes.withUnsafeBytes {
      recount.add($0, sequence: sequence, storedAt: frame.storedAt)
    }
  }

  var rows: [RowKey: RowValue] {
    var rows: [RowKey: RowValue] = [:]
    for (key, value) in activity.partitions[TestLoop.stream]?.rows ?? [:] {
      rows[RowKey(level: key.level, start: key.start, tuple: tuples.tuples[key.tuple])] = RowValue(
        counts: value.counts, revision: value.revision)
    }
    return rows
  }

  var late: [LateEvent] { lateEvents.events[TestLoop.stream.stream] ?? [] }
  var accounting: Accounting { counts.accounting[TestLoop.stream] ?? Accounting() }
  var logTime: Int64 { recount.logTime }
  var watermark: Int64 { recount.watermark }
  var overflowed: Int64 { activity.partitions[TestLoop.stream]?.overflowed ?? 0 }

  func isExpired(_ key: RowKey) -> Bool {
    watermark >= key.start + key.level.length + spec.windowGrace
  }

  static func id(_ encoded: [UInt8]) -> Int64 {
    encoded.withUnsafeBytes { DimensionTuple.identifier(encoded: $0) }
  }
}
