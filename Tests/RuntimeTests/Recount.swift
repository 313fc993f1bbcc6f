import Dataflow
import Events
import Views

/// Counts a whole log in the plainest way: dictionaries, one event after the other.
///
/// It knows the rules as far as the histories of these tests go: no future events, no limit of
/// tuples, no event older than what is kept.
struct Recount {
  private(set) var rows: [RowKey: RowValue] = [:]
  private(set) var accounting = Accounting()
  private(set) var lateCount = 0
  private(set) var watermark = Int64.min

  init(_ entries: [LogEntry], spec: PipelineSpec) {
    var logTime = Int64.min
    var seen: Set<UInt64> = []
    for entry in entries {
      logTime = max(logTime, entry.storedAt)
      watermark = logTime - spec.allowedDisorder
      switch entry.content {
      case .heartbeat, .poison: break
      case .deadLetters(let count):
        accounting.received += Int64(count)
        accounting.rejected += Int64(count)
      case .events(let events):
        var revised: Set<RowKey> = []
        for event in events {
          accounting.received += 1
          if !seen.insert(event.id).inserted {
            accounting.duplicate += 1
          } else {
            add(event, spec, &revised)
          }
        }
        for key in revised { rows[key, default: RowValue()].revision += 1 }
      }
    }
  }

  private mutating func add(
    _ event: TestEvent, _ spec: PipelineSpec, _ revised: inout Set<RowKey>
  ) {
    let end = WindowLevel.tenSeconds.start(of: event.time) + WindowLevel.tenSeconds.length
    if end > watermark {
      accounting.onTime += 1
    } else if let lateness = spec.allowedLateness, end + lateness <= watermark {
      accounting.tooLate += 1
      lateCount += 1
      return
    } else {
      accounting.late += 1
    }
    guard event.kind.rawValue <= EventKind.conversion.rawValue else { return }
    for level in WindowLevel.allCases {
      let key = RowKey(level: level, start: level.start(of: event.time), tuple: event.tuple)
      rows[key, default: RowValue()].counts.add(
        kind: event.kind.rawValue, revenueMicros: event.revenue)
      if key.end <= watermark { revised.insert(key) }
    }
  }

  /// What must be durable once everything is committed: final rows, and open ones of hours and days.
  var durable: [RowKey: RowValue] {
    rows.filter { $0.key.level.isCoarse || $0.key.end <= watermark }
  }

  /// What the hot copy must hold: the windows in state.
  func live(_ seams: Seams) -> [RowKey: RowValue] {
    rows.filter { $0.key.start >= seams[$0.key.level] }
  }
}
