public import Ports
public import Statistics

/// Knows the persons of experiments one by one: what windows' rows don't tell. Safe to use from any task.
public protocol ExperimentFollower: Sendable {
  /// Who came to the variants, in order of time; none where that is not known. See ``LoggedRatio`` and ``AudienceRatio``.
  func arrivals(of experiment: Experiment) -> [SampleRatioStep]

  /// Cohorts of persons by the plan's segments, with what they did within its outcome window.
  ///
  /// - Parameter outcomeWindow: microseconds, where the plan says none.
  func cohorts(
    of experiment: Experiment, outcomeWindow: Int64
  ) throws(ViewReadError) -> ExperimentCohorts
}

/// Follows nobody, where the log is not followed: experiments that need it are refused.
public struct NoExperimentFollower: ExperimentFollower {
  public init() {}

  public func arrivals(of experiment: Experiment) -> [SampleRatioStep] { [] }

  public func cohorts(
    of experiment: Experiment, outcomeWindow: Int64
  ) throws(ViewReadError) -> ExperimentCohorts {
    throw .refused(
      "the experiment asks for what only processes know that follow the log: an outcome window of its own,"
        + " engagement_rate, dwell_per_person, a goal, or results by device, browser or country; ask one that"
        + " serves with --nats or SMARTCONTENT_NATS")
  }
}
