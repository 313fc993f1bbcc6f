public import Views

/// What exposed persons of one window came to, by what their first exposure was; see `ExperimentCohort`, of which it has
/// the names.
public struct ExposureCohort: Hashable, Sendable {
  /// Whose persons are added up.
  public struct Place: Hashable, Comparable, Sendable {
    /// Of the window, microseconds since the epoch.
    public var start: Int64
    public var variant: String
    public var channel: String
    public var content: String
    public var device: String
    public var browser: String
    public var country: String
    /// Of the money; persons themselves are in the row without one.
    public var currency: String

    public static func < (a: Self, b: Self) -> Bool {
      let x = (a.start, a.variant, a.channel, a.content, a.device)
      let y = (b.start, b.variant, b.channel, b.content, b.device)
      return x != y
        ? x < y : (a.browser, a.country, a.currency) < (b.browser, b.country, b.currency)
    }

    init(start: Int64, _ place: ExposurePlace, by facets: Set<ExposureFacet>) {
      self.start = start
      variant = place.variant
      channel = facets.contains(.channel) ? place.channel : ""
      content = facets.contains(.content) ? place.content : ""
      device = facets.contains(.device) ? place.device : ""
      browser = facets.contains(.browser) ? place.browser : ""
      country = facets.contains(.country) ? place.country : ""
      currency = ""
    }
  }

  public var place: Place
  public var exposures = Exposures()
  public var engagers: Int64 = 0
  public var dwellers: Int64 = 0
  public var dwellTenths: Int64 = 0
  public var dwellTenthsSquared: Int64 = 0
  /// By goal of the question.
  public var goals: [Int64]

  mutating func add(_ sums: ExposedPerson.Sums, dwellTenthsMax: Int64) {
    exposures += sums.exposures
    if sums.hasEngaged { engagers += 1 }
    if sums.hasDwelled {
      let tenths = min(sums.dwellTenths, dwellTenthsMax)
      dwellers += 1
      dwellTenths += tenths
      dwellTenthsSquared += tenths * tenths
    }
    for goal in goals.indices where sums.goals & 1 << UInt32(goal) != 0 { goals[goal] += 1 }
  }
}
