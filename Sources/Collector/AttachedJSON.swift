import Events

/// What JSON the fields of one of Snowplow's events hold: that of a self-describing event in `ue_px` or
/// `ue_pr`, and that of its contexts in `cx` or `co`. The first of each pair is base64url.
struct AttachedJSON {
  static let fields: Set<String> = ["ue_px", "ue_pr", "cx", "co"]

  private struct Part {
    let field: String
    let json: [UInt8]
  }

  private var event: Part?
  private var contexts: Part?

  /// - Throws: ``Refusal`` where a field holds no JSON.
  init(_ fields: TextFields) throws(Refusal) {
    for (name, value) in fields.all where Self.fields.contains(name) && !value.isEmpty {
      let isEncoded = name == "ue_px" || name == "cx"
      let part = Part(
        field: name, json: try SelfDescribing.json(value, isEncoded: isEncoded, name))
      if name.hasPrefix("ue") { event = part } else { contexts = part }
    }
  }

  /// Hands over the data of the self-describing event.
  ///
  /// - Returns: its schema; nil where there is no such event.
  func scanEvent(
    _ scan: (inout JSONScanner) throws -> Void
  ) throws -> SelfDescribing.Schema? {
    guard let event else { return nil }
    return try event.json.withUnsafeBytes { bytes in
      var json = JSONScanner(bytes)
      // The outer schema only says that an event is in it.
      return try SelfDescribing.open(&json, event.field) { _, inner in
        try SelfDescribing.open(&inner, event.field) { schema, data in
          try scan(&data)
          return schema
        }
      }
    }
  }

  /// Hands over the data of each context.
  func scanContexts(_ scan: (inout JSONScanner) throws -> Void) throws {
    guard let contexts else { return }
    try contexts.json.withUnsafeBytes { bytes in
      var json = JSONScanner(bytes)
      try SelfDescribing.open(&json, contexts.field) { _, list in
        guard try list.peek() == .array else { throw SelfDescribing.malformed(contexts.field) }
        try list.beginArray()
        while try list.nextElement() {
          try SelfDescribing.open(&list, contexts.field) { _, data in try scan(&data) }
        }
      }
    }
  }

  /// As members `ue` and `contexts`.
  func write(to json: inout JSONWriter) {
    for (name, part) in [("ue", event), ("contexts", contexts)] {
      guard let part else { continue }
      json.key(name)
      part.json.withUnsafeBytes { json.raw($0) }
    }
  }
}
