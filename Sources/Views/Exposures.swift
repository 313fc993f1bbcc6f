/// Who was exposed to a campaign's variants and what came of it, added up for a tuple and a window: the
/// cohort of an experiment.
///
/// A person is exposed to a campaign by its first touch of it that shows a variant: an impression, a view
/// or an exposure. It counts at that touch's time, for that touch's tuple; what follows counts for it as
/// long as ``ExperimentPolicy/outcomeWindow``. Contributions are differences, as those of ``Outcomes``.
public struct Exposures: Hashable, Sendable, BitwiseCopyable {
  /// Persons who were exposed.
  public var persons: Int64 = 0
  /// Of these, those who clicked on the campaign.
  public var clickers: Int64 = 0
  /// Of these, those who converted on the campaign.
  public var converters: Int64 = 0
  /// Of these, those who were shown another variant of the campaign, too.
  public var mixed: Int64 = 0
  /// The squares of each person's revenue, in hundredths of the currency of the row.
  public var revenueCentsSquared: Int64 = 0
  /// Revenue of the conversions, millionths of the currency of the row. A row's currency is that of the
  /// money; persons count in the row of the touch that exposed them.
  public var revenueMicros: Int64 = 0

  /// A person's revenue counts as at most so many cents, either way, in squares and products: those of a
  /// thousand persons fit an Int64, and one typing error does not decide an experiment.
  public static let centsMax: Int64 = 100_000_000

  @inlinable public init() {}

  @inlinable public init(
    persons: Int64 = 0, clickers: Int64 = 0, converters: Int64 = 0, mixed: Int64 = 0,
    revenueCentsSquared: Int64 = 0, revenueMicros: Int64 = 0
  ) {
    self.persons = persons
    self.clickers = clickers
    self.converters = converters
    self.mixed = mixed
    self.revenueCentsSquared = revenueCentsSquared
    self.revenueMicros = revenueMicros
  }

  /// Exposures from the places in which a window keeps them.
  @inlinable public init(_ counts: Counts) {
    persons = counts.impressions
    clickers = counts.views
    converters = counts.clicks
    mixed = counts.engagements
    revenueCentsSquared = counts.conversions
    revenueMicros = counts.revenueMicros
  }

  /// The places in which a window keeps them.
  @inlinable public var counts: Counts {
    Counts(
      impressions: persons, views: clickers, clicks: converters, engagements: mixed,
      conversions: revenueCentsSquared, revenueMicros: revenueMicros)
  }

  @inlinable public var isZero: Bool { self == Exposures() }

  @inlinable public static func += (a: inout Exposures, b: Exposures) {
    var sum = a.counts
    sum += b.counts
    a = Exposures(sum)
  }

  /// Hundredths of an amount in millionths, toward zero, held within ``centsMax``.
  @inlinable public static func cents(_ micros: Int64) -> Int64 {
    min(max(micros / 10_000, -centsMax), centsMax)
  }
}
