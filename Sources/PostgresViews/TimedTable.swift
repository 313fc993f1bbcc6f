import Dataflow
import Views

/// One of the tables whose rows belong to a time: windows of a measure and a level, or trends.
///
/// All of them have six sums per tuple and source, and are divided by time; see ``WindowPartition``.
enum TimedTable: Hashable {
  case windows(Measure, WindowLevel)
  case trends

  /// Those that a pipeline version has.
  static func all(of pipeline: PipelineSpec) -> [TimedTable] {
    var tables = WindowLevel.allCases.map { TimedTable.windows(.activity, $0) }
    for measure in pipeline.personMeasures {
      tables += WindowLevel.allCases.map { .windows(measure, $0) }
    }
    if pipeline.trends != nil { tables.append(.trends) }
    return tables
  }

  /// Within the version's schema, such as `metrics_10s`, `outcomes_1d`, `exposures_1h`, `trends`.
  var name: String {
    switch self {
    case .windows(let measure, let level): "\(measure.tableName)_\(level.name)"
    case .trends: "trends"
    }
  }

  /// The column of the time that a row belongs to.
  var time: String {
    switch self {
    case .windows: "window_start"
    case .trends: "window_end"
    }
  }

  /// The columns of a row's six places; the last one is money.
  var sums: [String] {
    switch self {
    case .windows(let measure, _): measure.columns
    case .trends: Measure.activity.columns
    }
  }

  /// The columns whose sums end at the ends of int8: money, and squares and products of it.
  var bounded: [String] {
    switch self {
    case .windows(.exposures, _), .windows(.baselines, _): Array(sums.suffix(2))
    case .windows, .trends: Array(sums.suffix(1))
    }
  }

  var division: WindowPartition.Division {
    switch self {
    case .windows(_, .tenSeconds), .trends: .days
    case .windows(_, .minute): .months
    case .windows(_, .hour), .windows(_, .day): .years
    }
  }

  /// Rows that are written again and again while they are open get room on their page for the new
  /// version (heap-only updates). Percent.
  var fillFactor: Int {
    switch self {
    case .windows(.activity, let level): level.isCoarse ? 60 : 90
    // Sessions, attributions and exposures change windows that are final.
    case .windows, .trends: 60
    }
  }

  /// Microseconds of log time; nil for ever.
  func retention(in pipeline: PipelineSpec) -> Int64? {
    switch self {
    case .windows(_, let level): level.retention
    case .trends: pipeline.trends?.retention
    }
  }

  /// Whether the second stage writes it, whose log time decides what is expired.
  var isOfSecondStage: Bool {
    switch self {
    case .windows(.activity, _): false
    case .windows, .trends: true
    }
  }
}

/// A row of a ``TimedTable``.
protocol TimedRow {
  /// What its table's time column holds, microseconds since the epoch.
  var time: Int64 { get }
  var dimensionID: Int64 { get }
  var counts: Counts { get }
  var revision: Int32 { get }
  var isFinal: Bool { get }
}

extension WindowRow: TimedRow {
  var time: Int64 { start }
}

extension TrendRow: TimedRow {
  var time: Int64 { end }
}
