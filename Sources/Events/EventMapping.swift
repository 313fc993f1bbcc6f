/// What the events of tracking protocols mean here: which kind an event's name is, and which
/// properties hold the dimensions and the money. Data, not code: sites name things differently.
public struct EventMapping: Hashable, Sendable {
  /// Names of `track` events to kinds; exact, letter case included.
  public var names: [String: EventKind]
  /// The other calls of the Segment protocol (`page`, `screen`, `identify`, `group`, `alias`).
  public var calls: [String: EventKind]
  /// What every other name is.
  public var otherwise: EventKind
  /// The properties of a dimension, the first that is present counts. Only ``mappedDimensions``.
  public var properties: [Dimension: [String]]
  /// The properties of a conversion's money; the first that is present counts.
  public var revenue: [String]
  /// The property of the money's currency.
  public var currency: [String]
  /// The currency of money that names none; ISO 4217.
  public var defaultCurrency: String

  /// The dimensions that come from properties; site comes from the write key and currency from
  /// the money.
  public static let mappedDimensions: [Dimension] = [.campaign, .content, .variant, .channel]

  public init(
    names: [String: EventKind], calls: [String: EventKind], otherwise: EventKind = .custom,
    properties: [Dimension: [String]], revenue: [String], currency: [String],
    defaultCurrency: String
  ) {
    self.names = names
    self.calls = calls
    self.otherwise = otherwise
    self.properties = properties
    self.revenue = revenue
    self.currency = currency
    self.defaultCurrency = defaultCurrency
  }
}
