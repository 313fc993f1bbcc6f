public import Events
public import Statistics

/// What changed since the last update: whoever answers keeps what came before.
public struct ProfileUpdate: Sendable {
  public var progress: LearningProgress
  /// As they are now.
  public var changed: [Profile] = []
  public var removed: [Key128] = []
  /// To be added to those of before, in order.
  public var newNames: [String] = []
  public var changes: [SegmentChange] = []
  /// What the log is to get.
  public var announcements: [SegmentEvent] = []
  /// Persons of each rule segment.
  public var counts: [Int]
  /// Nil where they are as before.
  public var clusters: ProfileClusters?
  public var turnedAway: UInt64

  public init(progress: LearningProgress, counts: [Int], turnedAway: UInt64) {
    self.progress = progress
    self.counts = counts
    self.turnedAway = turnedAway
  }
}

/// A person enters a rule segment, or leaves it.
public struct SegmentChange: Hashable, Sendable {
  public var person: Key128
  /// The number of its rule.
  public var segment: Int
  public var entered: Bool
  /// The log's time when it was seen, microseconds since the epoch.
  public var at: Int64
}

/// The clusters of profiles as of a refresh.
public struct ProfileClusters: Sendable {
  public var clusters: StableClusters
  public var features: ProfileFeatures
  /// The log's time, microseconds since the epoch.
  public var at: Int64
  /// Persons in the sample, and in all.
  public var sampled: Int
  public var persons: Int
}
