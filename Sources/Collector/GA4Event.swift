import Events

/// One event of Google's Measurement Protocol, read in one pass over its JSON.
struct GA4Event {
  /// Google's own limits on an event.
  static let nameBytesMax = 40
  static let paramsMax = 25

  private var name = ""
  private var time: Int64?
  private var properties = MappedProperties()

  /// Names that Google gives events, and what they mean. Those that are called as their kind, such as
  /// `click`, need no line.
  static let kinds: [String: EventKind] = [
    "page_view": .view, "screen_view": .view,
    "view_promotion": .impression, "ad_impression": .impression,
    "select_content": .click, "select_item": .click, "select_promotion": .click,
    "ad_click": .click,
    "user_engagement": .engagement, "scroll": .engagement,
    "purchase": .conversion, "in_app_purchase": .conversion,
  ]

  /// Reads the next value of `json`, all of it whatever is wrong with it.
  ///
  /// - Throws: ``Refusal``; ``JSONError`` where the text is not JSON.
  init(_ json: inout JSONScanner, _ mapping: CompiledMapping) throws {
    guard try json.peek() == .object else {
      throw Refusal(.notAnObject, "an event is a JSON object with name and params")
    }
    try json.beginObject()
    while let member = try json.nextKey() {
      switch member {
      case "name":
        guard try json.peek() == .string else {
          throw Refusal(.wrongFieldType, "name is the name of the event, a text")
        }
        name = try json.string()
      case "timestamp_micros": time = try GA4Request.micros(&json)
      case "params": try scanParams(&json, mapping)
      default: try json.skipValue()
      }
    }
    guard !name.isEmpty else {
      throw Refusal(.noEventName, "an event has name, the name of the event")
    }
    guard name.utf8.count <= Self.nameBytesMax else {
      throw Refusal(.textTooLong, "an event's name may have \(Self.nameBytesMax) bytes")
    }
  }

  private mutating func scanParams(_ json: inout JSONScanner, _ mapping: CompiledMapping) throws {
    if try json.skipNull() { return }
    guard try json.peek() == .object else {
      throw Refusal(.wrongFieldType, "params is a JSON object")
    }
    var count = 0
    try json.beginObject()
    while let param = try json.nextKey() {
      count += 1
      guard count <= Self.paramsMax else {
        throw Refusal(.eventTooLarge, "an event may have \(Self.paramsMax) params")
      }
      if param.bytes.count > Self.nameBytesMax, param.string.utf8.count > Self.nameBytesMax {
        throw Refusal(.textTooLong, "a param's name may have \(Self.nameBytesMax) bytes")
      }
      if try properties.take(param, &json, mapping) { continue }
      switch param {
      // Google's own, where the mapping names others.
      case "campaign": try properties.read(&json, .campaign)
      case "value": try properties.read(&json, .revenue)
      case "currency": try properties.read(&json, .currency)
      default: try json.skipValue()
      }
    }
  }

  /// - Parameters:
  ///   - bytes: of the event.
  ///   - place: tells equal events of a request apart.
  func event(
    _ bytes: UnsafeRawBufferPointer, _ request: GA4Request, _ key: WriteKey, _ input: IngestInput,
    place: String
  ) throws(Refusal) -> IncomingEvent {
    var draft = EventDraft()
    draft.kind = kind(key.mapping)
    draft.name = name
    draft.anonymous = request.client
    draft.user = request.user
    draft.time = time ?? request.time
    draft.properties = properties
    draft.propertiesPlace = "params"
    draft.isKindStated = Self.kinds[name] != nil
    draft.payload = request.alone(bytes)
    let stated = draft.time
    return try draft.event(
      protocolName: GA4Protocol.name, key: key, receivedAt: input.receivedAt,
      fallbackID: { id(bytes, request, key, input, time: stated, place: place) })
  }

  private func kind(_ mapping: CompiledMapping) -> EventKind {
    let stated = mapping.mapping.names[name]
    let kind = stated ?? Self.kinds[name] ?? mapping.kind(named: name)
    // The protocol has no way of naming two ids of a person, nor a word for parting them.
    return kind == .alias || kind == .unlink && stated == nil ? .custom : kind
  }

  /// The same for every copy that a client sends again. The protocol has no ids; a request without a
  /// time cannot be told from the next one like it, such as the same page seen twice, and Google's
  /// clients send each once.
  private func id(
    _ bytes: UnsafeRawBufferPointer, _ request: GA4Request, _ key: WriteKey, _ input: IngestInput,
    time: Int64?, place: String
  ) -> String {
    guard let time else { return input.uniqueID() }
    var client = request.client.isEmpty ? request.user : request.client
    return client.withUTF8 { client in
      withUnsafeBytes(of: time.littleEndian) { time in
        DerivedID.hash(key: key, place: place, UnsafeRawBufferPointer(client), time, bytes)
      }
    }
  }
}
