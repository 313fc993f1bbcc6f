import Events

/// One call of the Segment protocol, read in one pass over its JSON.
enum SegmentEvent {
  /// The calls of the protocol. The raw value is `type` in a batch and the path of a single call.
  enum CallType: String, CaseIterable {
    case track, page, screen, identify, group, alias
  }

  /// What the scan of an event has found. It is never copied: it has many texts.
  private struct Fields: ~Copyable {
    var type: CallType?
    var typeIsKnown = true
    var id: String?
    var time: Int64?
    var originalTime: Int64?
    var user: String?
    var anonymous: String?
    var previous: String?
    var name: (text: String, kind: EventKind)?
    /// Whether the mapping has no line for it.
    var isUnnamed = false
    /// Read while the request's bytes are there.
    var properties = MappedProperties(borrowing: true)
    var sentTime: Int64 = 0
    /// Where a member `sentAt` stands, counted from the event's start.
    var sentAt: Range<Int>?
  }

  /// What a text of an event is for; nil where another one makes it another event.
  static func role(_ names: [JSONString], _ key: WriteKey) -> EventTemplates.Role? {
    if names.count == 2, names[0] == "properties" { return key.mapping.templateRole(names[1]) }
    guard names.count == 1 else {
      guard names.count == 3, names[0] == "context" else { return .other }
      if names[1] == "campaign" { return nil }
      return names[1] == "page" && names[2] == "url" ? .page : .other
    }
    switch names[0] {
    case "messageId": return .id
    case "userId": return .user
    case "anonymousId": return .anonymous
    case "timestamp": return .time
    case "originalTimestamp": return .instant
    case "type", "event", "previousId", "sentAt", "properties": return nil
    default: return .other
    }
  }

  struct Reader {
    let key: WriteKey
    let receivedAt: Int64
    private let source: String

    init(key: WriteKey, receivedAt: Int64) {
      self.key = key
      self.receivedAt = receivedAt
      source = "segment/" + key.source
    }

    /// Reads the next value of `json` as an event.
    ///
    /// - Parameters:
    ///   - text: what `json` scans.
    ///   - type: of a single call; nil where the event says it itself.
    ///   - place: with the index in a batch it tells equal events without an id apart.
    /// - Throws: ``Refusal``; ``JSONError`` where the text is not JSON.
    func read(
      _ json: inout JSONScanner, in text: UnsafeRawBufferPointer, type: CallType?, place: String,
      index: Int?
    ) throws -> IncomingEvent {
      var templates = EventTemplates(
        key: key, in: text, eventBytesMax: SegmentProtocol.eventBytesMax, isBatch: false,
        role: SegmentEvent.role)
      return try read(
        &json, in: text, type: type, place: place, index: index, templates: &templates)
    }

    /// The same of an event in a batch.
    func read(
      _ json: inout JSONScanner, in text: UnsafeRawBufferPointer, type: CallType?, place: String,
      index: Int?, templates: inout EventTemplates
    ) throws -> IncomingEvent {
      guard try json.peek() == .object else {
        throw Refusal(.notAnObject, "an event is a JSON object")
      }
      let start = json.offset  // `peek` has passed over the white space.
      var fields = try scan(&json, start: start)
      fields.properties.fillFromPage()
      let bytes = UnsafeRawBufferPointer(rebasing: text[start..<json.offset])
      guard bytes.count <= SegmentProtocol.eventBytesMax else {
        throw Refusal(
          .eventTooLarge, "an event may have \(SegmentProtocol.eventBytesMax) bytes")
      }
      let event = try event(fields, type: type, place: place, index: index, bytes: bytes)
      templates.add(
        event, bytes, user: fields.user ?? "", anonymous: fields.anonymous ?? "",
        isPlain: fields.sentAt == nil && event.kind != .alias && event.kind != .unlink)
      return event
    }

    // MARK: Scanning

    private func scan(_ json: inout JSONScanner, start: Int) throws -> Fields {
      var fields = Fields()
      try json.beginObject()
      while true {
        let memberStart = json.offset
        guard let name = try json.nextKey() else { return fields }
        switch name {
        case "type":
          fields.type = try callType(&json)
          fields.typeIsKnown = fields.type != nil
        case "messageId": fields.id = try FieldText.scalar(&json, "messageId")
        case "timestamp": fields.time = try FieldTime.read(&json, "timestamp")
        case "originalTimestamp":
          fields.originalTime = try FieldTime.read(&json, "originalTimestamp")
        case "userId": fields.user = try FieldText.scalar(&json, "userId")
        case "anonymousId": fields.anonymous = try FieldText.scalar(&json, "anonymousId")
        case "previousId": fields.previous = try FieldText.scalar(&json, "previousId")
        case "event": (fields.name, fields.isUnnamed) = try eventName(&json)
        case "context": try context(&json, &fields.properties)
        case "properties": try fields.properties.scan(&json, key.mapping)
        case "sentAt":
          if try json.peek() == .string {
            fields.sentTime = Timestamp.parse(try json.string()) ?? 0
          } else {
            try json.skipValue()
          }
          fields.sentAt = memberStart - start..<json.offset - start
        default: try json.skipValue()
        }
      }
    }

    private func callType(_ json: inout JSONScanner) throws -> CallType? {
      guard try json.peek() == .string else {
        return CallType(rawValue: try FieldText.scalar(&json, "type") ?? "")
      }
      let text = try json.text()
      switch text {
      case "track": return .track
      case "page": return .page
      case "identify": return .identify
      default: return CallType(rawValue: try FieldText.check(text, "type"))
      }
    }

