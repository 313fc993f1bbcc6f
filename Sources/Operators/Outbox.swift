public import Views

/// What is wanted from a drain.
public enum Drain: Hashable, Sendable {
  /// Rows whose counts changed since the last hot drain: of open windows, of final ones, and the last
  /// values of windows that have expired since. That a window became final changes none of them: a
  /// reader tells it by the watermark that comes with the rows.
  case hot
  /// Every row in state, and those that have left it since the last commit drain; the next hot drain
  /// starts from here.
  case hotComplete
  /// What a transaction must write: final and corrected rows, corrections of expired windows, late
  /// events, and the tuples that they use. Hour and day rows of open windows only if
  /// `includeCoarse`.
  case commit(includeCoarse: Bool)
}

/// What operators hand out, in key order: (level, start, dimension) for rows and deltas,
/// (sequence, index) for late events, id for dimensions.
public struct Outbox: Sendable {
  public var hot: [HotRow] = []
  public var dimensions: [DimensionEntry] = []
  /// Absolute values.
  public var rows: [WindowRow] = []
  /// To be added to what is stored.
  public var deltas: [WindowRow] = []
  public var lateEvents: [LateEvent] = []

  public init() {}
}
