public import Events

/// One row of the incident read model: something of a site, a campaign or a content was, or is, not as it
/// usually is at that hour. A row is rewritten as a whole with each bin in which its incident goes on.
public struct IncidentRow: Hashable, Sendable {
  /// What moved, and where to. The raw value is stored and for ever.
  public enum Kind: UInt8, CaseIterable, Sendable {
    /// Impressions.
    case trafficDown = 0
    case trafficUp = 1
    /// Clicks of impressions.
    case rateDown = 2
    case rateUp = 3
    /// Conversions of clicks.
    case conversionDown = 4
    case conversionUp = 5

    public var name: String {
      switch self {
      case .trafficDown: "traffic_down"
      case .trafficUp: "traffic_up"
      case .rateDown: "rate_down"
      case .rateUp: "rate_up"
      case .conversionDown: "conversion_down"
      case .conversionUp: "conversion_up"
      }
    }

    public var isDown: Bool { rawValue & 1 == 0 }

    public init?(name: some StringProtocol) {
      guard let kind = Self.allCases.first(where: { $0.name == name }) else { return nil }
      self = kind
    }
  }

  /// Never falls while an incident goes on; the first of a group is as grave as any of it. The raw value is stored and for ever.
  public enum Severity: UInt8, CaseIterable, Comparable, Sendable {
    case info = 0
    case warning = 1
    case critical = 2

    public var name: String {
      switch self {
      case .info: "info"
      case .warning: "warning"
      case .critical: "critical"
      }
    }

    public init?(name: some StringProtocol) {
      guard let severity = Self.allCases.first(where: { $0.name == name }) else { return nil }
      self = severity
    }

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  }

  /// One bin of the quantity that moved: impressions, clicks or conversions.
  public struct Point: Hashable, Sendable {
    /// Of the bin, microseconds since the epoch.
    public var start: Int64
    public var observed: Int64
    public var expected: Double

    public init(start: Int64, observed: Int64, expected: Double) {
      self.start = start
      self.observed = observed
      self.expected = expected
    }
  }

  /// The value that has the largest share of the deviation, where that is more than its usual share.
  public struct Contributor: Hashable, Sendable {
    public var dimension: Dimension
    public var value: String
    /// Of the deviation, 0 to 1.
    public var share: Double

    public init(dimension: Dimension, value: String, share: Double) {
      self.dimension = dimension
      self.value = value
      self.share = share
    }
  }

  /// The most points of ``series``.
  public static let seriesCountMax = 48
  /// How long a row is kept after its incident began, microseconds of log time: 400 days.
  public static let retention: Int64 = 400 * 86_400_000_000

  /// Of what it is about and when it began; see ``identifier(level:key:kind:begin:)``. Positive.
  public var id: Int64
  public var site: String
  /// Empty where it is about the whole site.
  public var campaign: String
  /// Empty where it is about a whole campaign.
  public var content: String
  public var kind: Kind
  /// Start of its first bin, microseconds since the epoch.
  public var begin: Int64
  /// Start of the first bin in which it was over; nil while it goes on. The first of a group goes on for as long as
  /// any of the group.
  public var end: Int64?
  /// The most evidence in any of its bins, nats, at most 12.
  public var evidence: Double
  public var severity: Severity
  /// Impressions, clicks or conversions since the begin.
  public var observed: Int64
  /// What they are usually, and the range in which they are 95 of 100 times.
  public var expected: Double
  public var lower: Double
  public var upper: Double
  /// The last bins, at most ``seriesCountMax``, those before the begin included; in order of time.
  public var series: [Point]
  public var contributor: Contributor?
  /// The id of the incident that this one belongs to: of those that began at the same time and move the same way
  /// one that is about all that this one is about. Its own where it is that one.
  public var group: Int64
  public var feedback: IncidentFeedback.Verdict?
  /// Rises with every change of the row, from 1.
  public var revision: Int32

  public init(
    id: Int64, site: String, campaign: String, content: String, kind: Kind, begin: Int64,
    end: Int64? = nil, evidence: Double, severity: Severity, observed: Int64, expected: Double,
    lower: Double, upper: Double, series: [Point] = [], contributor: Contributor? = nil,
    group: Int64, feedback: IncidentFeedback.Verdict? = nil, revision: Int32 = 1
  ) {
    self.id = id
    self.site = site
    self.campaign = campaign
    self.content = content
    self.kind = kind
    self.begin = begin
    self.end = end
    self.evidence = evidence
    self.severity = severity
    self.observed = observed
    self.expected = expected
    self.lower = lower
    self.upper = upper
    self.series = series
    self.contributor = contributor
    self.group = group
    self.feedback = feedback
    self.revision = revision
  }

  /// A hash of all that the row says.
  public var digest: Int64 {
    var hash = SipHash128()
    func put(_ value: Int64) { withUnsafeBytes(of: value.littleEndian) { hash.update($0) } }
    func put(_ value: Double) { put(Int64(bitPattern: value.bitPattern)) }
    for text in [site, campaign, content] { hash.update(field: text) }
    for value in [
      id, Int64(kind.rawValue), begin, end ?? .max, Int64(severity.rawValue), observed, group,
      Int64(feedback?.rawValue ?? 0), Int64(revision),
    ] { put(value) }
    for value in [evidence, expected, lower, upper] { put(value) }
    for point in series {
      put(point.start)
      put(point.observed)
      put(point.expected)
    }
    hash.update(field: contributor?.dimension.name ?? "")
    hash.update(field: contributor?.value ?? "")
    put(contributor?.share ?? 0)
    return Int64(truncatingIfNeeded: hash.finalize().low)
  }

  /// - Parameters:
  ///   - key: the encoded values of site, campaign and content up to the level.
  ///   - begin: microseconds since the epoch.
  public static func identifier(level: IncidentLevel, key: [UInt8], kind: Kind, begin: Int64)
    -> Int64
  {
    var hash = SipHash128()
    hash.update(byte: level.rawValue)
    hash.update(byte: kind.rawValue)
    withUnsafeBytes(of: begin.littleEndian) { hash.update($0) }
    key.withUnsafeBytes { hash.update($0) }
    return max(1, Int64(truncatingIfNeeded: hash.finalize().low >> 1))
  }
}
