import ArgumentParser

/// Whether a process learns recommendations: it reads the log of the last weeks for them, and each visit costs some
/// 20 µs.
enum RecommendationOptions {
  static let variable = "SMARTCONTENT_RECOMMENDATIONS"

  /// What the environment says; they are learned where it says nothing.
  static func isRecommending() throws -> Bool {
    switch Environment[variable] {
    case nil, "on": true
    case "off": false
    case .some:
      throw ValidationError("\(variable) is on (the default) or off")
    }
  }
}
