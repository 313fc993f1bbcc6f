/// Values of sites and campaigns that are no counts, bin by bin, and how new the last ones were; see ``NoveltyLearner``.
public struct ValueNovelties: Sendable {
  public enum Quantity: String, CaseIterable, Sendable {
    /// Money of each conversion that brought some, in units of its currency.
    case revenue = "revenue_per_conversion"
    /// Seconds of each view or engagement that tells them.
    case dwell = "seconds_in_view"
  }

  public struct Key: Hashable, Comparable, Sendable {
    public var site: String
    /// Empty for the whole site.
    public var campaign: String
    public var quantity: Quantity
    /// Of the money, else empty.
    public var currency: String

    public init(site: String, campaign: String = "", quantity: Quantity, currency: String = "") {
      self.site = site
      self.campaign = campaign
      self.quantity = quantity
      self.currency = currency
    }

    public static func < (a: Self, b: Self) -> Bool {
      (a.site, a.campaign, a.quantity.rawValue, a.currency)
        < (b.site, b.campaign, b.quantity.rawValue, b.currency)
    }
  }

  public struct Point: Sendable, Equatable {
    /// Of the bin, microseconds since the epoch.
    public var start: Int64
    public var value: Double
    /// A mean of those before; nil of the first.
    public var usual: Double?
    /// 0: nothing new; 1: as new as anything so far in each regard.
    public var novelty: Double
  }

  public struct Anomaly: Sendable, Equatable {
    public var point: Point
    /// In what regard it was new, the most first: names of `NoveltyDetector.opinions`, as shares of the largest so far.
    public var regards: [(name: String, share: Double)]

    public static func == (a: Self, b: Self) -> Bool {
      a.point == b.point && a.regards.elementsEqual(b.regards) { $0 == $1 }
    }
  }

  public struct Series: Sendable, Equatable {
    public var key: Key
    /// Bins with a value.
    public var count: Int
    public var last: Point
    /// The newest; nil while there was none.
    public var anomaly: Anomaly?
  }

  public let progress: LearningProgress
  /// In order of their keys.
  public let series: [Series]
  /// Events that came after their bin was closed, and values that there was no room for.
  public let turnedAway: UInt64

  /// For how long an anomaly is told of, microseconds.
  public static let fresh: Int64 = 1_800_000_000

  /// Whether the series' anomaly was within the last half hour of the log's time.
  public func isFresh(_ series: Series) -> Bool {
    guard let anomaly = series.anomaly else { return false }
    return anomaly.point.start + NoveltyLearner.bin + Self.fresh > progress.logTime
  }
}
