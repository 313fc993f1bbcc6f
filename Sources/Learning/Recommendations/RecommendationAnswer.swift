public import Statistics

/// A list of contents, each with what speaks for it.
public struct RecommendationAnswer: Sendable {
  public struct Entry: Sendable {
    public var content: String
    public var title: String
    public var topics: [String]
    public var format: String
    public var score: Double
    /// Whether it is there so that more is learned of it.
    public var isExplored: Bool
    /// In words, what says most first.
    public var reasons: [String]
    /// By how much each part of its score is above that of the contents on average, what says most first.
    public var contributions: [(feature: RankingFeature, value: Double)]
  }

  public var entries: [Entry] = []
  /// Whether anything was known of whom the list is for.
  public var isKnown = false
  /// Contents that the list could be chosen from.
  public var candidates = 0
  /// Visits that all of it was learned from.
  public var visits = 0
}
