/// What is measured of a group besides its counts.
public struct BreakdownMeasures: OptionSet, Hashable, Sendable {
  public let rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// How many visitors: persons as frames have them, that is the anonymous id where there is one, else the user id.
  public static let uniques = BreakdownMeasures(rawValue: 1)
  /// Seconds in view, as events report them.
  public static let dwell = BreakdownMeasures(rawValue: 2)
  /// How far down a page was seen, percent, as events report it.
  public static let scroll = BreakdownMeasures(rawValue: 4)
  /// Events of kinds without a metric of their own count too, such as custom ones.
  public static let everyKind = BreakdownMeasures(rawValue: 32)

  static let sketches: BreakdownMeasures = [.uniques, .dwell, .scroll]
}

/// A question for a ``Breakdown``.
public struct BreakdownQuestion: Hashable, Sendable {
  /// A zone's offset from UTC from a time on, seconds.
  public struct ZoneOffset: Hashable, Sendable {
    /// Microseconds since the epoch.
    public var from: Int64
    public var seconds: Int64

    public init(from: Int64, seconds: Int64) {
      self.from = from
      self.seconds = seconds
    }
  }

  public var site: String
  /// Event times, microseconds since the epoch.
  public var times: Range<Int64>
  /// In the order of the answer.
  public var dimensions: [BreakdownDimension]
  /// All of them hold.
  public var filters: [BreakdownFilter]
  /// Of each of these lists one holds; at most ``alternativesMax`` lists.
  public var alternatives: [[BreakdownFilter]]
  /// Rising starts of time buckets, microseconds since the epoch; an event belongs to the last one that starts at
  /// or before it. Empty for one bucket over everything.
  public var buckets: [Int64]
  /// For the hour of the week, rising; an earlier time has the first one's.
  public var offsets: [ZoneOffset]
  public var measures: BreakdownMeasures
  /// Whose most frequent values are looked for in each group. Of payloads, agents and segments values that are not
  /// there are left out.
  public var tops: [BreakdownDimension]
  /// How many of them are shown, 1 to ``topLengthMax``.
  public var topLength: Int
  /// Groups that are kept apart; events of further ones count for `(other)`.
  public var groupCountMax: Int

  public static let groupCountMax = 50_000
  /// Where there are sketches: some 16 KB for each of a group.
  public static let sketchedGroupCountMax = 1_000
  /// Buckets have so many bits in a group's key.
  public static let bucketCountMax = 1 << 20 - 1
  /// Each has a bit beside the number of an event's values.
  public static let alternativesMax = 20
  public static let topLength = 10
  /// Values that are counted at once for a list: no count is too high by more than the 512th part of all.
  public static let topLengthMax = 512

  public init(
    site: String, times: Range<Int64>, dimensions: [BreakdownDimension] = [],
    filters: [BreakdownFilter] = [], alternatives: [[BreakdownFilter]] = [],
    buckets: [Int64] = [], offsets: [ZoneOffset] = [], measures: BreakdownMeasures = [],
    tops: [BreakdownDimension] = [], topLength: Int = Self.topLength, groupCountMax: Int? = nil
  ) {
    precondition(buckets.count < Self.bucketCountMax, "a question's buckets are bounded")
    precondition(alternatives.count <= Self.alternativesMax, "every list of filters has a bit")
    precondition((1...Self.topLengthMax).contains(topLength), "a list is within its sketch")
    self.site = site
    self.times = times
    self.dimensions = dimensions
    self.filters = filters
    self.alternatives = alternatives
    self.buckets = buckets
    self.offsets = offsets
    self.measures = measures
    self.tops = tops
    self.topLength = topLength
    let isSketched = !measures.isDisjoint(with: .sketches) || !tops.isEmpty
    self.groupCountMax =
      groupCountMax ?? (isSketched ? Self.sketchedGroupCountMax : Self.groupCountMax)
  }

  /// The dimensions of a part that groups are told apart by, in the order of the question.
  func grouped(by part: BreakdownDimension.Part) -> [BreakdownDimension] {
    dimensions.filter { $0.part == part }
  }

  func filters(on part: BreakdownDimension.Part) -> [BreakdownFilter] {
    filters.filter { $0.dimension.part == part }
  }

  /// Those of ``alternatives`` on a part, each with the bit of its list.
  func alternatives(on part: BreakdownDimension.Part) -> [(bit: UInt64, filter: BreakdownFilter)] {
    alternatives.enumerated().flatMap { place, filters in
      filters.filter { $0.dimension.part == part }.map { (1 << UInt64(place), $0) }
    }
  }

  /// The dimensions that have a say in which events count, and for which group.
  var asked: [BreakdownDimension] {
    dimensions + (filters + alternatives.joined()).map(\.dimension)
  }

  /// Whether it must be known who was in which segment.
  public var needsSegments: Bool { needs(.segment) || tops.contains(.segment) }

  /// Whether a part has a say in the answer.
  func needs(_ part: BreakdownDimension.Part) -> Bool {
    asked.contains { $0.part == part }
  }
}
