/// A row of the hot copy; its tuple is written out so that the copy needs nothing beside it.
public struct HotRow: Hashable, Sendable {
  /// It is not written again for having become final: the watermark of the copy's header says that.
  public var row: WindowRow
  /// An encoded ``DimensionTuple``.
  public var tuple: [UInt8]

  public init(row: WindowRow, tuple: [UInt8]) {
    self.row = row
    self.tuple = tuple
  }
}
