/// The additive part of every metric of a window. Sums of counts are exact in any order.
public struct Counts: Hashable, Sendable, BitwiseCopyable {
  public var impressions: Int64 = 0
  public var views: Int64 = 0
  public var clicks: Int64 = 0
  public var engagements: Int64 = 0
  public var conversions: Int64 = 0
  /// Millionths of the row's currency. Sums end at the ends of Int64 instead of running over: beyond
  /// 9.2 · 10^12 units an amount is no longer exact, but never of the wrong sign.
  public var revenueMicros: Int64 = 0

  @inlinable public init() {}

  @inlinable public init(
    impressions: Int64, views: Int64, clicks: Int64, engagements: Int64, conversions: Int64,
    revenueMicros: Int64
  ) {
    self.impressions = impressions
    self.views = views
    self.clicks = clicks
    self.engagements = engagements
    self.conversions = conversions
    self.revenueMicros = revenueMicros
  }

  /// Counts one event. `identify` and `custom` count nothing.
  @inlinable public mutating func add(kind: UInt8, revenueMicros: Int64) {
    switch kind {
    case 1: impressions &+= 1
    case 2: views &+= 1
    case 3: clicks &+= 1
    case 4: engagements &+= 1
    case 5:
      conversions &+= 1
      self.revenueMicros = Counts.sum(self.revenueMicros, revenueMicros)
    default: break
    }
  }

  @inlinable public static func += (a: inout Counts, b: Counts) {
    a.impressions &+= b.impressions
    a.views &+= b.views
    a.clicks &+= b.clicks
    a.engagements &+= b.engagements
    a.conversions &+= b.conversions
    a.revenueMicros = sum(a.revenueMicros, b.revenueMicros)
  }

  /// The sum of two amounts, or the end of Int64 that it lies beyond.
  @inlinable public static func sum(_ a: Int64, _ b: Int64) -> Int64 {
    let (sum, isOver) = a.addingReportingOverflow(b)
    return isOver ? (b < 0 ? .min : .max) : sum
  }
}

/// One row of the window read model: what one source partition counted for one tuple in one window.
public struct WindowRow: Hashable, Sendable {
  public var level: WindowLevel
  /// Start of the window, microseconds since the epoch.
  public var start: Int64
  /// ``DimensionTuple/identifier(encoded:)`` of the row's tuple.
  public var dimensionID: Int64
  public var counts: Counts
  /// The number of frames that changed the row after it was final.
  public var revision: Int32
  /// True once the watermark has passed the window's end.
  public var isFinal: Bool

  public init(
    level: WindowLevel, start: Int64, dimensionID: Int64, counts: Counts, revision: Int32,
    isFinal: Bool
  ) {
    self.level = level
    self.start = start
    self.dimensionID = dimensionID
    self.counts = counts
    self.revision = revision
    self.isFinal = isFinal
  }
}

/// A tuple and its identity, as read models store it.
public struct DimensionEntry: Hashable, Sendable {
  public var id: Int64
  /// An encoded ``DimensionTuple``.
  public var encoded: [UInt8]

  public init(id: Int64, encoded: [UInt8]) {
    self.id = id
    self.encoded = encoded
  }
}
