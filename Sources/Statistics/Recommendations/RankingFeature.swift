/// The parts of a content's score for somebody at some time; each is the logarithm of a ratio, or nearly.
public enum RankingFeature: Int, CaseIterable, Sendable {
  /// Its share of what everybody looks at, with half-lives of 12 hours and of two days.
  case trending = 0
  case popular
  /// 1 when it appears, 0 after a day: what the counts of something new do not say yet.
  case new
  /// Its age in tens of days, negative.
  case age
  /// How much more than others the person looks at its main topic, at its further ones, at its format.
  case topic
  case furtherTopics
  case format
  /// The same of its main topic, for what was looked at within the hour.
  case sessionTopic
  /// How much more than others those look at its topics who come from the topic of the last content.
  case nextTopic
  case nextFurtherTopics
  /// How much more often than by chance it comes next after the last content; and near the last twenty.
  case next
  case coVisited
  /// The cosine of its title and words with those of the last contents.
  case similar

  /// Learned over 120,000 choices of a content stream, where no title is known: the weight of ``similar`` is a
  /// guess to begin with.
  public static let weightsFirst: SIMD16<Float> = {
    var weights = SIMD16<Float>(repeating: 0)
    for (feature, weight) in zip(
      allCases, [0.6, 0.5, 0.5, 0.3, 0.8, 0.4, 0.9, 0.1, 0.8, 0.6, 0.1, 0.1, 0.5] as [Float])
    {
      weights[feature.rawValue] = weight
    }
    return weights
  }()
}
