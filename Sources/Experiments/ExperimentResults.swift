public import Events
public import Statistics

/// What an experiment has come to, at one position of the log. A function of its cohorts alone.
public struct ExperimentResults: Sendable, Equatable {
  public struct Interval: Sendable, Equatable {
    public var value: Double
    public var lower: Double
    public var upper: Double
  }

  /// One metric of one variant.
  public struct MetricValue: Sendable, Equatable {
    public var metric: ExperimentMetric
    /// Nil without persons.
    public var value: Interval?
    /// Nil for the control.
    public var comparison: MetricComparison?
  }

  /// A variant against the control.
  public struct MetricComparison: Sendable, Equatable {
    /// Relative: 0.05 is five per cent more. Nil where the control has nothing.
    public var lift: Double?
    public var liftLower: Double?
    public var liftUpper: Double?
    /// In the metric's own unit, within epochs, after CUPED.
    public var difference: Interval?
    /// What CUPED took off the difference's variance, as a fraction; nil where nothing is known of what persons did before.
    public var varianceReduction: Double?
    /// Nil where it is not worked out.
    public var pValue: Double?
    public var decision: SequentialRateTest.Decision?
  }

  public struct Variant: Sendable, Equatable {
    public var name: String
    public var isControl: Bool
    /// Whose outcome window has passed.
    public var persons: Int
    public var metrics: [MetricValue]
    /// By the primary metric.
    public var chanceToBeBest: Double?
    public var expectedLoss: Double?
    /// Nil for the control.
    public var chanceToBeatControl: Double?
  }

  /// The time between two changes of the allocation, as far as persons of it count: by the primary metric.
  public struct Epoch: Sendable, Equatable {
    /// Microseconds since the epoch.
    public var since: Int64
    /// Of all persons, in parts of ``Allocation/parts``; these and what follows by variant.
    public var shares: [Int]
    public var persons: [Int]
    /// Nil without persons.
    public var values: [Double?]
    /// Against the control; nil for it, and where it has nothing.
    public var lifts: [Double?]
  }

  /// How far the experiment is.
  public struct Progress: Sendable, Equatable {
    /// Of each variant.
    public var plannedPersons: Int
    /// Of the variant that has the fewest.
    public var persons: Int
    /// Of each variant, by which a test that is read once finds the smallest effect worth having in 80 of 100 experiments;
    /// nil where too little is known of the control.
    public var neededPersons: Double?
  }

  public struct Segment: Sendable, Equatable {
    public var dimension: String
    public var value: String
    public var persons: [Int]
    /// By variant.
    public var metrics: [MetricValue]
  }

  public struct SampleRatio: Sendable, Equatable {
    /// By what persons were due.
    public enum Basis: String, Sendable {
      /// The weights of the experiment.
      case declared
      /// The chances that events say.
      case logged
    }

    public var basis: Basis
    public var alpha: Double
    public var pValue: Double
    public var isMismatch: Bool
    public var observed: [Double]
    public var expected: [Double]
    public var failures: [SampleRatioDimensions.Failure]
  }

  /// How far the numbers go.
  public struct Completeness: Sendable, Equatable {
    /// Up to where the log is in it; nil where that is not known.
    public var position: Position?
    /// The greatest stored time of the log that is in it, microseconds since the epoch.
    public var logTime: Int64?
    public var watermark: Int64?
    public var outcomeWindow: Int64
    /// Of the newest exposures that count; nil where none do.
    public var matureUntil: Int64?
    /// Persons whose outcome window has not passed.
    public var immaturePersons: Int
    /// Persons in windows in which the experiment began, ended or changed its allocation; they count nowhere.
    public var betweenEpochs: Int
  }

  public struct Decision: Sendable, Equatable {
    public var action: ExperimentVerdict.Action
    /// To take; nil where there is none to take.
    public var variant: String?
    public var reasons: [String]
  }

  public var variants: [Variant]
  /// In order of time.
  public var epochs: [Epoch]
  public var progress: Progress
  public var segments: [Segment]
  /// Values of segments that are not shown, since there are too many.
  public var hiddenSegments: Int
  public var sampleRatio: SampleRatio
  /// Persons who saw more than one variant within their outcome window.
  public var mixedPersons: Int
  public var decision: Decision
  public var completeness: Completeness
  public var warnings: [String]
}
