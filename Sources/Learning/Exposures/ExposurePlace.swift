import Statistics

/// What is known of an exposure: what was shown, where, and by which chances.
struct ExposurePlace: Hashable, Sendable {
  var variant: String
  var channel: String
  var content: String
  /// See `Agent`.
  var device: String
  var browser: String
  var country: String
  /// Parts of ``LoggedAllocation/one`` by variant of the question; empty where none are said.
  var chances: [UInt32]

  static func < (a: Self, b: Self) -> Bool {
    let x = (a.variant, a.channel, a.content, a.device, a.browser, a.country)
    let y = (b.variant, b.channel, b.content, b.device, b.browser, b.country)
    return x != y ? x < y : a.chances.lexicographicallyPrecedes(b.chances)
  }

  /// Coarse ones first.
  var values: [SampleRatioStep.Value] {
    [
      SampleRatioStep.Value("device", device), SampleRatioStep.Value("channel", channel),
      SampleRatioStep.Value("country", country), SampleRatioStep.Value("browser", browser),
    ]
  }
}

/// What cohorts are told apart by, beside the variant.
public enum ExposureFacet: Sendable, CaseIterable {
  case channel, content, device, browser, country
}
