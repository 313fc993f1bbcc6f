public import Statistics
public import Views

/// What a ``Breakdown`` has found of one group.
public struct BreakdownRow: Sendable {
  /// Index into the question's buckets; 0 where there are none.
  public var bucket: Int
  /// In the order of the question's dimensions; `(other)` in all of them where ``isOther``.
  public var values: [String]
  public var isOther: Bool
  /// By currency: money of different ones is not added.
  public var counts: [String: Counts] = [:]
  /// Events of all kinds that the question counts.
  public var events: Int64 = 0
  /// Nil where they are not asked for.
  public var uniques: HyperLogLog?
  public var dwell: DDSketch?
  public var scroll: DDSketch?
  /// In the order of the question's.
  public var tops: [TopList] = []

  public init(bucket: Int, values: [String], isOther: Bool) {
    self.bucket = bucket
    self.values = values
    self.isOther = isOther
  }

  /// In the place of values that were one too many.
  public static let other = "(other)"

  /// What was counted most.
  public struct TopList: Sendable {
    public struct Entry: Hashable, Sendable {
      public var text: String
      /// At least the true number, and at most ``error`` more.
      public var count: UInt64
      public var error: UInt64
    }

    public var entries: [Entry]
    /// Whether these are surely the true ones.
    public var isCertain: Bool
  }
}
