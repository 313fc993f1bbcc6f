import Dataflow
import Events
import Ports
import Views

@testable import QueryAPI

/// One event of a simulated log; its place in the list is its sequence, from 1.
struct SimulatedEvent {
  var logTime: Int64
  var time: Int64
  var tuple: DimensionTuple
  var kind: UInt8
  var revenueMicros: Int64
}

/// What stores would hold for one partition, computed naively from all its events at any sequence.
///
/// Expired windows are frozen in the hot copy, leave it a minute after the seam, and their later
/// corrections are durable alone.
struct SimulatedPartition {
  static let disorder: Int64 = 5_000_000
  static let grace: Int64 = 60_000_000

  let events: [SimulatedEvent]
  /// By sequence, from 0.
  private var logTimes: [Int64] = [.min]
  private var seamsBySequence: [Seams] = []
  private var deltas: [Int] = [0]

  init(events: [SimulatedEvent]) {
    self.events = events
    for event in events { logTimes.append(max(logTimes[logTimes.count - 1], event.logTime)) }
    seamsBySequence = (0...events.count).map { makeSeams(at: $0) }
    for sequence in events.indices.map({ $0 + 1 }) {
      deltas.append(isDelta(sequence) ? sequence : deltas[sequence - 1])
    }
  }

  func logTime(at sequence: Int) -> Int64 { logTimes[sequence] }

  func watermark(at sequence: Int) -> Int64 {
    sequence == 0 ? .min : logTime(at: sequence) - Self.disorder
  }

  func seams(at sequence: Int) -> Seams { seamsBySequence[sequence] }

  private func makeSeams(at sequence: Int) -> Seams {
    var seams = Seams()
    if sequence == 0 { return seams }
    for level in WindowLevel.allCases {
      let end = watermark(at: sequence) - Self.grace
      seams[level] = level.start(of: end - level.length) + level.length
    }
    return seams
  }

  /// The last event up to `sequence` whose window of any level had expired when it came.
  func lastDelta(at sequence: Int) -> Int { deltas[sequence] }

  private func isDelta(_ sequence: Int) -> Bool {
    let event = events[sequence - 1]
    let seams = seams(at: sequence)
    return WindowLevel.allCases.contains { $0.start(of: event.time) < seams[$0] }
  }

  func checkpoint(at sequence: Int, coarse: Int) -> Checkpoint {
    var checkpoint = Checkpoint()
    checkpoint.sequence = UInt64(sequence)
    checkpoint.logTime = logTime(at: sequence)
    checkpoint.watermark = watermark(at: sequence)
    checkpoint.coarseSequence = UInt64(coarse)
    checkpoint.lastDeltaSequence = UInt64(lastDelta(at: sequence))
    checkpoint.seams = seams(at: sequence)
    return checkpoint
  }

  func header(at sequence: Int, committed: Int, copy: Int64) -> HotHeader {
    HotHeader(
      epoch: 1, sequence: UInt64(sequence), lastDeltaSequence: UInt64(lastDelta(at: sequence)),
      committedSequence: UInt64(committed), copy: copy, isComplete: true,
      logTime: logTime(at: sequence), watermark: watermark(at: sequence),
      seams: seams(at: sequence))
  }

  /// Durable rows at a commit: expired windows with everything, final fine ones, and hours and days
  /// as they were last written.
  func durableRows(at sequence: Int, coarse: Int) -> [SimulatedRow] {
    let seams = seams(at: sequence)
    let watermark = watermark(at: sequence)
    var rows: [SimulatedRow] = []
    for (index, event) in events.prefix(sequence).enumerated() {
      for level in WindowLevel.allCases {
        let start = level.start(of: event.time)
        let isWritten =
          start < seams[level]
          || (level.isCoarse ? index < coarse : start + level.length <= watermark)
        if isWritten { rows.append(SimulatedRow(event, level)) }
      }
    }
    return rows
  }

  /// Rows of the hot copy that was written as a whole at `made` and brought up to `sequence`.
  func hotRows(at sequence: Int, made: Int) -> [SimulatedRow] {
    let madeSeams = seams(at: made)
    let seams = seams(at: sequence)
    var rows: [SimulatedRow] = []
    for (index, event) in events.prefix(sequence).enumerated() {
      let seamsThen = self.seams(at: index + 1)
      for level in WindowLevel.allCases {
        let start = level.start(of: event.time)
        let isFrozen = start < seamsThen[level]
        // What the level's seam was a minute of log time ago, as the 10 s seam tells it.
        let past = seams[.tenSeconds] == .min ? .min : seams[.tenSeconds] + 10_000_000 - 60_000_000
        let keep = past == .min ? .min : min(seams[level], level.start(of: past))
        if !isFrozen && start >= keep && start >= madeSeams[level] {
          rows.append(SimulatedRow(event, level))
        }
      }
    }
    return rows
  }
}

/// What one event adds to one window.
struct SimulatedRow {
  var tuple: DimensionTuple
  var row: WindowRow

  init(_ event: SimulatedEvent, _ level: WindowLevel) {
    tuple = event.tuple
    var counts = Counts()
    counts.add(kind: event.kind, revenueMicros: event.revenueMicros)
    row = WindowRow(
      level: level, start: level.start(of: event.time), dimensionID: 0, counts: counts,
      revision: 0, isFinal: false)
  }

  func isIn(_ selection: ViewSelection) -> Bool {
    tuple.site == selection.site
      && selection.admits { tuple[$0] }
      && selection.segments.contains {
        $0.level == row.level && row.start >= $0.from && row.start < $0.to
      }
  }
}
