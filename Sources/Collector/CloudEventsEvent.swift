import Events

/// Reads events of CloudEvents 1.0 in the JSON format, each in one pass.
///
/// | event | from |
/// |---|---|
/// | id | `source` and `id`: see ``identity(source:id:)`` |
/// | kind | `type` as the mapping says; else the last word of it, between dots |
/// | name | `type` |
/// | time | `time`; else the time of receipt |
/// | content and other dimensions, money | the members of `data` that the mapping names; else `subject` is the content |
/// | person | the extension attributes `userid` and `anonymousid`, else `data.userId` or `user_id`, `data.anonymousId` or `anonymous_id`; without any the event is a person of its own |
/// | earlier id of an alias | `previousid`, else `data.previousId` or `previous_id` |
struct CloudEventsEvent {
  private let key: WriteKey

  init(_ key: WriteKey) { self.key = key }

  /// What the scan of an event has found.
  private struct Fields {
    var version = ""
    var id = ""
    var source = ""
    var type = ""
    var subject = ""
    var contentType = ""
    var time: Int64?
    var person = Person()
    var data = Data()
    var hasData = false
    var binaryData: [UInt8]?
  }

  private struct Person {
    var user = ""
    var anonymous = ""
    var previous = ""
  }

  private struct Data {
    var properties = MappedProperties()
    var person = Person()
  }

  /// The identity of an event: two events are one if both their sources and ids are equal.
  ///
  /// `source id`, with one space. A source is a URI reference and holds no space, so it ends where the
  /// first one is. Where that is longer than an id may be, it is a hash of both, which holds none.
  static func identity(source: String, id: String) -> String {
    if source.utf8.count + 1 + id.utf8.count <= FieldText.bytesMax { return "\(source) \(id)" }
    var hash = SipHash128()
    hash.update(field: source)
    hash.update(field: id)
    return hash.finalize().description
  }

  /// Reads the next value of `json` as an event.
  ///
  /// - Parameter text: what `json` scans.
  /// - Throws: ``Refusal``; ``JSONError`` where the text is not JSON.
  func read(
    _ json: inout JSONScanner, in text: UnsafeRawBufferPointer, receivedAt: Int64
  ) throws -> IncomingEvent {
    guard try json.peek() == .object else {
      throw Refusal(.notAnObject, "an event is a JSON object")
    }
    let start = json.offset  // `peek` has passed over the white space.
    let fields = try scan(&json)
    let bytes = UnsafeRawBufferPointer(rebasing: text[start..<json.offset])
    guard bytes.count <= CloudEventsProtocol.eventBytesMax else {
      throw Refusal(
        .eventTooLarge, "an event may have \(CloudEventsProtocol.eventBytesMax) bytes")
    }
    return try event(fields, receivedAt: receivedAt, payload: Array(bytes))
  }

  // MARK: Scanning

  private func scan(_ json: inout JSONScanner) throws -> Fields {
    var fields = Fields()
    try json.beginObject()
    while let name = try json.nextKey() {
      switch name {
      case "specversion": fields.version = try attribute(&json, "specversion")
      case "id": fields.id = try attribute(&json, "id")
      case "source": fields.source = try attribute(&json, "source")
      case "type": fields.type = try attribute(&json, "type")
      case "subject": fields.subject = try attribute(&json, "subject")
      case "datacontenttype": fields.contentType = try attribute(&json, "datacontenttype")
      case "time": fields.time = try time(try attribute(&json, "time"))
      case "userid": fields.person.user = try FieldText.scalar(&json, "userid") ?? ""
      case "anonymousid": fields.person.anonymous = try FieldText.scalar(&json, "anonymousid") ?? ""
      case "previousid": fields.person.previous = try FieldText.scalar(&json, "previousid") ?? ""
      case "data":
        fields.hasData = true
        try scanData(&json, &fields.data)
      case "data_base64": fields.binaryData = try binary(&json)
      default: try json.skipValue()
      }
    }
    if let bytes = fields.binaryData {
      guard !fields.hasData else {
        throw Refusal(.badAttribute, "an event has data or data_base64, not both")
      }
      // Without a type, nothing is assumed of bytes.
      if MediaType(fields.contentType).isJSON {
        try bytes.withUnsafeBytes { bytes in
          var json = JSONScanner(bytes)
          try scanData(&json, &fields.data)
          try json.end()
        }
      }
    }
    return fields
  }

