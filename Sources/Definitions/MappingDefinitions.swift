import Events

/// Reads `Streams/event-mapping.yaml`.
enum MappingDefinitions {
  static let fileName = "event-mapping.yaml"
  /// The ingest protocols whose names and properties are the sender's own choice. The pixel's
  /// fields are fixed and need no mapping.
  static let rootKeys = ["segment"]
  private static let keys = [
    "calls", "events", "unmapped", "dimensions", "revenue", "currency", "default_currency",
  ]
  private static let calls = ["page", "screen", "identify", "group", "alias"]
  private static let kinds = EventKind.sent.map(\.name)

  static func read(_ root: Section) -> EventMapping? {
    guard let section = root.section("segment", keys: keys) else { return nil }
    let calls = section.section("calls", keys: calls).map(kindsByName)
    let events = section.section("events").map(kindsByName)
    let unmapped = section.choice("unmapped", kinds).flatMap { EventKind(name: $0) }
    let properties = propertiesOf(section)
    let currency = section.value(
      "default_currency", allowed: "a code of three letters from ISO 4217", fix: "write USD"
    ) { text in isCurrency(text) ? text : nil }
    guard let calls, let events, let unmapped, let properties, let currency else { return nil }
    return EventMapping(
      names: events, calls: calls, otherwise: unmapped, properties: properties.dimensions,
      revenue: properties.revenue, currency: properties.currency, defaultCurrency: currency)
  }

  private static func kindsByName(_ names: Section) -> [String: EventKind] {
    var kinds: [String: EventKind] = [:]
    for entry in names.entries {
      kinds[entry.name] = names.choice(entry.name, Self.kinds).flatMap { EventKind(name: $0) }
    }
    return kinds
  }

  private struct Properties {
    var dimensions: [Dimension: [String]] = [:]
    var revenue: [String] = []
    var currency: [String] = []
  }

  private static func propertiesOf(_ section: Section) -> Properties? {
    let names = EventMapping.mappedDimensions.map(\.name)
    guard let named = section.section("dimensions", keys: names) else { return nil }
    let allowed = "a list of names of properties; the first that an event has counts"
    var seen: Set<String> = []
    func unique(_ section: Section, _ key: String) -> [String] {
      let names = section.texts(key, allowed: allowed) ?? []
      for name in names where !seen.insert(name).inserted {
        section.problems.add(
          line: section[key]?.line ?? section.line, key: section.path(key),
          what: "has \(name), which another line has too", allowed: "each property once",
          fix: "remove it from one of them")
      }
      return names
    }
    var properties = Properties()
    for dimension in EventMapping.mappedDimensions {
      properties.dimensions[dimension] = unique(named, dimension.name)
    }
    properties.revenue = unique(section, "revenue")
    properties.currency = unique(section, "currency")
    return properties
  }

  private static func isCurrency(_ text: String) -> Bool {
    text.utf8.count == 3
      && text.utf8.allSatisfy { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
  }
}
