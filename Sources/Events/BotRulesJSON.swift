// Rules as text, so that a version of a pipeline has its own when `Streams/bots.yaml` has moved on.
extension BotRules {
  /// `{"version":…,"deciding":[…],"agents":{"crawler":[…],…},"events_in_5s":…,"clicks_in_1m":…}`: the same
  /// rules, the same text.
  public func write(to json: inout JSONWriter) {
    json.beginObject()
    json.key("version")
    json.integer(version)
    json.key("deciding")
    Self.write(deciding.names, to: &json)
    json.key("agents")
    json.beginObject()
    for name in BotReasons.agentNames {
      json.key(name)
      Self.write(patterns.filter { $0.reason.names == [name] }.map(\.text), to: &json)
    }
    json.endObject()
    if let rate {
      json.key("events_in_5s")
      json.integer(rate.eventsMax)
      json.key("clicks_in_1m")
      json.integer(rate.clicksMax)
    }
    json.endObject()
  }

  private static func write(_ texts: [String], to json: inout JSONWriter) {
    json.beginArray()
    for text in texts { json.string(text) }
    json.endArray()
  }

  /// - Returns: nil where they are no rules that this program knows.
  public static func read(_ json: inout JSONScanner) throws(JSONError) -> BotRules? {
    var rules = BotRules(version: 0, patterns: [], rate: nil, deciding: [])
    var rate = Rate(eventsMax: 0, clicksMax: 0)
    try json.beginObject()
    while let key = try json.nextKey() {
      switch key {
      case "version": rules.version = UInt16(clamping: try json.int64())
      case "deciding":
        for name in try texts(&json) {
          guard let reason = BotReasons(name: name) else { return nil }
          rules.deciding.insert(reason)
        }
      case "agents":
        try json.beginObject()
        while let name = try json.nextKey() {
          guard let reason = BotReasons(name: name.string) else { return nil }
          rules.patterns += try texts(&json).map { Pattern($0, reason) }
        }
      case "events_in_5s": rate.eventsMax = Int(try json.int64())
      case "clicks_in_1m": rate.clicksMax = Int(try json.int64())
      default: return nil
      }
    }
    if rate.eventsMax > 0 { rules.rate = rate }
    return rules.version == 0 ? nil : rules
  }

  private static func texts(_ json: inout JSONScanner) throws(JSONError) -> [String] {
    var texts: [String] = []
    try json.beginArray()
    while try json.nextElement() { texts.append(try json.string()) }
    return texts
  }
}
