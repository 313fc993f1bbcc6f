/// Which persons an ``ExposureBook`` follows: those of one experiment.
public struct ExposureQuestion: Hashable, Sendable {
  public var id: String
  public var site: String
  public var campaign: String
  /// In the order of chances.
  public var variants: [String]
  /// Event times of exposures, microseconds since the epoch.
  public var times: Range<Int64>
  /// Names of events, at most ``goalsMax``.
  public var goals: [String]
  /// Whether what persons do is wanted, not only who came.
  public var wantsOutcomes: Bool

  public static let goalsMax = 32

  public init(
    id: String, site: String, campaign: String, variants: [String], times: Range<Int64>,
    goals: [String] = [], wantsOutcomes: Bool = true
  ) {
    precondition(goals.count <= Self.goalsMax, "goals have a bit each")
    self.id = id
    self.site = site
    self.campaign = campaign
    self.variants = variants
    self.times = times
    self.goals = goals
    self.wantsOutcomes = wantsOutcomes
  }

  /// Whatever its end.
  var endless: ExposureQuestion {
    var endless = self
    endless.times = times.lowerBound..<Int64.max
    return endless
  }
}
