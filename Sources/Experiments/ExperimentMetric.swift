/// What an experiment is decided by, of each person who was exposed to a variant.
public enum ExperimentMetric: String, CaseIterable, Sendable {
  /// Persons who click on the campaign within the outcome window, of all.
  case clickRate = "click_rate"
  /// Persons who convert within it, of all.
  case conversionRate = "conversion_rate"
  /// Money within it for each person, in cents.
  case revenuePerPerson = "revenue_per_person"

  /// In sentences.
  public var words: String {
    switch self {
    case .clickRate: "the click rate"
    case .conversionRate: "the conversion rate"
    case .revenuePerPerson: "revenue per person"
    }
  }
}
