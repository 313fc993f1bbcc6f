public import Events
public import Views

/// What a question about persons wants to see of the log.
public struct PersonQuestion: Hashable, Sendable {
  public var site: String
  /// Of touches, microseconds since the epoch.
  public var times: Range<Int64>
  /// What a touch can be; number i gives bit i of ``PersonTouch/marks``.
  public var selectors: [TouchSelector]
  /// Whose values touches are told apart by; nil for none.
  public var dimension: Dimension?
  /// How persons are followed: the pipeline's.
  public var policy: PersonPolicy
  /// Persons with touches, or with a sign-in in the whole log, that are followed.
  public var personCountMax: Int
  /// Touches and sign-ins that are kept.
  public var touchCountMax: Int

  public static let selectorCountMax = 32
  public static let personCountMax = 1_000_000
  /// 64 bytes each, and 12 more while it is told whose they are.
  public static let touchCountMax = 4_000_000
  /// Different values of the dimension.
  public static let valueCountMax = 100_000
  /// A person with more touches is left out: nobody's, but a program's.
  public static let personTouchesMax = 5_000

  public init(
    site: String, times: Range<Int64>, selectors: [TouchSelector], dimension: Dimension? = nil,
    policy: PersonPolicy, personCountMax: Int = Self.personCountMax,
    touchCountMax: Int = Self.touchCountMax
  ) {
    precondition(
      (1...Self.selectorCountMax).contains(selectors.count), "every selector has a bit")
    self.site = site
    self.times = times
    self.selectors = selectors
    self.dimension = dimension
    self.policy = policy
    self.personCountMax = personCountMax
    self.touchCountMax = touchCountMax
  }

  static let advice =
    "ask about a shorter range, or about fewer events by a filter or by their name"
}
