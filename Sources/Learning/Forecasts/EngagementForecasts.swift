public import Statistics

/// What is expected of the engagement of sites and campaigns hour by hour, and how the hours that are over stood to it.
public struct EngagementForecasts: Sendable {
  /// A site, or one of its campaigns.
  public struct Key: Hashable, Comparable, Sendable {
    public var site: String
    /// Empty for the whole site.
    public var campaign: String

    public init(site: String, campaign: String = "") {
      self.site = site
      self.campaign = campaign
    }

    public static func < (a: Self, b: Self) -> Bool {
      (a.site, a.campaign) < (b.site, b.campaign)
    }
  }

  public struct Hour: Sendable, Equatable {
    /// Microseconds since the epoch.
    public var start: Int64
    /// 80 of 100 hours lie within its ends.
    public var forecast: HourlyForecaster.Forecast
  }

  public struct Series: Sendable, Equatable {
    public var key: Key
    /// That are over, from the first one with an engagement on.
    public var hours: Int
    /// The last one that is over, and what had been expected of it an hour before; nil while nothing could be.
    public var lastStart: Int64
    public var lastCount: Int
    public var lastForecast: HourlyForecaster.Forecast?
    /// How many of the last hours in a row were below, or above, what 80 of 100 hours lie within.
    public var hoursBelow: Int
    public var hoursAbove: Int
    /// The hours from now on, in order: 24 of a site, one of a campaign.
    public var next: [Hour]
  }

  public let progress: LearningProgress
  /// In order of their keys.
  public let series: [Series]
  /// Engagements that came after their hour was closed, or of campaigns that there was no room for.
  public let turnedAway: UInt64
}
