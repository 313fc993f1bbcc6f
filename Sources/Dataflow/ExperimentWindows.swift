import Operators
import Views

/// The windows of a second stage that counts exposures: one aggregator for each of the two measures, beside
/// that of the outcomes.
///
/// Nobody keeps a hot copy of them: a cohort is looked at once what follows it has come, and its rows are
/// durable long before.
struct ExperimentWindows: ~Copyable {
  static let name = "experiments"

  private var exposures: WindowAggregator
  private var baselines: WindowAggregator

  init(_ make: () -> WindowAggregator) {
    exposures = make()
    baselines = make()
  }

  mutating func advance(to moment: FrameMoment) {
    exposures.advance(to: moment)
    baselines.advance(to: moment)
  }

  /// - Parameter measure: exposures or baselines.
  mutating func add(
    _ sums: Counts, of measure: Measure, tuple: UnsafeRawBufferPointer, time: Int64,
    at moment: FrameMoment
  ) -> Verdict {
    measure == .exposures
      ? exposures.add(sums, tuple: tuple, time: time, at: moment)
      : baselines.add(sums, tuple: tuple, time: time, at: moment)
  }

  mutating func finishContributions() {
    exposures.finishContributions()
    baselines.finishContributions()
  }

  var earliestTimer: Int64? {
    [exposures.earliestTimer, baselines.earliestTimer].compactMap { $0 }.min()
  }

  /// Adds what the next transaction writes.
  mutating func drain(includeCoarse: Bool, into batch: inout CommitBatch) {
    for measure in [Measure.exposures, .baselines] {
      var outbox = Outbox()
      if measure == .exposures {
        exposures.forgetHotChanges()
        exposures.drain(.commit(includeCoarse: includeCoarse), into: &outbox)
      } else {
        baselines.forgetHotChanges()
        baselines.drain(.commit(includeCoarse: includeCoarse), into: &outbox)
      }
      batch.dimensions += outbox.dimensions
      batch.experiments.append(
        MeasuredRows(measure: measure, rows: outbox.rows, deltas: outbox.deltas))
    }
  }

  /// Every row in state.
  mutating func all() -> [(measure: Measure, rows: [HotRow])] {
    var (exposed, before) = (Outbox(), Outbox())
    exposures.drain(.hotComplete, into: &exposed)
    baselines.drain(.hotComplete, into: &before)
    return [(.exposures, exposed.hot), (.baselines, before.hot)]
  }

  mutating func forgetCommitted(includeCoarse: Bool) {
    exposures.forgetCommitted(includeCoarse: includeCoarse)
    baselines.forgetCommitted(includeCoarse: includeCoarse)
  }

  var pendingCount: Int { exposures.pendingCount + baselines.pendingCount }
  var rowCount: Int { exposures.rowCount + baselines.rowCount }
  var overflowed: Int64 { exposures.overflowed + baselines.overflowed }
  var changeByteCount: Int { exposures.changeByteCount + baselines.changeByteCount }

  /// Of the one that has more keys; memory of both.
  var stateSize: StateSize {
    let (a, b) = (exposures.stateSize, baselines.stateSize)
    return StateSize(
      keyCount: max(a.keyCount, b.keyCount), keyCountMax: a.keyCountMax,
      byteCount: a.byteCount + b.byteCount)
  }

  mutating func forgetChanges() {
    exposures.forgetChanges()
    baselines.forgetChanges()
  }

  mutating func snapshot(_ scope: SnapshotScope, into writer: inout SnapshotWriter) {
    exposures.snapshot(scope, into: &writer)
    baselines.snapshot(scope, into: &writer)
  }

  mutating func restore(
    from reader: inout SnapshotReader, keeping groups: Range<Int>
  ) throws(SnapshotFormatError) {
    try exposures.restore(from: &reader, keeping: groups)
    try baselines.restore(from: &reader, keeping: groups)
    guard exposures.logTime == baselines.logTime, exposures.watermark == baselines.watermark else {
      throw reader.malformed("exposures and baselines are of different times")
    }
  }
}
