public import Events
public import Views

/// What was counted of the persons who were first exposed to a campaign in one window, by what their first
/// exposure was.
public struct ExperimentCohort: Sendable, Hashable {
  /// Of the window, microseconds since the epoch.
  public var start: Int64
  public var variant: String
  public var channel: String
  public var content: String
  /// Class of the device, family of the browser and country of the first exposure; empty where they are not known,
  /// as in windows' rows, which have no place for them.
  public var device: String
  public var browser: String
  public var country: String
  /// Empty for people.
  public var traffic: String
  /// Of the money; persons themselves are in the row of their exposure, mostly without one.
  public var currency: String
  public var exposures: Exposures
  public var baselines: Baselines
  public var actions: CohortActions

  public init(
    start: Int64, variant: String, channel: String = "", content: String = "",
    device: String = "", browser: String = "", country: String = "",
    traffic: String = "", currency: String = "", exposures: Exposures,
    baselines: Baselines = Baselines(), actions: CohortActions = CohortActions()
  ) {
    self.start = start
    self.variant = variant
    self.channel = channel
    self.content = content
    self.device = device
    self.browser = browser
    self.country = country
    self.traffic = traffic
    self.currency = currency
    self.exposures = exposures
    self.baselines = baselines
    self.actions = actions
  }
}

/// What else exposed persons did within their outcome window, which windows' rows have no place for.
public struct CohortActions: Sendable, Hashable {
  /// Persons with an engagement.
  public var engagers: Int64 = 0
  /// Persons of whom time in view is known.
  public var dwellers: Int64 = 0
  /// Time in view, tenths of a second; a person's counts up to ``dwellTenthsMax``.
  public var dwellTenths: Int64 = 0
  public var dwellTenthsSquared: Int64 = 0
  /// Persons who reached each of the experiment's goals, in their order.
  public var goals: [Int64]

  /// An hour: a page that was left open does not decide an experiment.
  public static let dwellTenthsMax: Int64 = 36_000

  public init(goals: [Int64] = []) { self.goals = goals }

  public static func += (left: inout Self, right: Self) {
    left.engagers += right.engagers
    left.dwellers += right.dwellers
    left.dwellTenths += right.dwellTenths
    left.dwellTenthsSquared += right.dwellTenthsSquared
    while left.goals.count < right.goals.count { left.goals.append(0) }
    for (index, count) in right.goals.enumerated() { left.goals[index] += count }
  }
}

/// Cohorts at one instant of the read model.
public struct ExperimentCohorts: Sendable, Hashable {
  /// By start, then by variant, channel, content, device, browser, country, traffic and currency.
  public var cohorts: [ExperimentCohort]
  /// No event on time is older; nil before the first frame.
  public var watermark: Int64?
  /// How long after its exposure what a person does counts, microseconds.
  public var outcomeWindow: Int64
  /// Up to where the log is in it; nil where that is not known.
  public var position: Position?
  /// The greatest stored time of the log that is in it, microseconds since the epoch; nil before the first frame.
  public var logTime: Int64?

  public init(
    cohorts: [ExperimentCohort], watermark: Int64?, outcomeWindow: Int64,
    position: Position? = nil, logTime: Int64? = nil
  ) {
    self.cohorts = cohorts
    self.watermark = watermark
    self.outcomeWindow = outcomeWindow
    self.position = position
    self.logTime = logTime
  }
}

/// Reads cohorts of campaigns. Safe to use from any task.
public protocol ExperimentReader: Sendable {
  /// How long after its exposure what a person does counts, where nothing else is said; microseconds.
  func outcomeWindow() async throws(ViewReadError) -> Int64

  /// - Parameters:
  ///   - from: a window's start, inclusive; microseconds since the epoch.
  ///   - to: a window's start, exclusive.
  ///   - dimensions: what rows are told apart by beside variant and traffic: channel, content; the others are empty.
  func cohorts(
    site: String, campaign: String, from: Int64, to: Int64, level: WindowLevel,
    by dimensions: [Dimension]
  ) async throws(ViewReadError) -> ExperimentCohorts
}
