import Events

/// What stands around the events of a PostHog request, found in one pass that also checks that all of
/// it is JSON.
///
/// The pass is a separate one because the key, which an event's identity needs, and the time of sending
/// come after the events. Borrows the scanned bytes.
struct PostHogEnvelope {
  /// The write key; nil where there is none.
  private(set) var key: String?
  /// Events of one request name different keys.
  private(set) var namesManyKeys = false
  /// The client's clock when it sent the request; 0 where unknown.
  private(set) var sentAt: Int64 = 0
  /// The array of events; nil where the whole is one event.
  private(set) var list: UnsafeRawBufferPointer?

  /// - Throws: ``JSONError``; ``Refusal`` where it is no object or array.
  init(_ bytes: UnsafeRawBufferPointer) throws {
    var json = JSONScanner(bytes)
    switch try json.peek() {
    case .array:
      list = bytes
      try findKeys(&json)
    case .object: try scanObject(&json)
    case .string, .number, .boolean, .null:
      throw Refusal(.notAnObject, "a request is an event, an array of events, or has a batch")
    }
    try json.end()
  }

  private mutating func scanObject(_ json: inout JSONScanner) throws {
    var ownKey: String?
    var propertyKey: String?
    try json.beginObject()
    while let name = try json.nextKey() {
      let type = try json.peek()
      switch name {
      case "api_key", "token", "$token": ownKey = try Self.text(&json) ?? ownKey
      case "properties": propertyKey = try Self.token(&json) ?? propertyKey
      case "sent_at": sentAt = try Self.text(&json).flatMap { Timestamp.parse($0) } ?? sentAt
      case "batch" where type == .array:
        if list != nil {
          throw Refusal(.malformedJSON, "the body has the member batch once, not again")
        }
        list = try json.skipValue()
      default: try json.skipValue()
      }
    }
    key = ownKey ?? propertyKey
    if key == nil, let list {
      var events = JSONScanner(list)
      try findKeys(&events)
    }
  }

  /// Reads an array of events for the key that they name.
  private mutating func findKeys(_ json: inout JSONScanner) throws {
    try json.beginArray()
    while try json.nextElement() {
      guard try json.peek() == .object else {
        try json.skipValue()
        continue
      }
      var ownKey: String?
      var propertyKey: String?
      try json.beginObject()
      while let name = try json.nextKey() {
        switch name {
        case "api_key", "token", "$token": ownKey = try Self.text(&json) ?? ownKey
        case "properties": propertyKey = try Self.token(&json) ?? propertyKey
        default: try json.skipValue()
        }
      }
      guard let found = ownKey ?? propertyKey else { continue }
      if let key, key != found { namesManyKeys = true }
      key = found
    }
  }

  /// The member `token` of an event's properties.
  private static func token(_ json: inout JSONScanner) throws -> String? {
    guard try json.peek() == .object else {
      try json.skipValue()
      return nil
    }
    var token: String?
    try json.beginObject()
    while let name = try json.nextKey() {
      if name == "token" { token = try text(&json) } else { try json.skipValue() }
    }
    return token
  }

  /// A text that is not empty; nil for any other value.
  private static func text(_ json: inout JSONScanner) throws -> String? {
    guard try json.peek() == .string else {
      try json.skipValue()
      return nil
    }
    let text = try json.string()
    return text.isEmpty ? nil : text
  }
}