    private func eventName(
      _ json: inout JSONScanner
    ) throws -> (name: (text: String, kind: EventKind)?, isUnnamed: Bool) {
      if try json.skipNull() { return (nil, false) }
      guard try json.peek() == .string else {
        throw Refusal(.wrongFieldType, "event is the name of the event, a text")
      }
      let text = try json.text()
      if text.isEscaped || text.bytes.count > FieldText.bytesMax {
        _ = try FieldText.check(text, "event")
      }
      if text.isEmpty { return (nil, false) }
      if let known = key.mapping.known(text) { return (known, false) }
      return ((text.string, key.mapping.mapping.otherwise), true)
    }

    /// The campaign that SDKs of browsers find in the page's address, and that address.
    private func context(
      _ json: inout JSONScanner, _ properties: inout MappedProperties
    ) throws(JSONError) {
      try members(of: &json) { name, json throws(JSONError) in
        switch name {
        case "campaign":
          try members(of: &json) { name, json throws(JSONError) in
            switch name {
            case "name": try properties.read(&json, .campaign)
            case "content": try properties.read(&json, .content)
            case "medium": try properties.read(&json, .channel, rank: .max - 1)
            case "source": try properties.read(&json, .channel)
            default: return false
            }
            return true
          }
        case "page":
          try members(of: &json) { name, json throws(JSONError) in
            guard name == "url" else { return false }
            try properties.readPage(&json, rank: 0)
            return true
          }
        default: return false
        }
        return true
      }
    }

    /// Hands over each member of an object; any other value is passed over.
    ///
    /// - Parameter read: returns false where the value is still to be read.
    private func members(
      of json: inout JSONScanner,
      _ read: (JSONString, inout JSONScanner) throws(JSONError) -> Bool
    ) throws(JSONError) {
      guard try json.peek() == .object else {
        try json.skipValue()
        return
      }
      try json.beginObject()
      while let name = try json.nextKey() {
        if try !read(name, &json) { try json.skipValue() }
      }
    }

    // MARK: Building

    private func event(
      _ fields: borrowing Fields, type stated: CallType?, place: String, index: Int?,
      bytes: UnsafeRawBufferPointer
    ) throws(Refusal) -> IncomingEvent {
      guard let type = stated ?? fields.type else {
        let types = CallType.allCases.map(\.rawValue)
        throw Refusal(
          fields.typeIsKnown ? .noType : .unknownType,
          "type is one of \(types.joined(separator: ", "))")
      }
      let (name, kind) = try nameAndKind(fields, type)
      let user = key.identify(fields.user ?? "")
      let anonymous = key.identify(fields.anonymous ?? "")
      guard !user.isEmpty || !anonymous.isEmpty else {
        throw Refusal(.noIdentity, "an event has a userId or an anonymousId")
      }
      var person = anonymous.isEmpty ? user : anonymous
      if kind == .alias {
        let previous = key.identify(fields.previous ?? "")
        guard !user.isEmpty, !previous.isEmpty || !anonymous.isEmpty else {
          throw Refusal(
            .noIdentity, "an alias has a userId, and a previousId or an anonymousId")
        }
        if !previous.isEmpty { person = previous }
      }
      if kind == .unlink, anonymous.isEmpty {
        throw Refusal(
          .noIdentity, "an unlink has the anonymousId that belongs to its user no longer")
      }
      let id =
        fields.id.flatMap { $0.isEmpty ? nil : $0 }
        ?? derivedID(
          bytes, without: fields.sentAt, place: index.map { "\(place)[\($0)]" } ?? place)
      let (revenue, currency) =
        kind == .conversion
        ? try fields.properties.money(key.mapping.mapping, in: "properties") : (0, "")
      var notes = fields.properties.notes
      if fields.isUnnamed, type == .track, kind == .custom { notes.insert(.unnamed) }
      let personKey = key.identity.personKey(id: person)
      return IncomingEvent(
        kind: kind, key: key.identity.dedupeKey(eventID: id), person: personKey,
        user: user.isEmpty
          ? .zero : user == person ? personKey : key.identity.personKey(id: user),
        eventTime: fields.time ?? fields.originalTime ?? receivedAt, receivedAt: receivedAt,
        sentAt: fields.sentTime,
        dimensions: fields.properties.tuple(site: key.site, currency: currency),
        revenueMicros: revenue, id: id,
        name: name, source: source, payload: Array(bytes),
        fingerprint: EventIdentity.fingerprint(bytes, without: fields.sentAt), notes: notes)
    }

    private func nameAndKind(
      _ fields: borrowing Fields, _ type: CallType
    ) throws(Refusal) -> (text: String, kind: EventKind) {
      guard type == .track else {
        let mapping = key.mapping.mapping
        return (type.rawValue, mapping.calls[type.rawValue] ?? mapping.otherwise)
      }
      guard let name = fields.name else {
        throw Refusal(.noEventName, "a track call has event, the name of the event")
      }
      return name
    }

    /// The same for every copy that a client sends again: SDKs renew only the sent-at.
    private func derivedID(
      _ bytes: UnsafeRawBufferPointer, without sentAt: Range<Int>?, place: String
    ) -> String {
      let gap = sentAt ?? bytes.count..<bytes.count
      return DerivedID.hash(
        key: key, place: place, UnsafeRawBufferPointer(rebasing: bytes[..<gap.lowerBound]),
        UnsafeRawBufferPointer(rebasing: bytes[gap.upperBound...]))
    }
  }
}
