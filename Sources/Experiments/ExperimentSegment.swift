import Ports

/// What is known of a person before the assignment, by which results are broken down.
public enum ExperimentSegment: String, CaseIterable, Sendable {
  case channel, content
  /// Class of the device and family of the browser, of the user agent of the first exposure.
  case device, browser
  /// As the first exposure's event says it.
  case country

  public var name: String { rawValue }

  /// Whether windows' rows tell it, or only what is known of each person.
  var isOfRows: Bool { self == .channel || self == .content }

  func value(of cohort: ExperimentCohort) -> String {
    switch self {
    case .channel: cohort.channel
    case .content: cohort.content
    case .device: cohort.device
    case .browser: cohort.browser
    case .country: cohort.country
    }
  }
}
