public import Views

/// What a key did in a bin, as far as it is watched.
public struct IncidentCounts: Hashable, Sendable, BitwiseCopyable {
  public var impressions: Int64
  public var clicks: Int64
  public var conversions: Int64

  public init(impressions: Int64 = 0, clicks: Int64 = 0, conversions: Int64 = 0) {
    self.impressions = impressions
    self.clicks = clicks
    self.conversions = conversions
  }

  public init(_ counts: Counts) {
    self.init(
      impressions: counts.impressions, clicks: counts.clicks, conversions: counts.conversions)
  }

  public static func += (a: inout IncidentCounts, b: IncidentCounts) {
    a.impressions &+= b.impressions
    a.clicks &+= b.clicks
    a.conversions &+= b.conversions
  }

  public var isZero: Bool { self == IncidentCounts() }

  /// Events of all kinds, none less than 0.
  var sum: Double { vector.sum() }

  /// Impressions, clicks and conversions.
  var vector: SIMD3<Double> {
    SIMD3(Self.bounded(impressions), Self.bounded(clicks), Self.bounded(conversions))
  }

  /// More than any bin has, and few enough for squares of sums.
  private static let countMax: Int64 = 1_000_000_000_000

  private static func bounded(_ count: Int64) -> Double { Double(min(max(0, count), countMax)) }

  subscript(quantity: IncidentRow.Kind.Quantity) -> Int64 {
    switch quantity {
    case .impressions: impressions
    case .clicks: clicks
    case .conversions: conversions
    }
  }
}

extension IncidentRow.Kind {
  /// What is counted where something of the kind happens; the raw value is its place in vectors.
  enum Quantity: Int {
    case impressions, clicks, conversions
  }

  var quantity: Quantity {
    switch self {
    case .trafficDown, .trafficUp: .impressions
    case .rateDown, .rateUp: .clicks
    case .conversionDown, .conversionUp: .conversions
    }
  }
}
