/// A metric as the query API names it, and how it follows from ``Counts`` or ``Outcomes``.
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
  case sessions
  case bounces
  case bounceRate = "bounce_rate"
  case sessionDuration = "session_duration"
  case attributedClicks = "attributed_clicks"
  case attributedConversions = "attributed_conversions"
  case attributedConversionRate = "attributed_conversion_rate"
  case attributedRevenue = "attributed_revenue"
  case exposedPersons = "exposed_persons"
  case exposedClickers = "exposed_clickers"
  case exposedConverters = "exposed_converters"
  case exposedClickRate = "exposed_click_rate"
  case exposedConversionRate = "exposed_conversion_rate"
  case exposedRevenue = "exposed_revenue"
  case mixedPersons = "mixed_persons"

  /// The rows that it follows from.
  public var measure: Measure {
    switch self {
    case .impressions, .views, .clicks, .ctr, .engagements, .engagementRate, .conversions,
      .conversionRate, .revenue:
      .activity
    case .sessions, .bounces, .bounceRate, .sessionDuration, .attributedClicks,
      .attributedConversions, .attributedConversionRate, .attributedRevenue:
      .outcomes
    case .exposedPersons, .exposedClickers, .exposedConverters, .exposedClickRate,
      .exposedConversionRate, .exposedRevenue, .mixedPersons:
      .exposures
    }
  }

  /// What a metric is for a group of rows.
  public enum Value: Hashable, Sendable {
    case count(Int64)
    /// Nil without a denominator.
    case ratio(Double?)
    /// Millionths; only meaningful for rows of a single currency.
    case money(Int64)
  }

  /// `ctr` is clicks by impressions, `engagement_rate` engagements by views, `conversion_rate`
  /// conversions by clicks, `exposed_click_rate` exposed persons who clicked by exposed persons,
  /// `exposed_conversion_rate` those who converted by the same, `bounce_rate` bounces by sessions, `attributed_conversion_rate` attributed
  /// conversions by attributed clicks; each is a fraction from 0. `session_duration` is seconds from
  /// the first to the last event per session; one that has not ended counts with what is known of it.
  ///
  /// - Parameter sums: what a window keeps of ``measure``, in the places of ``Counts``.
  public func value(of sums: Counts) -> Value {
    let outcomes = Outcomes(sums)
    let exposures = Exposures(sums)
    return switch self {
    case .impressions: .count(sums.impressions)
    case .views: .count(sums.views)
    case .clicks: .count(sums.clicks)
    case .engagements: .count(sums.engagements)
    case .conversions: .count(sums.conversions)
    case .revenue: .money(sums.revenueMicros)
    case .sessions: .count(outcomes.sessions)
    case .bounces: .count(outcomes.bounces)
    case .sessionDuration:
      .ratio(Self.ratio(outcomes.sessionMicros, outcomes.sessions).map { $0 / 1_000_000 })
    case .attributedClicks: .count(outcomes.attributedClicks)
    case .attributedConversions: .count(outcomes.attributedConversions)
    case .ctr, .engagementRate, .conversionRate, .bounceRate, .attributedConversionRate,
      .exposedClickRate, .exposedConversionRate:
      .ratio(rate(of: sums).flatMap { Self.ratio($0.part, $0.whole) })
    case .attributedRevenue: .money(outcomes.attributedRevenueMicros)
    case .exposedPersons: .count(exposures.persons)
    case .exposedClickers: .count(exposures.clickers)
    case .exposedConverters: .count(exposures.converters)
    case .exposedRevenue: .money(exposures.revenueMicros)
    case .mixedPersons: .count(exposures.mixed)
    }
  }

  /// What happened and how often it could have, of metrics that are rates; nil of others.
  ///
  /// Bounces are sessions, and who was exposed are persons. The others count events by events: a person may click an impression twice, or
  /// convert twice after a click, so that the part can be more than the whole.
  public func rate(of sums: Counts) -> (part: Int64, whole: Int64)? {
    let outcomes = Outcomes(sums)
    let exposures = Exposures(sums)
    return switch self {
    case .ctr: (sums.clicks, sums.impressions)
    case .engagementRate: (sums.engagements, sums.views)
    case .conversionRate: (sums.conversions, sums.clicks)
    case .bounceRate: (outcomes.bounces, outcomes.sessions)
    case .attributedConversionRate: (outcomes.attributedConversions, outcomes.attributedClicks)
    case .exposedClickRate: (exposures.clickers, exposures.persons)
    case .exposedConversionRate: (exposures.converters, exposures.persons)
    default: nil
    }
  }

  /// Whether the metric is a rate.
  public var isRate: Bool { rate(of: Counts()) != nil }

  private static func ratio(_ part: Int64, _ whole: Int64) -> Double? {
    whole == 0 ? nil : Double(part) / Double(whole)
  }
}
