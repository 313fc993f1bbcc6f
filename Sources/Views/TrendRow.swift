/// One row of the trend read model: what happened to a tuple within a hopping window. Where a window
/// has rows, it has one of each tuple that anything happened to.
public struct TrendRow: Hashable, Sendable {
  /// End of the window, exclusive, microseconds since the epoch; a multiple of the slide.
  public var end: Int64
  /// ``DimensionTuple/identifier(encoded:)`` of the row's tuple.
  public var dimensionID: Int64
  /// Sums over the window's length before `end`.
  public var counts: Counts
  /// The number of times the row changed after it was final.
  public var revision: Int32
  /// True once the watermark has passed `end`.
  public var isFinal: Bool

  public init(end: Int64, dimensionID: Int64, counts: Counts, revision: Int32, isFinal: Bool) {
    self.end = end
    self.dimensionID = dimensionID
    self.counts = counts
    self.revision = revision
    self.isFinal = isFinal
  }
}
