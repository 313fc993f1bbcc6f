/// What persons did over time, added up for a tuple and a window: sessions, and what clicks and
/// conversions are attributed to.
///
/// Contributions are differences: a retraction is negative, and sums are exact in any order. A window
/// keeps outcomes in the six places of ``Counts``; see ``init(_:)`` and ``counts``.
public struct Outcomes: Hashable, Sendable, BitwiseCopyable {
  /// Sessions that started in the window; the tuple is that of the session's first event.
  public var sessions: Int64 = 0
  /// Of these, those with a single event.
  public var bounces: Int64 = 0
  /// Time from the first to the last event of ended sessions, microseconds.
  public var sessionMicros: Int64 = 0
  /// Clicks after an impression of the same content within its look-back; at the click's time.
  public var attributedClicks: Int64 = 0
  /// Conversions after a click within its look-back; at the conversion's time, for the click's tuple.
  public var attributedConversions: Int64 = 0
  /// Their revenue, millionths of the currency.
  public var attributedRevenueMicros: Int64 = 0

  @inlinable public init() {}

  @inlinable public init(
    sessions: Int64 = 0, bounces: Int64 = 0, sessionMicros: Int64 = 0, attributedClicks: Int64 = 0,
    attributedConversions: Int64 = 0, attributedRevenueMicros: Int64 = 0
  ) {
    self.sessions = sessions
    self.bounces = bounces
    self.sessionMicros = sessionMicros
    self.attributedClicks = attributedClicks
    self.attributedConversions = attributedConversions
    self.attributedRevenueMicros = attributedRevenueMicros
  }

  /// Outcomes from the places in which a window keeps them.
  @inlinable public init(_ counts: Counts) {
    sessions = counts.impressions
    bounces = counts.views
    sessionMicros = counts.clicks
    attributedClicks = counts.engagements
    attributedConversions = counts.conversions
    attributedRevenueMicros = counts.revenueMicros
  }

  /// The places in which a window keeps them.
  @inlinable public var counts: Counts {
    Counts(
      impressions: sessions, views: bounces, clicks: sessionMicros, engagements: attributedClicks,
      conversions: attributedConversions, revenueMicros: attributedRevenueMicros)
  }

  @inlinable public var isZero: Bool { self == Outcomes() }

  @inlinable public static func += (a: inout Outcomes, b: Outcomes) {
    var sum = a.counts
    sum += b.counts
    a = Outcomes(sum)
  }

  @inlinable public static prefix func - (a: Outcomes) -> Outcomes {
    Outcomes(
      sessions: -a.sessions, bounces: -a.bounces, sessionMicros: -a.sessionMicros,
      attributedClicks: -a.attributedClicks, attributedConversions: -a.attributedConversions,
      attributedRevenueMicros: -a.attributedRevenueMicros)
  }
}
