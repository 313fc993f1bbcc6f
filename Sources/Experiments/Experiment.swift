public import Events
import Statistics
public import Views

/// What an experiment compares and how it is judged. Fixed once it runs: whoever changes the rules while
/// numbers come in has no error rate left.
public struct ExperimentPlan: Sendable, Hashable {
  public var site: String
  /// Its variants are the campaign's.
  public var campaign: String
  public var variants: [String]
  /// One of them.
  public var control: String
  public var metric: ExperimentMetric
  /// What a variant must not make less.
  public var guardrails: [ExperimentMetric]
  /// What a variant must not make more, such as `goal:Unsubscribed`.
  public var mustNotRise: [ExperimentMetric]
  /// ISO 4217 code of the money that counts; other money is left out.
  public var currency: String
  /// The smallest relative rise of the metric that would be worth having, such as 0.05.
  public var minimalEffect: Double
  /// Persons of each variant that it is planned for: how soon effects are found hangs on it, never how often
  /// a false one is.
  public var plannedPersons: Int
  /// The chance of ever deciding for a difference that is none, over all variants.
  public var alpha: Double
  /// What is known of a person before the assignment: results are broken down by it, and each value's sample
  /// ratio is watched. Not what hangs on the variant.
  public var segments: [ExperimentSegment]
  /// Persons are counted by the window of their first exposure, and compared within it.
  public var cohort: WindowLevel
  /// How long after its exposure what a person does counts, microseconds; nil: as long as the pipeline says.
  public var outcomeWindow: Int64?

  public static let variantCounts = 2...20
  /// Of those that must not fall, and of those that must not rise.
  public static let guardrailCountMax = 10
  public static let minimalEffects = 0.0001...10.0
  public static let plannedPersonsAllowed = Int(ErrorSpending.planMin)...1_000_000_000
  public static let alphas = 0.0001...0.2
  /// Seconds.
  public static let outcomeWindows = 1...14 * 86_400

  public init(
    site: String = "default", campaign: String, variants: [String], control: String,
    metric: ExperimentMetric = .clickRate, guardrails: [ExperimentMetric] = [],
    mustNotRise: [ExperimentMetric] = [], currency: String = "USD", minimalEffect: Double = 0.05,
    plannedPersons: Int = 20_000,
    alpha: Double = 0.05,
    segments: [ExperimentSegment] = [.channel], cohort: WindowLevel = .minute,
    outcomeWindow: Int64? = nil
  ) {
    self.site = site
    self.campaign = campaign
    self.variants = variants
    self.control = control
    self.metric = metric
    self.guardrails = guardrails
    self.mustNotRise = mustNotRise
    self.currency = currency
    self.minimalEffect = minimalEffect
    self.plannedPersons = plannedPersons
    self.alpha = alpha
    self.segments = segments
    self.cohort = cohort
    self.outcomeWindow = outcomeWindow
  }

  /// The control's place among the variants.
  public var controlIndex: Int { variants.firstIndex(of: control) ?? 0 }

  /// The primary one first.
  var metrics: [ExperimentMetric] { [metric] + guardrails + mustNotRise }

  /// Names of events that metrics count persons by, each once, in the order of ``CohortActions/goals``.
  public var goals: [String] {
    metrics.reduce(into: []) { goals, metric in
      if case .goal(let event) = metric, !goals.contains(event) { goals.append(event) }
    }
  }

  /// Whether it asks for what windows' rows don't tell, so that it is computed from what each person did.
  public var isOfPersons: Bool { !isToldByRows || !segments.allSatisfy(\.isOfRows) }

  /// Whether windows' rows tell all but some of the segments.
  public var isToldByRows: Bool { outcomeWindow == nil && metrics.allSatisfy(\.isOfRows) }

  /// What windows' rows need to be told apart by for its segments.
  public var rowDimensions: [Dimension] {
    segments.compactMap { segment in
      switch segment {
      case .channel: .channel
      case .content: .content
      case .device, .browser, .country: nil
      }
    }
  }

  /// Segments that windows' rows don't tell.
  public var segmentsOfPersons: [ExperimentSegment] { segments.filter { !$0.isOfRows } }
}

/// One experiment: its plan, who was to get which variant from when on, and how far it is.
public struct Experiment: Sendable, Hashable {
  public enum Status: Sendable, Hashable {
    /// Can become running.
    case draft
    /// Can become stopped.
    case running
    /// For ever.
    case stopped(at: Int64, Decision)

    public var name: String {
      switch self {
      case .draft: "draft"
      case .running: "running"
      case .stopped: "stopped"
      }
    }
  }

  /// What everybody gets from the end on.
  public struct Decision: Sendable, Hashable {
    public var variant: String
    public var reason: String

    public init(variant: String, reason: String) {
      self.variant = variant
      self.reason = reason
    }
  }

  /// The time between two changes of the allocation.
  public struct Epoch: Sendable, Hashable {
    /// Microseconds since the epoch.
    public var since: Int64
    /// Of all persons, in parts of ``Allocation/parts``, by variant; the rest is not in the experiment.
    public var shares: [Int]

    public init(since: Int64, shares: [Int]) {
      self.since = since
      self.shares = shares
    }
  }

  /// Changes of the allocation that are kept.
  public static let epochCountMax = 100

  public let id: String
  public var plan: ExperimentPlan
  /// Rising, at least one. A draft's shows what it would begin with.
  public var epochs: [Epoch]
  public var status: Status

  public init(id: String, plan: ExperimentPlan, epochs: [Epoch], status: Status) {
    self.id = id
    self.plan = plan
    self.epochs = epochs
    self.status = status
  }

  /// Starts of the windows whose cohorts are the experiment's: those that lie in its time as a whole.
  public var cohortRange: Range<Int64> {
    let level = plan.cohort
    let since = epochs.first?.since ?? .min
    let first = level.start(of: since) < since ? level.start(of: since) + level.length : since
    switch status {
    case .draft: return first..<first
    case .running: return first..<Int64.max
    case .stopped(let time, _): return first..<max(first, level.start(of: time))
    }
  }

  /// Starts of the windows that lie in its time as a whole or in part: whose persons are counted, or said not to be.
  public var touchedRange: Range<Int64> {
    let level = plan.cohort
    let first = level.start(of: epochs.first?.since ?? .min)
    switch status {
    case .draft: return first..<first
    case .running: return first..<Int64.max
    case .stopped(let time, _):
      let last = level.start(of: time)
      return first..<max(first, last < time ? last + level.length : last)
    }
  }

  /// 1 to 64 of a-z, 0-9, - and _.
  public static func isID(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count)
      && text.utf8.allSatisfy { byte in
        byte &- UInt8(ascii: "0") <= 9 || byte &- UInt8(ascii: "a") <= 25
          || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
      }
  }
}

/// Why something about an experiment is refused: what, where, what is allowed, the next step.
public enum ExperimentRefusal: Error, Hashable, Sendable {
  /// - Parameter path: where in what was sent, such as `$.weights`.
  case invalid(path: String, detail: String, allowed: [String] = [])
  /// What was sent is no JSON.
  case malformed(String)
  /// It can't be done to the experiment as it is now.
  case conflict(String)
  case unknown(String)
  case unavailable(String)
}
