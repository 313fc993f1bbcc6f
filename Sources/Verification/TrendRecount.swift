import Dataflow
import Events
import Ports
import Views

/// Hopping windows: table `trends`. A final window has a row for every tuple that anything happened to;
/// revisions depend on how partials came together and are not compared, nor are open windows' rows.
final class TrendRecount: ReadModelRecount {
  private struct Pane: Hashable {
    var tuple: Int
    var start: Int64
  }

  private let policy: TrendPolicy?
  private let tuples: TupleNumbers
  private var panes: [Pane: Counts] = [:]
  private var handedOn: Set<StreamPartition> = []

  init(spec: PipelineSpec, tuples: TupleNumbers) {
    policy = spec.trends
    self.tuples = tuples
  }

  var isOfSecondStage: Bool { true }

  func markHandedOn(_ stream: StreamPartition) { handedOn.insert(stream) }

  func add(_ event: JudgedEvent, _ moment: Moment) {
    guard let policy, event.verdict == .onTime || event.verdict == .late,
      (1...5).contains(event.kind), !handedOn.contains(moment.stream),
      event.time >= max(0, moment.watermark - policy.size)
    else { return }
    let start = event.time - event.time % policy.slide
    panes[Pane(tuple: event.tuple, start: start), default: Counts()].add(
      kind: event.kind, revenueMicros: event.revenueMicros)
  }

  func expected(at instant: Instant) -> [ExpectedTable] {
    guard let policy, let checkpoint = instant.secondStage else { return [] }
    var table = ExpectedTable(
      table: .sums("trends", time: "window_end", Measure.activityColumns), rows: [:])
    if checkpoint.logTime > .min + policy.retention {
      table.comparedFrom = checkpoint.logTime - policy.retention + 1
    }
    // Rows of windows that are still open come early and now and then.
    table.comparedTo = checkpoint.watermark == .max ? .max : checkpoint.watermark + 1
    var rows: [[Int64]: Counts] = [:]
    for (pane, counts) in panes {
      let id = tuples.identifier(pane.tuple)
      var end = pane.start + policy.slide
      while end <= pane.start + policy.size {
        if end <= checkpoint.watermark && end >= table.comparedFrom {
          rows[[end, id, 0], default: Counts()] += counts
          table.tuples[id] = tuples.tuples[pane.tuple]
        }
        end += policy.slide
      }
    }
    table.rows = rows.mapValues { ExpectedRow(values: $0.values + [1]) }
    return [table]
  }
}
