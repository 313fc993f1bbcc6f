public import Views

/// What was counted of the persons who were first exposed to a campaign in one window, by what their first
/// exposure was.
public struct ExperimentCohort: Sendable, Hashable {
  /// Of the window, microseconds since the epoch.
  public var start: Int64
  public var variant: String
  public var channel: String
  public var content: String
  /// Empty for people.
  public var traffic: String
  /// Of the money; persons themselves are in the row of their exposure, mostly without one.
  public var currency: String
  public var exposures: Exposures
  public var baselines: Baselines

  public init(
    start: Int64, variant: String, channel: String = "", content: String = "",
    traffic: String = "", currency: String = "", exposures: Exposures,
    baselines: Baselines = Baselines()
  ) {
    self.start = start
    self.variant = variant
    self.channel = channel
    self.content = content
    self.traffic = traffic
    self.currency = currency
    self.exposures = exposures
    self.baselines = baselines
  }
}

/// Cohorts at one instant of the read model.
public struct ExperimentCohorts: Sendable, Hashable {
  /// By start, then by variant, channel, content, traffic and currency.
  public var cohorts: [ExperimentCohort]
  /// No event on time is older; nil before the first frame.
  public var watermark: Int64?
  /// How long after its exposure what a person does counts, microseconds.
  public var outcomeWindow: Int64

  public init(cohorts: [ExperimentCohort], watermark: Int64?, outcomeWindow: Int64) {
    self.cohorts = cohorts
    self.watermark = watermark
    self.outcomeWindow = outcomeWindow
  }
}

/// Reads cohorts of campaigns. Safe to use from any task.
public protocol ExperimentReader: Sendable {
  /// - Parameters:
  ///   - from: a window's start, inclusive; microseconds since the epoch.
  ///   - to: a window's start, exclusive.
  func cohorts(
    site: String, campaign: String, from: Int64, to: Int64, level: WindowLevel
  ) async throws(ViewReadError) -> ExperimentCohorts
}
