/// What exposed persons had done before, added up beside their ``Exposures``: the covariates of CUPED
/// (Deng et al., WSDM 2013), and their products with what came of the exposure.
///
/// Prior is the number of a person's clicks and conversions, on whatever campaign, in
/// ``ExperimentPolicy/lookBack`` before the touch that exposed it. Contributions are differences.
public struct Baselines: Hashable, Sendable, BitwiseCopyable {
  /// The sum of priors.
  public var prior: Int64 = 0
  public var priorSquared: Int64 = 0
  /// The priors of those who clicked: prior times 0 or 1.
  public var priorClicked: Int64 = 0
  /// The priors of those who converted.
  public var priorConverted: Int64 = 0
  /// Prior times revenue in hundredths of the row's currency (``Exposures/cents(_:)``).
  public var priorRevenueCents: Int64 = 0
  /// Revenue before the exposure, millionths of the row's currency.
  public var priorRevenueMicros: Int64 = 0

  /// A person's prior counts as at most so much: a program that clicks all day does not decide.
  public static let priorMax: Int64 = 100

  @inlinable public init() {}

  @inlinable public init(
    prior: Int64 = 0, priorSquared: Int64 = 0, priorClicked: Int64 = 0, priorConverted: Int64 = 0,
    priorRevenueCents: Int64 = 0, priorRevenueMicros: Int64 = 0
  ) {
    self.prior = prior
    self.priorSquared = priorSquared
    self.priorClicked = priorClicked
    self.priorConverted = priorConverted
    self.priorRevenueCents = priorRevenueCents
    self.priorRevenueMicros = priorRevenueMicros
  }

  /// Baselines from the places in which a window keeps them.
  @inlinable public init(_ counts: Counts) {
    prior = counts.impressions
    priorSquared = counts.views
    priorClicked = counts.clicks
    priorConverted = counts.engagements
    priorRevenueCents = counts.conversions
    priorRevenueMicros = counts.revenueMicros
  }

  /// The places in which a window keeps them.
  @inlinable public var counts: Counts {
    Counts(
      impressions: prior, views: priorSquared, clicks: priorClicked, engagements: priorConverted,
      conversions: priorRevenueCents, revenueMicros: priorRevenueMicros)
  }

  @inlinable public var isZero: Bool { self == Baselines() }

  @inlinable public static func += (a: inout Baselines, b: Baselines) {
    var sum = a.counts
    sum += b.counts
    a = Baselines(sum)
  }
}
