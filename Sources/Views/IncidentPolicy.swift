/// What a watched key is made of. The raw value is part of ids and snapshots.
public enum IncidentLevel: UInt8, CaseIterable, Comparable, Sendable {
  case site = 0
  case campaign = 1
  case content = 2

  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// Which series of a pipeline are watched for incidents, and how closely.
public struct IncidentPolicy: Hashable, Sendable {
  /// Length of the bins that are looked at, microseconds; a multiple of the trends' slide.
  public var bin: Int64
  /// Whether each campaign of a site is watched, and each content of a campaign; a site as a whole always is.
  public var watchesCampaigns: Bool
  public var watchesContents: Bool
  /// The most keys that are watched; of further ones those with the most impressions.
  public var keyCountMax: Int
  /// Evidence from which on something is an incident, nats, 1 to 12.
  public var threshold: Double

  public init(
    bin: Int64 = 300_000_000, watchesCampaigns: Bool = true, watchesContents: Bool = true,
    keyCountMax: Int = 2_000, threshold: Double = 5.2
  ) {
    self.bin = bin
    self.watchesCampaigns = watchesCampaigns
    self.watchesContents = watchesContents
    self.keyCountMax = keyCountMax
    self.threshold = threshold
  }

  public var levels: [IncidentLevel] {
    [.site] + (watchesCampaigns ? [.campaign] : []) + (watchesContents ? [.content] : [])
  }

  /// A bin is of so many parts. Where the log has no frame at all in more than one of them, nothing is
  /// known of the bin: collectors were away.
  public static let partCount: Int64 = 10
  public var part: Int64 { bin / Self.partCount }

  /// Log time is told in steps of this, microseconds: all frames of a step have the same lateness.
  public static let step: Int64 = 50_000

  /// The start of the bin that a time is in.
  public func floor(_ time: Int64) -> Int64 { Self.floor(time, bin) }

  public static func floor(_ time: Int64, _ length: Int64) -> Int64 {
    let rest = time % length
    return rest < 0 ? time - rest - length : time - rest
  }

  /// Bins that end at or before it take nothing more from a partition whose log time that is. It follows from
  /// the partition's own log alone, and is never ahead of the time of the second stage.
  public func closedEnd(logTime: Int64, disorder: Int64) -> Int64 {
    logTime <= .min + disorder ? .min : Self.floor(logTime, Self.step) - disorder
  }
}
