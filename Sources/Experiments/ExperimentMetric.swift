/// What an experiment is decided by, of each person who was exposed to a variant: what it does on the campaign within
/// the outcome window.
public enum ExperimentMetric: Hashable, Sendable {
  /// Persons who click, of all.
  case clickRate
  /// Persons who convert, of all.
  case conversionRate
  /// Money for each person, in cents.
  case revenuePerPerson
  /// Persons with an engagement, of all.
  case engagementRate
  /// Time in view for each person, in tenths of a second.
  case dwellPerPerson
  /// Persons with an event of this name, of all.
  case goal(String)

  private static let goalPrefix = "goal:"

  /// Those that need no name.
  public static let plain: [ExperimentMetric] = [
    .clickRate, .conversionRate, .revenuePerPerson, .engagementRate, .dwellPerPerson,
  ]
  /// As errors and descriptions list what is allowed.
  public static let allowed = plain.map(\.name) + [goalPrefix + "EVENT NAME"]
  /// Of an event, in UTF-8 bytes.
  public static let goalBytesMax = 200

  /// As the API and files name it.
  public var name: String {
    switch self {
    case .clickRate: "click_rate"
    case .conversionRate: "conversion_rate"
    case .revenuePerPerson: "revenue_per_person"
    case .engagementRate: "engagement_rate"
    case .dwellPerPerson: "dwell_per_person"
    case .goal(let event): Self.goalPrefix + event
    }
  }

  public init?(name: String) {
    if let plain = Self.plain.first(where: { $0.name == name }) {
      self = plain
      return
    }
    guard name.hasPrefix(Self.goalPrefix) else { return nil }
    let event = name.dropFirst(Self.goalPrefix.count)
    guard (1...Self.goalBytesMax).contains(event.utf8.count) else { return nil }
    self = .goal(String(event))
  }

  /// In sentences.
  public var words: String {
    switch self {
    case .clickRate: "the click rate"
    case .conversionRate: "the conversion rate"
    case .revenuePerPerson: "revenue per person"
    case .engagementRate: "the engagement rate"
    case .dwellPerPerson: "time in view per person"
    case .goal(let event): "the share of persons with \(event)"
    }
  }

  /// A share of persons, else a mean.
  var isRate: Bool { self != .revenuePerPerson && self != .dwellPerPerson }

  /// What sums are divided by to be in the unit that is shown: money of the currency, seconds.
  var parts: Double {
    switch self {
    case .revenuePerPerson: 100
    case .dwellPerPerson: 10
    default: 1
    }
  }

  /// Whether windows' rows tell it, or only what each person did.
  var isOfRows: Bool {
    switch self {
    case .clickRate, .conversionRate, .revenuePerPerson: true
    case .engagementRate, .dwellPerPerson, .goal: false
    }
  }
}
