import Events

/// One event of PostHog's protocol, read in one pass over its JSON.
///
/// v0 and v1 differ only in where v1 puts three of PostHog's own properties: in `options`.
enum PostHogEvent {
  /// What the scan of an event has found. It is never copied: it has many texts.
  private struct Fields: ~Copyable {
    /// What is told in the terms of all protocols; its properties are read while the request's bytes are there.
    var draft = EventDraft(
      properties: MappedProperties(borrowing: true), propertiesPlace: "properties")
    /// What the mapping says of the name.
    var kind: EventKind?
    var id = ""
    var insertID = ""
    var distinctID = ""
    var propertyDistinctID = ""
    var deviceID = ""
    /// Of `$identify`: the id that the person had before.
    var anonymousID = ""
    /// Of `$create_alias`.
    var alias = ""
    var elementEvent = ""
    var time: Int64?
    /// Milliseconds between the event and its sending.
    var offset: Int64?
    var isIdentified = true
    var hasProfile = true
    var hasTrueClock = false
    /// Where a member `sent_at` stands, counted from the event's start.
    var sentAt: Range<Int>?
    /// The same of `offset`, which grows from copy to copy.
    var age: Range<Int>?
  }

  /// What SDKs send as the person where they may not know one.
  private static let cookieless = "$posthog_cookieless"

  /// What a text of an event is for; nil where another one makes it another event.
  static func role(_ names: [JSONString], _ key: WriteKey) -> EventTemplates.Role? {
    guard names.count > 1 else {
      switch names[0] {
      case "uuid": return .id
      case "distinct_id": return .user
      case "timestamp": return .time
      case "event", "$distinct_id", "offset", "sent_at", "properties", "options": return nil
      default: return .other
      }
    }
    guard names.count == 2, names[0] == "properties" else {
      return names[0] == "options" ? nil : .other
    }
    switch names[1] {
    case "$insert_id": return .short
    case "distinct_id", "$distinct_id", "$device_id", "$anon_distinct_id", "alias", "$event_type",
      "$is_identified", "$process_person_profile", "$ignore_sent_at", "utm_campaign":
      return nil
    default: return key.mapping.templateRole(names[1])
    }
  }

  struct Reader {
    let key: WriteKey
    let receivedAt: Int64
    /// The client's clock when it sent the request; 0 where unknown.
    let sentAt: Int64
    /// The name of an event without one; nil refuses it.
    let defaultName: String?
    let uniqueID: () -> String
    private let source: String

    init(
      key: WriteKey, receivedAt: Int64, sentAt: Int64, defaultName: String?,
      uniqueID: @escaping () -> String
    ) {
      self.key = key
      self.receivedAt = receivedAt
      self.sentAt = sentAt
      self.defaultName = defaultName
      self.uniqueID = uniqueID
      source = PostHogProtocol.name + "/" + key.source
    }

    /// Reads the next value of `json` as an event.
    ///
    /// - Parameters:
    ///   - text: what `json` scans.
    ///   - place: tells equal events without an id apart.
    /// - Throws: ``Refusal``; ``JSONError`` where the text is not JSON.
    func read(
      _ json: inout JSONScanner, in text: UnsafeRawBufferPointer, place: @autoclosure () -> String
    ) throws -> IncomingEvent {
      var templates = EventTemplates(
        key: key, in: text, eventBytesMax: PostHogProtocol.eventBytesMax, isBatch: false,
        role: PostHogEvent.role)
      return try read(&json, in: text, place: place(), templates: &templates)
    }

