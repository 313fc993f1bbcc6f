public import Dataflow
public import Events
public import Views

/// A stretch of time to be read from windows of one level; both ends are window starts of it.
public struct Segment: Hashable, Sendable {
  public var level: WindowLevel
  /// Microseconds since the epoch, inclusive.
  public var from: Int64
  /// Microseconds since the epoch, exclusive.
  public var to: Int64

  public init(level: WindowLevel, from: Int64, to: Int64) {
    self.level = level
    self.from = from
    self.to = to
  }
}

/// Which values of a dimension are wanted.
public struct DimensionFilter: Hashable, Sendable {
  public enum Operation: String, CaseIterable, Sendable {
    case isAnyOf = "is"
    case isNoneOf = "is_not"
    case contains = "contains"
  }

  public var operation: Operation
  public var dimension: Dimension
  public var values: [String]

  public init(operation: Operation, dimension: Dimension, values: [String]) {
    self.operation = operation
    self.dimension = dimension
    self.values = values
  }
}

extension DimensionFilter {
  /// Whether a value passes: the whole value for `is` and `is_not`, any part of it, with the
  /// same case of letters, for `contains`.
  public func admits(_ value: String) -> Bool {
    switch operation {
    case .isAnyOf: values.contains { $0.utf8.elementsEqual(value.utf8) }
    case .isNoneOf: !values.contains { $0.utf8.elementsEqual(value.utf8) }
    case .contains: values.contains { Self.occurs(Array($0.utf8), in: Array(value.utf8)) }
    }
  }

  private static func occurs(_ part: [UInt8], in whole: [UInt8]) -> Bool {
    if part.isEmpty { return true }
    guard whole.count >= part.count else { return false }
    return (0...whole.count - part.count).contains { start in
      whole[start..<start + part.count].elementsEqual(part)
    }
  }
}

/// What to read: windows of segments, for one site, grouped.
public struct ViewSelection: Hashable, Sendable {
  public var measure: Measure
  public var site: String
  public var segments: [Segment]
  /// All of them hold.
  public var filters: [DimensionFilter]
  /// Of each of these lists one holds.
  public var alternatives: [[DimensionFilter]]
  /// Currency is always kept apart, asked for or not: money of different currencies is not added.
  public var groupBy: [Dimension]
  /// Rising starts of time buckets, microseconds since the epoch; a window belongs to the last
  /// bucket that starts at or before it. Empty for one bucket over everything.
  public var buckets: [Int64]

  public init(
    measure: Measure = .activity, site: String, segments: [Segment], filters: [DimensionFilter],
    alternatives: [[DimensionFilter]] = [], groupBy: [Dimension], buckets: [Int64]
  ) {
    self.measure = measure
    self.site = site
    self.segments = segments
    self.filters = filters
    self.alternatives = alternatives
    self.groupBy = groupBy
    self.buckets = buckets
  }

  /// All filters, those of which one must hold too.
  public var allFilters: [DimensionFilter] { filters + alternatives.joined() }

  /// Whether the filters hold for what a row has of each dimension.
  public func admits(_ value: (Dimension) -> String) -> Bool {
    filters.allSatisfy { $0.admits(value($0.dimension)) }
      && alternatives.allSatisfy { $0.contains { $0.admits(value($0.dimension)) } }
  }
}

/// Counts of one group in one bucket and currency.
public struct ViewGroup: Hashable, Sendable {
  /// Index into the selection's buckets; 0 where there are none.
  public var bucket: Int
  /// Values in the order of `groupBy`.
  public var dimensions: [String]
  public var currency: String
  /// What the selection's measure puts into the six places.
  public var counts: Counts
  /// The highest one of its rows: how often a row was corrected after it was final, see
  /// ``WindowRow/revision``.
  public var revision: Int32

  public init(
    bucket: Int, dimensions: [String], currency: String, counts: Counts, revision: Int32 = 0
  ) {
    self.revision = revision
    self.bucket = bucket
    self.dimensions = dimensions
    self.currency = currency
    self.counts = counts
  }
}

/// What the durable store holds at one instant: groups, and the checkpoints that they belong to.
public struct DurableAnswer: Sendable {
  public var groups: [ViewGroup]
  public var checkpoints: [StreamPartition: Checkpoint]

  public init(groups: [ViewGroup], checkpoints: [StreamPartition: Checkpoint]) {
    self.groups = groups
    self.checkpoints = checkpoints
  }
}

/// One instant of the durable store that questions share: sums that are kept may be asked for as of it.
public struct DurableMoment: Sendable {
  public var checkpoints: [StreamPartition: Checkpoint]
  /// Before it was read.
  public var asOf: ContinuousClock.Instant
  /// Of windows that have left the state of some streams and not of all: the rows of those streams.
  public var rows: [HotRow]

  public init(
    checkpoints: [StreamPartition: Checkpoint], asOf: ContinuousClock.Instant, rows: [HotRow]
  ) {
    self.checkpoints = checkpoints
    self.asOf = asOf
    self.rows = rows
  }
}

