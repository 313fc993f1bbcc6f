/// Why an event is not a person's. The raw value is a place in ``BotVerdict/encoded``, for ever.
public struct BotReasons: OptionSet, Hashable, Sendable {
  public let rawValue: UInt16

  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// Told by the user agent.
  public static let crawler = BotReasons(rawValue: 1 << 0)
  public static let headless = BotReasons(rawValue: 1 << 1)
  public static let httpLibrary = BotReasons(rawValue: 1 << 2)
  public static let mailPrefetcher = BotReasons(rawValue: 1 << 3)
  public static let linkScanner = BotReasons(rawValue: 1 << 4)
  public static let monitoring = BotReasons(rawValue: 1 << 5)
  public static let aiCrawler = BotReasons(rawValue: 1 << 6)
  /// The browser says that nobody sees the page yet.
  public static let prefetch = BotReasons(rawValue: 1 << 7)
  /// More than a person can do.
  public static let rate = BotReasons(rawValue: 1 << 8)
  /// The request came from a data centre.
  public static let dataCenter = BotReasons(rawValue: 1 << 9)

  private static let named: [(name: String, reason: BotReasons)] = [
    ("crawler", .crawler), ("headless", .headless), ("http-library", .httpLibrary),
    ("mail-prefetcher", .mailPrefetcher), ("link-scanner", .linkScanner),
    ("monitoring", .monitoring), ("ai-crawler", .aiCrawler), ("prefetch", .prefetch),
    ("rate", .rate), ("data-center", .dataCenter),
  ]
  /// Those that a user agent can give.
  public static let agentNames = named.prefix(7).map(\.name)
  public static let allNames = named.map(\.name)
  /// Those that an event's agent says nothing of, so that they cannot be judged again.
  public static let measured: BotReasons = [.rate, .dataCenter]

  public init?(name: String) {
    guard let reason = Self.named.first(where: { $0.name == name })?.reason else { return nil }
    self = reason
  }

  /// In the order of their places.
  public var names: [String] { Self.named.filter { contains($0.reason) }.map(\.name) }
}

/// What rules made of an event: their version, and the reasons.
public struct BotVerdict: Hashable, Sendable {
  /// Of the rules; 0 where none judged it.
  public var version: UInt16
  public var reasons: BotReasons

  public init(version: UInt16, reasons: BotReasons) {
    self.version = version
    self.reasons = reasons
  }

  /// The version in the upper half, the reasons in the lower; 0: not judged.
  public var encoded: UInt32 { UInt32(version) << 16 | UInt32(reasons.rawValue) }

  public init(encoded: UInt32) {
    version = UInt16(truncatingIfNeeded: encoded >> 16)
    reasons = BotReasons(rawValue: UInt16(truncatingIfNeeded: encoded))
  }
}

/// The rules by which bots are told from people: pure functions of what is kept of a user agent, so that new
/// rules judge old events as they would have judged them then.
public struct BotRules: Hashable, Sendable {
  /// What is part of some mark of an agent, or its browser's name, whatever the case of letters. `*bot` is the end of
  /// a word, as in `AcmeBot` and `acme-bot-2`; `-cubot` says that names with it have no reason of its kind.
  public struct Pattern: Hashable, Sendable {
    public let text: String
    public let reason: BotReasons

    public init(_ text: String, _ reason: BotReasons) {
      self.text = text.lowercased()
      self.reason = reason
    }

    var isException: Bool { text.utf8.first == UInt8(ascii: "-") }

    /// - Parameter name: in lower case.
    func isFound(in name: String) -> Bool {
      switch text.utf8.first {
      case UInt8(ascii: "*"): Self.endsWord(text.dropFirst(), in: name)
      case UInt8(ascii: "-"): name.contains(text.dropFirst())
      default: name.contains(text)
      }
    }

    /// Whether a part of a name is followed by no letter.
    static func endsWord(_ part: some StringProtocol, in name: String) -> Bool {
      name.ranges(of: part).contains { found in
        found.upperBound == name.endIndex || !name[found.upperBound].isLetter
      }
    }
  }

  /// How much is more than a person can do.
  public struct Rate: Hashable, Sendable {
    /// More events than this in five seconds.
    public var eventsMax: Int
    /// More clicks than this in a minute.
    public var clicksMax: Int

    public init(eventsMax: Int, clicksMax: Int) {
      self.eventsMax = eventsMax
      self.clicksMax = clicksMax
    }
  }

  public static let versionRange = 1...Int(UInt16.max)

  /// Raised with every change.
  public var version: UInt16
  public var patterns: [Pattern]
  /// Nil: nobody is too fast.
  public var rate: Rate?
  /// The reasons of which one is enough to be a bot. Others are attached all the same.
  public var deciding: BotReasons

  public init(version: UInt16, patterns: [Pattern], rate: Rate?, deciding: BotReasons) {
    self.version = version
    self.patterns = patterns
    self.rate = rate
    self.deciding = deciding
  }

  /// The mark of an agent whose request said that it fetches ahead.
  public static let prefetchMark = "prefetch"

  /// About 1 µs for each mark; ordinary browsers have none.
  public func reasons(of agent: Agent) -> BotReasons {
    var reasons: BotReasons = []
    if agent.marks.isEmpty { return reasons }
    let texts = (agent.marks + [agent.browser]).map { $0.lowercased() }
    let exceptions = patterns.filter(\.isException)
    for pattern in patterns where !pattern.isException && !reasons.contains(pattern.reason) {
      let isFound = texts.contains { text in
        pattern.isFound(in: text)
          && !exceptions.contains { $0.reason == pattern.reason && $0.isFound(in: text) }
      }
      if isFound { reasons.insert(pattern.reason) }
    }
    if agent.marks.contains(Self.prefetchMark) { reasons.insert(.prefetch) }
    return reasons
  }

  public func isBot(_ reasons: BotReasons) -> Bool { !reasons.isDisjoint(with: deciding) }
}