    /// The same of an event in a batch.
    func read(
      _ json: inout JSONScanner, in text: UnsafeRawBufferPointer,
      place: @autoclosure () -> String, templates: inout EventTemplates
    ) throws -> IncomingEvent {
      guard try json.peek() == .object else {
        throw Refusal(.notAnObject, "an event is a JSON object")
      }
      let start = json.offset  // `peek` has passed over the white space.
      var fields = try scan(&json, start: start)
      let bytes = UnsafeRawBufferPointer(rebasing: text[start..<json.offset])
      guard bytes.count <= PostHogProtocol.eventBytesMax else {
        throw Refusal(
          .eventTooLarge, "an event may have \(PostHogProtocol.eventBytesMax) bytes")
      }
      let event = try event(&fields, place: place(), bytes: bytes)
      templates.add(
        event, bytes, user: fields.draft.user, anonymous: fields.draft.anonymous,
        isPlain: fields.sentAt == nil && fields.age == nil && fields.deviceID.isEmpty
          && event.kind != .alias && event.kind != .identify)
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
        case "event": (fields.draft.name, fields.kind) = try eventName(&json)
        case "uuid": fields.id = try FieldText.scalar(&json, "uuid") ?? ""
        case "distinct_id", "$distinct_id":
          fields.distinctID = try FieldText.scalar(&json, "distinct_id") ?? ""
        case "timestamp": fields.time = try FieldTime.read(&json, "timestamp")
        case "offset":
          fields.offset = try offset(&json)
          fields.age = memberStart - start..<json.offset - start
        case "properties": try properties(&json, &fields)
        case "options": try options(&json, &fields)
        case "sent_at":
          try json.skipValue()
          fields.sentAt = memberStart - start..<json.offset - start
        default: try json.skipValue()
        }
      }
    }

    private func eventName(
      _ json: inout JSONScanner
    ) throws -> (text: String, kind: EventKind?) {
      if try json.skipNull() { return ("", nil) }
      guard try json.peek() == .string else {
        throw Refusal(.wrongFieldType, "event is the name of the event, a text")
      }
      let text = try json.text()
      if let known = key.mapping.known(text) { return (known.text, known.kind) }
      return (try FieldText.check(text, "event"), nil)
    }

    private func offset(_ json: inout JSONScanner) throws -> Int64? {
      if try json.skipNull() { return nil }
      if try json.peek() == .number {
        let digits = String(decoding: try json.numberText(), as: UTF8.self)
        if let offset = Int64(digits), (0...max(0, receivedAt / 1000)).contains(offset) {
          return offset
        }
      }
      throw Refusal(.badTimestamp, "offset is the event's age in whole milliseconds")
    }

    private func properties(_ json: inout JSONScanner, _ fields: inout Fields) throws {
      if try json.skipNull() { return }
      guard try json.peek() == .object else {
        throw Refusal(.wrongFieldType, "properties is a JSON object")
      }
      try json.beginObject()
      while let name = try json.nextKey() {
        switch name {
        case "distinct_id", "$distinct_id":
          fields.propertyDistinctID = try FieldText.scalar(&json, "distinct_id") ?? ""
        case "$device_id": fields.deviceID = try FieldText.scalar(&json, "$device_id") ?? ""
        case "$anon_distinct_id":
          fields.anonymousID = try FieldText.scalar(&json, "$anon_distinct_id") ?? ""
        case "alias": fields.alias = try FieldText.lenient(&json)
        case "$event_type": fields.elementEvent = try FieldText.lenient(&json)
        case "$insert_id": fields.insertID = try FieldText.scalar(&json, "$insert_id") ?? ""
        case "$is_identified": fields.isIdentified = try flag(&json) ?? true
        case "$process_person_profile": fields.hasProfile = try flag(&json) ?? true
        case "$ignore_sent_at": fields.hasTrueClock = try flag(&json) ?? false
        default:
          if try !fields.draft.properties.take(name, &json, key.mapping) { try json.skipValue() }
        }
      }
    }

    private func options(_ json: inout JSONScanner, _ fields: inout Fields) throws {
      guard try json.peek() == .object else {
        try json.skipValue()
        return
      }
      try json.beginObject()
      while let name = try json.nextKey() {
        switch name {
        case "process_person_profile": fields.hasProfile = try flag(&json) ?? true
        case "disable_skew_correction": fields.hasTrueClock = try flag(&json) ?? false
        default: try json.skipValue()
        }
      }
    }

    /// A truth value, or one as text; nil for anything else.
    private func flag(_ json: inout JSONScanner) throws -> Bool? {
      switch try json.peek() {
      case .boolean: return try json.bool()
      case .string:
        let text = try json.text()
        return text == "true" ? true : text == "false" ? false : nil
      case .object, .array, .number, .null:
        try json.skipValue()
        return nil
      }
    }

    // MARK: Building

    private func event(
      _ fields: inout Fields, place: @autoclosure () -> String, bytes: UnsafeRawBufferPointer
    ) throws(Refusal) -> IncomingEvent {
      if fields.draft.name.isEmpty { fields.draft.name = defaultName ?? "" }
      guard !fields.draft.name.isEmpty else {
        throw Refusal(.noEventName, "an event has event, the name of the event")
      }
      let id = self.id(fields, place: place(), bytes: bytes)
      fields.draft.id = id
      fields.draft.kind = kind(fields)
      fields.draft.time = fields.time ?? fields.offset.map { receivedAt - $0 * 1000 }
      // A time that was told by its age is on this clock already.
      let isCorrected = !fields.hasTrueClock && fields.time != nil
      fields.draft.sentAt = isCorrected ? sentAt : 0
      fields.draft.payload = Array(bytes)
      fields.draft.gap = fields.sentAt ?? fields.age
      let isNobody = try name(&fields)
      return try fields.draft.event(
        protocolName: PostHogProtocol.name, key: key, receivedAt: receivedAt,
        fallbackID: { id }, fallbackPerson: isNobody ? id : nil, source: source)
    }

    /// Whose the event is.
    ///
    /// Of an alias, the SDKs disagree on which id is the earlier one: those for Python and for browsers
    /// send it as `distinct_id` (`alias(previous_id, distinct_id)`), those for Node and Go as `alias`. On
    /// the wire both look the same, and PostHog merges the two persons either way. Here it matters only
    /// where one of them is anonymous, so an id that PostHog's SDKs made up is taken for the earlier one,
    /// else `distinct_id`. `$merge_dangerously` always takes `alias` over into `distinct_id`.
    ///
    /// - Returns: true where it is nobody's: the client has been told to know no persons.
    private func name(_ fields: inout Fields) throws(Refusal) -> Bool {
      let id = fields.distinctID.isEmpty ? fields.propertyDistinctID : fields.distinctID
      guard !id.isEmpty else {
        throw Refusal(.noIdentity, "an event has a distinct_id, which names its person")
      }
      if id == PostHogEvent.cookieless {
        if fields.draft.kind == .alias { fields.draft.kind = .custom }
        return true
      }
      if fields.draft.kind == .alias {
        guard !fields.alias.isEmpty else {
          throw Refusal(
            .noIdentity, "\(fields.draft.name) has properties.alias, another id of the person")
        }
        let isReversed =
          fields.draft.name == "$merge_dangerously"
          || PostHogEvent.isUUID(fields.alias) && !PostHogEvent.isUUID(id)
        fields.draft.previous = isReversed ? fields.alias : id
        fields.draft.user = isReversed ? id : fields.alias
        return false
      }
      // Browsers and apps say whether the id is one that they made up themselves.
      let isAnonymous = !fields.isIdentified || !fields.hasProfile || fields.deviceID == id
      if fields.draft.kind != .identify && isAnonymous {
        fields.draft.anonymous = id
        return false
      }
      fields.draft.user = id
      fields.draft.anonymous =
        fields.draft.kind == .identify && !fields.anonymousID.isEmpty
        ? fields.anonymousID : fields.deviceID
      return false
    }

    private func kind(_ fields: borrowing Fields) -> EventKind {
      let name = fields.draft.name
      switch name {
      case "$identify": return .identify
      case "$create_alias", "$merge_dangerously": return .alias
      default: break
      }
      if let kind = fields.kind, kind != .alias { return kind }
      switch name {
      case "$pageview", "$screen": return .view
      case "$autocapture": return fields.elementEvent == "click" ? .click : .custom
      default: break
      }
      // The other names with a dollar, such as `$set`, are PostHog's own affairs.
      if name.utf8.first == UInt8(ascii: "$") { return .custom }
      let kind = key.mapping.kind(named: name)
      // Somebody's event that is only called so names no two ids.
      return kind == .alias || kind == .identify || kind == .unlink ? .custom : kind
    }

    /// The same for every copy that a client sends again. An event with neither an id nor a time cannot
    /// be told from the next one like it, and who writes such requests by hand sends them once.
    private func id(
      _ fields: borrowing Fields, place: @autoclosure () -> String,
      bytes: UnsafeRawBufferPointer
    ) -> String {
      if !fields.id.isEmpty { return fields.id }
      if !fields.insertID.isEmpty { return fields.insertID }
      guard fields.time != nil || fields.offset != nil else { return uniqueID() }
      let gap = fields.sentAt ?? bytes.count..<bytes.count
      return DerivedID.hash(
        key: key, place: place(), UnsafeRawBufferPointer(rebasing: bytes[..<gap.lowerBound]),
        UnsafeRawBufferPointer(rebasing: bytes[gap.upperBound...]))
    }
  }

  /// The `uuid` of an event that was refused; empty where it has none that is a text.
  static func id(of event: UnsafeRawBufferPointer) throws(JSONError) -> String {
    var json = JSONScanner(event)
    guard try json.peek() == .object else { return "" }
    var id = ""
    try json.beginObject()
    while let name = try json.nextKey() {
      if name == "uuid", try json.peek() == .string {
        let text = try json.text()
        id = text.bytes.count <= FieldText.bytesMax ? text.string : ""
      } else {
        try json.skipValue()
      }
    }
    return id
  }

  /// `0192f3d2-0000-7000-8000-000000000001`: what PostHog's browser and mobile SDKs name persons by
  /// whom nobody has named yet.
  private static func isUUID(_ text: String) -> Bool {
    let bytes = text.utf8
    return bytes.count == 36
      && zip(0..., bytes).allSatisfy { index, byte in
        switch index {
        case 8, 13, 18, 23: byte == UInt8(ascii: "-")
        default:
          byte &- UInt8(ascii: "0") <= 9
            || (byte | 0x20) &- UInt8(ascii: "a") <= 5
        }
      }
  }
}
