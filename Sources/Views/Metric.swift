/// A metric as the query API names it, and how it follows from ``Counts``.
public enum Metric: String, CaseIterable, Sendable {
  case impressions
  case views
  case clicks
  case ctr
  case engagements
  case engagementRate = "engagement_rate"
  case conversions
  case conversionRate = "conversion_rate"
  case revenue

  /// The value, or nil where it is a ratio without a denominator.
  ///
  /// `ctr` is clicks by impressions, `engagement_rate` engagements by views, `conversion_rate`
  /// conversions by clicks; each is a fraction from 0. `revenue` is in units of one currency and is
  /// only meaningful for counts of a single one.
  public func value(of counts: Counts) -> Double? {
    switch self {
    case .impressions: Double(counts.impressions)
    case .views: Double(counts.views)
    case .clicks: Double(counts.clicks)
    case .ctr: ratio(counts.clicks, counts.impressions)
    case .engagements: Double(counts.engagements)
    case .engagementRate: ratio(counts.engagements, counts.views)
    case .conversions: Double(counts.conversions)
    case .conversionRate: ratio(counts.conversions, counts.clicks)
    case .revenue: Double(counts.revenueMicros) / 1_000_000
    }
  }

  private func ratio(_ part: Int64, _ whole: Int64) -> Double? {
    whole == 0 ? nil : Double(part) / Double(whole)
  }
}
