public import Statistics

/// Why a content is recommended, or is not: what its score is made of, the alternatives and their odds, and where in the log
/// the events are that have a say.
public struct RecommendationReason: Sendable {
  public struct Part: Sendable, Equatable {
    public var feature: RankingFeature
    /// Of the content, and of the contents on average.
    public var value: Double
    public var mean: Double
    public var weight: Double
    /// By how much it raises the score above that of a content that is as others are.
    public var contribution: Double
  }

  public struct Alternative: Sendable, Equatable {
    public var content: String
    public var title: String
    public var score: Double
    /// As likely as the content that is asked about.
    public var odds: Double
  }

  /// An event that has a say.
  public struct Evidence: Sendable, Equatable {
    public var content: String
    /// Microseconds since the epoch.
    public var at: Int64
    public var place: FramePlace
  }

  /// What is known of a content that has a say.
  public struct Source: Sendable, Equatable {
    public var content: String
    public var visits: Int
    public var impressions: Int
    /// The event that it appeared with; nil where it was of somebody who is erased.
    public var first: Evidence?
    /// The event that said title, topics or format last.
    public var facts: Evidence?
    /// The latest visits, the latest last.
    public var latest: [Evidence]
  }

  public var entry: RecommendationAnswer.Entry
  /// Whether anything is known of whom the list is for.
  public var isKnown: Bool
  /// Whether the person has looked at it: then it is in no list.
  public var isSeen: Bool
  /// Among all contents that the list could be chosen from, 0 to 1; nil where it is none of them.
  public var chance: Double?
  /// In the list, from 1; nil where it is none of them.
  public var rank: Int?
  public var candidates: Int
  /// What says most first; those that say something.
  public var parts: [Part]
  /// The best of the others.
  public var alternatives: [Alternative]
  /// The latest visits of whom the list is for.
  public var visits: [Evidence]
  /// The content itself, and those that it is said to be near to or to follow.
  public var sources: [Source]
}
