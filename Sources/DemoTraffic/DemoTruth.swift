/// What was sent and acknowledged: the numbers that the query API must answer.
public struct DemoTruth: Hashable, Sendable {
  /// Counts of one place, or the same counts as the query API answers them.
  public struct Counts: Hashable, Sendable {
    public var impressions: Int64 = 0
    public var views: Int64 = 0
    public var clicks: Int64 = 0
    public var engagements: Int64 = 0
    public var conversions: Int64 = 0
    /// Currency (ISO 4217) to millionths of it.
    public var revenue: [String: Int64] = [:]

    public init() {}

    mutating func add(_ other: Self, times sign: Int64 = 1) {
      impressions += sign * other.impressions
      views += sign * other.views
      clicks += sign * other.clicks
      engagements += sign * other.engagements
      conversions += sign * other.conversions
      for (currency, micros) in other.revenue { revenue[currency, default: 0] += sign * micros }
      revenue = revenue.filter { $0.value != 0 }
    }
  }

  public private(set) var places: [DemoPlace: Counts] = [:]

  public init() {}

  /// Counts an acknowledged event. The caller does so once for each id.
  mutating func add(_ event: DemoEvent) {
    var counts = Counts()
    switch event.action {
    case .impression: counts.impressions = 1
    case .view: counts.views = 1
    case .click: counts.clicks = 1
    case .engagement: counts.engagements = 1
    case .conversion(let micros, let currency):
      counts.conversions = 1
      counts.revenue[currency] = micros
    case .identify, .custom: return
    }
    add(counts, to: event.place)
  }

  mutating func add(_ counts: Counts, to place: DemoPlace) {
    places[place, default: Counts()].add(counts)
  }

  /// What was added since `earlier`; places without a change are left out.
  func since(_ earlier: Self) -> Self {
    var difference = self
    for (place, counts) in earlier.places {
      difference.places[place, default: Counts()].add(counts, times: -1)
    }
    difference.places = difference.places.filter { $0.value != Counts() }
    return difference
  }
}