/// What a durable store has in memory of a selection, as of a moment.
public enum KeptGroups: Sendable {
  /// Of windows before every stream's seam.
  case groups([ViewGroup])
  /// It is of a later moment: ask as of a new one.
  case later
  /// It has to be read first, see ``DurableViewReader/read(_:belowSeams:)``.
  case none
}

/// The newest hopping window and the one a window's length before it.
public struct TrendAnswer: Sendable {
  /// End of the newest window that is known, exclusive, microseconds since the epoch; nil before the
  /// first frame.
  public var end: Int64?
  /// Length of a window, microseconds.
  public var size: Int64
  /// With one dimension each; bucket 0 is the window before, bucket 1 the newest one.
  public var groups: [ViewGroup]
  /// How far the second stage has come.
  public var checkpoint: Checkpoint

  public init(end: Int64?, size: Int64, groups: [ViewGroup], checkpoint: Checkpoint) {
    self.end = end
    self.size = size
    self.groups = groups
    self.checkpoint = checkpoint
  }
}

/// Reads durable rows. Safe to use from any task; each call takes a connection of a bounded pool.
public protocol DurableViewReader: Sendable {
  /// Rows and checkpoints of one instant.
  ///
  /// - Parameter belowSeams: where true only windows that have left the operators' state (those
  ///   before their partition's seam); the hot copy has the others.
  func read(
    _ selection: ViewSelection, belowSeams: Bool
  ) async throws(ViewReadError) -> DurableAnswer

  /// This instant, for questions that share it; nil where the store keeps no sums.
  ///
  /// - Parameters:
  ///   - levels: whose rows between seams are read.
  ///   - rowCountMax: of these; more are cut off after one more.
  func moment(
    _ measure: Measure, levels: [WindowLevel], rowCountMax: Int
  ) async throws(ViewReadError) -> DurableMoment?

  /// What is in memory of a selection as of a moment that this reader has given.
  func kept(_ selection: ViewSelection, at moment: DurableMoment) -> KeptGroups

  /// The newest trends of a site by one dimension, of one instant.
  func trends(
    site: String, groupBy dimension: Dimension
  ) async throws(ViewReadError) -> TrendAnswer

  func checkpoints() async throws(ViewReadError) -> [StreamPartition: Checkpoint]

  /// What became of every event, over the streams of events and the dead letters.
  func accounting() async throws(ViewReadError) -> Accounting
}

extension DurableViewReader {
  public func moment(
    _ measure: Measure, levels: [WindowLevel], rowCountMax: Int
  ) async throws(ViewReadError) -> DurableMoment? { nil }

  public func kept(_ selection: ViewSelection, at moment: DurableMoment) -> KeptGroups { .none }
}

/// What the hot copy holds: headers per partition, and rows of windows at or past given seams.
public struct HotAnswer: Sendable {
  public var headers: [Int: HotHeader]
  public var rows: [HotRow]

  public init(headers: [Int: HotHeader], rows: [HotRow]) {
    self.headers = headers
    self.rows = rows
  }
}

/// Reads the hot copy. Safe to use from any task.
public protocol HotViewReader: Sendable {
  /// The same for the copies of another generation of streams; by default there is one set of copies.
  func of(generation: UInt32) -> any HotViewReader

  /// Headers by partition; a partition without a complete copy is absent.
  func headers(partitions: [Int]) async throws(ViewReadError) -> [Int: HotHeader]

  /// Headers, and the rows of the segments' windows at or past each partition's seam of `seams`,
  /// consistent per partition.
  ///
  /// - Parameter filter: rows that it does not admit may be left out.
  func read(
    segments: [Segment], seams: [Int: Seams], filter: TupleFilter
  ) async throws(ViewReadError) -> HotAnswer

  /// The same without a filter; refused, before they are read where that can be told, where there are more rows than
  /// `rowCountMax`.
  func read(
    segments: [Segment], seams: [Int: Seams], rowCountMax: Int
  ) async throws(ViewReadError) -> HotAnswer
}

extension HotViewReader {
  public func read(
    segments: [Segment], seams: [Int: Seams]
  ) async throws(ViewReadError) -> HotAnswer {
    try await read(segments: segments, seams: seams, filter: .everything)
  }

  public func read(
    segments: [Segment], seams: [Int: Seams], rowCountMax: Int
  ) async throws(ViewReadError) -> HotAnswer {
    let answer = try await read(segments: segments, seams: seams)
    if answer.rows.count > rowCountMax { throw .refused("there are more than \(rowCountMax) rows") }
    return answer
  }

  public func of(generation: UInt32) -> any HotViewReader { self }
}

public enum ViewReadError: Error, Hashable, Sendable {
  case unavailable(String)
  case refused(String)
}

extension ViewReadError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unavailable(let reason): reason
    case .refused(let reason): "refused: \(reason)"
    }
  }
}
