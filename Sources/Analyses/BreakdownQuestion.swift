/// What events can be told apart by.
public enum BreakdownDimension: String, CaseIterable, Sendable {
  case campaign, content, variant, channel
  /// Empty for people, else `bot`.
  case traffic
  /// What its payload says of where it came from.
  case country
  /// The class of the device, the family of the browser and of the system: see ``Agent``.
  case device, browser, system
  /// `utm_source`, else the host of the referrer.
  case source
  /// `utm_medium`, else `referral` where a referrer is known.
  case medium
  /// The host of the referrer, where that is another one than the page's.
  case referrer
  /// The segments with `events: true` that the person was in at the event's time: an event counts for each of them.
  case segment
  /// The event's name as the client sent it.
  case event
  /// Day of the week and hour in the zone of the question, such as `1-13` for Monday from 13:00 on.
  case hourOfWeek = "hour_of_week"

  /// Where a value is found.
  enum Part: Int, CaseIterable {
    case tuple, agent, name, payload, segment, time
  }

  var part: Part {
    switch self {
    case .campaign, .content, .variant, .channel, .traffic: .tuple
    case .device, .browser, .system: .agent
    case .event: .name
    case .country, .source, .medium, .referrer: .payload
    case .segment: .segment
    case .hourOfWeek: .time
    }
  }
}

/// Which values of a dimension count, compared byte by byte.
public struct BreakdownFilter: Hashable, Sendable {
  public enum Test: Hashable, Sendable {
    case isAnyOf, isNoneOf, contains
  }

  public var dimension: BreakdownDimension
  public var test: Test
  public var values: [[UInt8]]

  public init(_ dimension: BreakdownDimension, _ test: Test, _ values: [[UInt8]]) {
    self.dimension = dimension
    self.test = test
    self.values = values
  }

  func admits(_ value: [UInt8]) -> Bool { value.withUnsafeBytes(admits) }

  func admits(_ value: UnsafeRawBufferPointer) -> Bool {
    switch test {
    case .isAnyOf: values.contains { $0.elementsEqual(value) }
    case .isNoneOf: !values.contains { $0.elementsEqual(value) }
    case .contains:
      values.contains { part in
        part.isEmpty
          || value.count >= part.count
            && (0...value.count - part.count).contains { start in
              UnsafeRawBufferPointer(rebasing: value[start..<start + part.count]).elementsEqual(
                part)
            }
      }
    }
  }
}

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
  /// Rising starts of time buckets, microseconds since the epoch; an event belongs to the last one that starts at
  /// or before it. Empty for one bucket over everything.
  public var buckets: [Int64]
  /// For the hour of the week, rising; an earlier time has the first one's.
  public var offsets: [ZoneOffset]
  public var measures: BreakdownMeasures
  /// Whose most frequent values are looked for in each group. Of payloads, agents and segments values that are not
  /// there are left out.
  public var tops: [BreakdownDimension]
  /// Groups that are kept apart; events of further ones count for `(other)`.
  public var groupCountMax: Int

  public static let groupCountMax = 50_000
  /// Where there are sketches: some 16 KB for each of a group.
  public static let sketchedGroupCountMax = 1_000
  /// Buckets have so many bits in a group's key.
  public static let bucketCountMax = 1 << 20 - 1

  public init(
    site: String, times: Range<Int64>, dimensions: [BreakdownDimension] = [],
    filters: [BreakdownFilter] = [], buckets: [Int64] = [], offsets: [ZoneOffset] = [],
    measures: BreakdownMeasures = [], tops: [BreakdownDimension] = [], groupCountMax: Int? = nil
  ) {
    precondition(buckets.count < Self.bucketCountMax, "a question's buckets are bounded")
    self.site = site
    self.times = times
    self.dimensions = dimensions
    self.filters = filters
    self.buckets = buckets
    self.offsets = offsets
    self.measures = measures
    self.tops = tops
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

  /// Whether it must be known who was in which segment.
  public var needsSegments: Bool { needs(.segment) || tops.contains(.segment) }

  /// Whether a part has a say in the answer.
  func needs(_ part: BreakdownDimension.Part) -> Bool {
    dimensions.contains { $0.part == part } || filters.contains { $0.dimension.part == part }
  }
}
