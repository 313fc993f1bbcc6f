import Analyses
import Statistics

// Numbers of persons' questions that answers and tables share.

extension Retention.Cohort {
  /// Of those who began, who came back in a period; nil of nobody.
  func rate(_ period: Int) -> RateInterval? { RateInterval(returned[period], of: persons) }
}

extension Sessions.Counts {
  /// Of lengths, in percent.
  static let percents = [50, 75, 90, 95, 99]

  var bounceRate: RateInterval? { RateInterval(bounces, of: sessions) }

  var eventsPerSession: Double? {
    sessions == 0 ? nil : Double(events) / Double(sessions)
  }
}

extension RateInterval {
  /// The ends of the interval of the difference; nil where there is no rate to compare with.
  func ends(ofDifferenceFrom before: RateInterval?) -> (lower: Double, upper: Double)? {
    before.map {
      let difference = difference(from: $0)
      return (difference.lower, difference.upper)
    }
  }
}

extension AttributionModel {
  /// As questions name it.
  var name: String {
    switch self {
    case .lastTouch: "last_touch"
    case .firstTouch: "first_touch"
    case .linear: "linear"
    case .position: "position"
    case .timeDecay: "time_decay"
    }
  }
}
