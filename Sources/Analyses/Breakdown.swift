public import Events
public import Operators

/// Counts, and sketches where they are asked for, by any combination of dimensions.
///
/// What counts is what the windows of the pipeline count, so that the sums of a question that the read models answer
/// are the same. Groups are bounded: events that belong to one too many count for the `(other)` of their bucket, and
/// the answer says how many did. See ``BreakdownTable`` for the cost.
public final class Breakdown: Analysis {
  public let question: BreakdownQuestion
  private var table: BreakdownTable

  /// - Parameter segments: needed where ``BreakdownQuestion/needsSegments``.
  public init(_ question: BreakdownQuestion, segments: SegmentHistory = .none) {
    self.question = question
    table = BreakdownTable(question, segments)
  }

  public var times: Range<Int64> { question.times }

  public func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment
  ) throws(AnalysisError) {
    table.add(frame, counted)
  }

  public func merge(_ other: Breakdown) throws(AnalysisError) { table.merge(other.table) }

  /// One for each group, and where there were too many one for `(other)` in each bucket; by bucket, then by the bytes
  /// of the values, `(other)` last.
  public func rows() -> [BreakdownRow] { table.rows() }

  /// Of the events that were counted, the share that is in rows of `(other)`; 0 where nothing was counted.
  public var otherShare: Double { table.otherShare }
}