  /// - Returns: empty where it is null, which means that it is not there.
  private func attribute(_ json: inout JSONScanner, _ name: String) throws -> String {
    switch try json.peek() {
    case .string: return try json.string()
    case .null:
      _ = try json.skipNull()
      return ""
    case .object, .array, .number, .boolean:
      throw Refusal(.badAttribute, "the attribute \(name) is a text")
    }
  }

  private func time(_ text: String) throws(Refusal) -> Int64? {
    if text.isEmpty { return nil }
    guard let time = Timestamp.parse(text) else {
      throw Refusal(.badTimestamp, "time is RFC 3339 such as 2026-01-01T00:00:00Z")
    }
    return time
  }

  private func binary(_ json: inout JSONScanner) throws -> [UInt8]? {
    if try json.skipNull() { return nil }
    guard try json.peek() == .string else {
      throw Refusal(.badAttribute, "data_base64 is a text")
    }
    var text: [UInt8] = []
    try json.text().append(to: &text)
    guard let bytes = Base64.decode(text) else {
      throw Refusal(.badAttribute, "data_base64 is base 64 with padding (RFC 4648 section 4)")
    }
    return bytes
  }

  private func scanData(_ json: inout JSONScanner, _ data: inout Data) throws {
    guard try json.peek() == .object else {
      try json.skipValue()
      return
    }
    try json.beginObject()
    while let name = try json.nextKey() {
      switch name {
      case "userId", "user_id": data.person.user = try FieldText.scalar(&json, "data.userId") ?? ""
      case "anonymousId", "anonymous_id":
        data.person.anonymous = try FieldText.scalar(&json, "data.anonymousId") ?? ""
      case "previousId", "previous_id":
        data.person.previous = try FieldText.scalar(&json, "data.previousId") ?? ""
      default:
        if try !data.properties.take(name, &json, key.mapping) { try json.skipValue() }
      }
    }
  }

  // MARK: Building

  private func event(
    _ fields: Fields, receivedAt: Int64, payload: [UInt8]
  ) throws(Refusal) -> IncomingEvent {
    try check(fields)
    let identity = Self.identity(source: fields.source, id: fields.id)
    var draft = EventDraft()
    draft.kind = kind(of: fields.type)
    draft.name = fields.type
    draft.id = identity
    // Who the attributes name, is named by them alone: ids of two sources are not mixed.
    let stated = fields.person
    let person =
      stated.user.isEmpty && stated.anonymous.isEmpty && stated.previous.isEmpty
      ? fields.data.person : stated
    draft.user = person.user
    draft.anonymous = person.anonymous
    draft.previous = person.previous
    draft.time = fields.time
    draft.properties = fields.data.properties
    draft.properties.content.fill(dimension: fields.subject)
    draft.propertiesPlace = "data"
    draft.isKindStated = !key.mapping.isUnnamed(Self.lastWord(of: fields.type))
    draft.payload = payload
    return try draft.event(
      protocolName: CloudEventsProtocol.declaration.name, key: key, receivedAt: receivedAt,
      fallbackID: { () throws(Refusal) in identity }, fallbackPerson: identity)
  }

  private func check(_ fields: Fields) throws(Refusal) {
    guard fields.version == "1.0" else {
      throw fields.version.isEmpty
        ? Refusal(.missingAttribute, "an event has specversion, which is 1.0")
        : Refusal(.badAttribute, "specversion is 1.0")
    }
    let required = [("id", fields.id), ("source", fields.source), ("type", fields.type)]
    for (name, value) in required where value.isEmpty {
      throw Refusal(.missingAttribute, "an event has \(name), a text that is not empty")
    }
    guard fields.source.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else {
      throw Refusal(
        .badAttribute, "source is a URI reference: spaces and control characters are encoded")
    }
  }

  private func kind(of type: String) -> EventKind {
    if let kind = key.mapping.mapping.names[type] { return kind }
    return key.mapping.kind(named: Self.lastWord(of: type))
  }

  private static func lastWord(of type: String) -> String {
    type.split(separator: ".").last.map(String.init) ?? type
  }
}
