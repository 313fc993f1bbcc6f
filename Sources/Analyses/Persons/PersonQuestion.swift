public import Views

/// What a question about persons wants to see of the log.
public struct PersonQuestion: Hashable, Sendable {
  public var site: String
  /// Of touches, microseconds since the epoch.
  public var times: Range<Int64>
  /// What a touch can be; number i gives bit i of ``PersonTouch/marks``.
  public var selectors: [TouchSelector]
  /// Whose values touches are told apart by; empty for none.
  public var dimensions: [BreakdownDimension]
  /// For the hour of the week, as in ``BreakdownQuestion/offsets``.
  public var offsets: [BreakdownQuestion.ZoneOffset]
  /// How persons are followed: the pipeline's.
  public var policy: PersonPolicy

  public static let selectorCountMax = 32
  /// Different combinations of values of the dimensions.
  public static let valueCountMax = 100_000
  /// A person with more touches is left out: nobody's, but a program's.
  public static let personTouchesMax = 5_000
  /// Keys that are connected with others, where persons are divided among several readings.
  public static let connectedCountMax = 8_000_000

  public init(
    site: String, times: Range<Int64>, selectors: [TouchSelector],
    dimensions: [BreakdownDimension] = [], offsets: [BreakdownQuestion.ZoneOffset] = [],
    policy: PersonPolicy
  ) {
    precondition(
      (1...Self.selectorCountMax).contains(selectors.count), "every selector has a bit")
    self.site = site
    self.times = times
    self.selectors = selectors
    self.dimensions = dimensions
    self.offsets = offsets
    self.policy = policy
  }

  /// Whether it must be known who was in which segment.
  public var needsSegments: Bool { asked.contains(.segment) }

  /// The dimensions that have a say.
  public var asked: [BreakdownDimension] {
    dimensions + selectors.flatMap(\.asked)
  }

  public static let advice =
    "ask about a shorter range, or about fewer events by a filter or by their name"
}
