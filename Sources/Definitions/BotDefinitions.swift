import Events

/// Reads `Streams/bots.yaml`.
enum BotDefinitions {
  static let fileName = "bots.yaml"
  static let rootKeys = ["version", "deciding", "agents", "rates"]
  private static let patternBytes = 3...24

  static func read(_ root: Section) -> BotRules? {
    let version = root.integer("version", BotRules.versionRange)
    let deciding = reasons(root)
    let patterns = root.section("agents", keys: BotReasons.agentNames).map(patterns)
    let rates = root.section("rates", keys: ["events_in_5s", "clicks_in_1m"])
    let events = rates?.integer("events_in_5s", 1...1_000_000)
    let clicks = rates?.integer("clicks_in_1m", 1...1_000_000)
    guard let version, let deciding, let patterns, let events, let clicks else { return nil }
    return BotRules(
      version: UInt16(version), patterns: patterns,
      rate: BotRules.Rate(eventsMax: events, clicksMax: clicks), deciding: deciding)
  }

  private static func reasons(_ root: Section) -> BotReasons? {
    let allowed = BotReasons.allNames.joined(separator: ", ")
    guard let names = root.texts("deciding", allowed: allowed) else { return nil }
    var reasons: BotReasons = []
    for name in names {
      guard let reason = BotReasons(name: name) else {
        let near = Spelling.nearest(to: name, among: BotReasons.allNames)
        root.problems.add(
          line: root["deciding"]?.line ?? root.line, key: "deciding", what: "has \(name)",
          allowed: allowed, fix: near.map { "write \($0)" } ?? "remove it")
        continue
      }
      reasons.insert(reason)
    }
    return reasons
  }

  private static func patterns(_ section: Section) -> [BotRules.Pattern] {
    var patterns: [BotRules.Pattern] = []
    var seen: Set<String> = []
    for name in BotReasons.agentNames {
      guard let reason = BotReasons(name: name) else { continue }
      let allowed =
        "parts of names of programs, \(patternBytes.lowerBound) to \(patternBytes.upperBound) letters,"
        + " digits and -_., with * in front the end of a word, with - in front what is none"
      for text in section.texts(name, allowed: allowed) ?? [] {
        let problem =
          !isPattern(text)
          ? "has \(text)" : seen.insert(text.lowercased()).inserted ? nil : "has \(text) once more"
        if let problem {
          section.problems.add(
            line: section[name]?.line ?? section.line, key: section.path(name), what: problem,
            allowed: allowed, fix: "correct it or remove it")
        } else {
          patterns.append(BotRules.Pattern(text, reason))
        }
      }
    }
    return patterns
  }

  private static func isPattern(_ text: String) -> Bool {
    let isSigned = text.hasPrefix("*") || text.hasPrefix("-")
    let name = text.utf8.dropFirst(isSigned ? 1 : 0)
    return patternBytes.contains(name.count) && name.allSatisfy(isOfMark)
  }

  private static func isOfMark(_ byte: UInt8) -> Bool {
    byte &- UInt8(ascii: "0") <= 9 || (byte | 0x20) &- UInt8(ascii: "a") <= 25
      || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
  }
}
