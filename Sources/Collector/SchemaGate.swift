public import Events

/// Holds the properties of events against their schemas: one that does not fit goes to the dead letters,
/// one of an older version gets the properties of the newest.
///
/// What the upcast makes of properties counts as if it had come so: dimensions and money that the protocol
/// did not find are looked for among them. An event without a schema costs two look-ups.
public struct SchemaGate: EventGate {
  public let name = "schema"
  private let schemas: EventSchemas
  private let places: [String: PropertiesPlace]

  public init(_ schemas: EventSchemas) {
    self.schemas = schemas
    places = Dictionary(
      ProtocolCatalog.all.map { ($0.name, $0.properties) }, uniquingKeysWith: { first, _ in first })
  }

  public func admit(
    _ event: inout IncomingEvent, _ request: borrowing RequestFacts, _ key: WriteKey
  ) throws(Refusal) -> GateVerdict {
    guard let versions = versions(of: event, request.memory),
      case .first(let paths)? = places[String(event.source.prefix { $0 != "/" })]
    else { return .pass }
    let found: FoundProperties
    do throws(JSONError) {
      found = try FoundProperties(event.payload, paths)
    } catch {
      throw Refusal(.malformedJSON, "\(error)")
    }
    switch versions.check(found.properties, stated: found.version) {
    case .violates(var violation):
      violation.path = found.prefix + violation.path.dropFirst()
      throw Refusal(violation)
    case .fits(_, let upcast):
      if let upcast { try take(upcast.bytes, found.place, key, &event) }
      return .pass
    }
  }

  private func versions(
    of event: borrowing IncomingEvent, _ memory: RequestMemory
  ) -> EventSchemas.Versions? {
    if let last = memory.schemas, last.name == event.name, last.kind == event.kind {
      return last.versions
    }
    let versions = schemas.versions(of: event.name, event.kind)
    memory.schemas = (event.name, event.kind, versions)
    return versions
  }

  private func take(
    _ properties: [UInt8], _ place: Range<Int>?, _ key: WriteKey, _ event: inout IncomingEvent
  ) throws(Refusal) {
    var mapped = MappedProperties()
    do throws(JSONError) {
      try properties.span.bytes.withUnsafeBytes { bytes throws(JSONError) in
        var json = JSONScanner(bytes)
        try mapped.scan(&json, key.mapping)
      }
    } catch {
      throw Refusal(.malformedJSON, "\(error)")
    }
    guard
      var tuple = event.dimensions.withUnsafeBytes({ DimensionTuple(encoded: $0) })
    else { return }
    if tuple.campaign.isEmpty { tuple.campaign = Self.plain(mapped.campaign.text) }
    if tuple.content.isEmpty { tuple.content = Self.plain(mapped.content.text) }
    if tuple.variant.isEmpty { tuple.variant = Self.plain(mapped.variant.text) }
    if tuple.channel.isEmpty { tuple.channel = Self.plain(mapped.channel.text) }
    var revenueMicros = event.revenueMicros
    if event.kind == .conversion, revenueMicros == 0 {
      let money = try mapped.money(key.mapping.mapping)
      if !money.currency.isEmpty { (revenueMicros, tuple.currency) = money }
    }
    event.notes.formUnion(mapped.notes)
    event.revenueMicros = revenueMicros
    event.dimensions = tuple.encoded
    if let place { event.payload.replaceSubrange(place, with: properties) }
  }
}

extension SchemaGate: RowGate {
  /// Where the event has no schema.
  func admitsAlike(
    _ event: borrowing IncomingEvent, template: Int, _ request: borrowing RequestFacts,
    _ key: WriteKey
  ) -> Bool {
    versions(of: event, request.memory) == nil
  }
}

extension SchemaGate {
  /// Of a dimension, which is in the log for everybody to count by: without what is encrypted.
  private static func plain(_ text: String?) -> String {
    text.map { SealedTexts.removed(from: $0) } ?? ""
  }
}

/// The properties of a payload, and what version it says they are.
private struct FoundProperties {
  /// An empty object where there are none.
  var properties = JSONTree.object([])
  /// In the payload; nil where there are none.
  var place: Range<Int>?
  /// What stands in front of their paths, such as `$.properties`.
  var prefix = "$"
  /// As the event says it outside of its properties.
  var version: JSONTree?

  init(_ payload: [UInt8], _ paths: [[String]]) throws(JSONError) {
    prefix = Self.text(paths.first ?? [])
    try payload.span.bytes.withUnsafeBytes { bytes throws(JSONError) in
      for path in paths {
        guard let place = try Self.find(path[...], JSONScanner(bytes), bytes) else { continue }
        let value = try JSONTree(UnsafeRawBufferPointer(rebasing: bytes[place]))
        if case .null = value { continue }
        properties = value
        self.place = place
        prefix = Self.text(path)
        break
      }
      let name = EventSchemas.versionMember
      for path in [[name], ["context", name]] {
        guard version == nil, let place = try Self.find(path[...], JSONScanner(bytes), bytes)
        else { continue }
        version = try JSONTree(UnsafeRawBufferPointer(rebasing: bytes[place]))
      }
    }
  }

  private static func text(_ path: [String]) -> String {
    path.reduce("$") { $0 + ($1 == "0" ? "[0]" : ".\($1)") }
  }

  /// Where the value at the end of a path stands. Of a member that is there twice the last counts.
  private static func find(
    _ path: ArraySlice<String>, _ scanner: JSONScanner, _ bytes: UnsafeRawBufferPointer
  ) throws(JSONError) -> Range<Int>? {
    var json = scanner
    guard let name = path.first else {
      _ = try json.peek()
      let start = json.offset
      try json.skipValue()
      return start..<json.offset
    }
    var found: JSONScanner?
    switch try json.peek() {
    case .object:
      try json.beginObject()
      while let member = try json.nextKey() {
        if member.string == name { found = json }
        try json.skipValue()
      }
    case .array:
      guard name == "0" else { return nil }
      try json.beginArray()
      if try json.nextElement() { found = json }
    default: return nil
    }
    guard let found else { return nil }
    return try find(path.dropFirst(), found, bytes)
  }
}
