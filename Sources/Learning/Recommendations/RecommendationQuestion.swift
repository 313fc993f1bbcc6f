public import Events

/// What is asked of ``RecommendationBook``: for whom, how many, which contents may be in the list.
public struct RecommendationQuestion: Sendable {
  public enum Subject: Sendable, Equatable {
    case person(Key128)
    /// Who looks at this content.
    case item(String)
    /// Who has looked at these, the latest last, and of whom nothing else is known.
    case session([String])
    /// Of whom nothing is known.
    case newcomer
    /// Many at once: what all of them together would be shown. The first ``personsMax`` have a say.
    case persons([Key128])
  }

  public var site: String
  public var subject: Subject
  /// How many contents, 1 to ``countMax``.
  public var count: Int
  /// Only contents that events of this campaign were about.
  public var campaign: String?
  /// Only contents that events of this channel were about.
  public var channel: String?
  public var excluded: Set<String>
  /// 0: by score alone; 1: each is as unlike the ones before it as can be.
  public var diversity: Double
  /// Contents that the person was shown this often within a day are left out.
  public var impressionsMax: Int?
  public var includesSeen: Bool
  /// The share of the list that goes to contents of which little is known.
  public var exploration: Double
  /// What is drawn to be explored hangs on it and on the hour; nil for the person, or what the list is beside.
  public var seed: String?
  /// Microseconds since the epoch, of the log.
  public var now: Int64

  public static let countMax = 100
  public static let sessionItemsMax = 50
  public static let personsMax = 500
  public static let excludedMax = 1_000
  public static let impressionsAllowed = 1...100

  public init(site: String, subject: Subject, now: Int64) {
    self.site = site
    self.subject = subject
    count = 10
    excluded = []
    diversity = 0
    includesSeen = false
    exploration = 0.1
    self.now = now
  }
}
