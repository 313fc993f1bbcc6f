import Events

/// JSON that names its schema, as Snowplow's trackers put it into fields of an event:
/// `{"schema":"iglu:vendor/name/jsonschema/1-0-0","data":…}`.
enum SelfDescribing {
  /// Levels that the JSON of a field has to spare, because it is kept inside of the event's payload and that
  /// inside of a CloudEvent.
  private static let levelsAround = 2

  /// The name of a schema and who declared it.
  struct Schema: Hashable {
    let vendor: String
    let name: String

    /// - Returns: nil where the text is no schema's address, `iglu:vendor/name/format/version`.
    init?(_ text: String) {
      guard text.hasPrefix("iglu:") else { return nil }
      let parts = text.dropFirst(5).split(separator: "/", omittingEmptySubsequences: false)
      guard parts.count == 4, !parts.contains(where: \.isEmpty) else { return nil }
      vendor = String(parts[0])
      name = String(parts[1])
    }
  }

  /// The JSON of a field, checked.
  ///
  /// - Parameter isEncoded: whether it is base 64 in the alphabet of addresses (RFC 4648 section 5), with
  ///   padding or without.
  static func json(
    _ text: String, isEncoded: Bool, _ field: String
  ) throws(Refusal) -> [UInt8] {
    guard isEncoded else { return try checked(Array(text.utf8), field) }
    guard let decoded = LooseBase64.decode(text.utf8) else {
      throw Refusal(
        .malformedJSON, "\(field) is JSON as base64url, with padding or without",
        at: FieldText.path(field))
    }
    return try checked(decoded, field)
  }

  /// Hands over what a field's JSON holds: `read` gets the data's scanner, and has to read one value.
  ///
  /// - Throws: ``Refusal`` where there is no schema or no data.
  static func open<Result>(
    _ json: inout JSONScanner, _ field: String, read: (Schema, inout JSONScanner) throws -> Result
  ) throws -> Result {
    guard try json.peek() == .object else { throw malformed(field) }
    var schema: Schema?
    var data: JSONScanner?
    try json.beginObject()
    while let name = try json.nextKey() {
      if name == "schema", try json.peek() == .string {
        schema = Schema(try json.string())
      } else if name == "data" {
        _ = try json.peek()
        data = json
        try json.skipValue()
      } else {
        try json.skipValue()
      }
    }
    guard let schema, var data else { throw malformed(field) }
    return try read(schema, &data)
  }

  static func malformed(_ field: String) -> Refusal {
    Refusal(
      .malformedJSON,
      "\(field) holds {schema, data} with schema iglu:vendor/name/jsonschema/1-0-0",
      at: FieldText.path(field))
  }

  private static func checked(_ json: [UInt8], _ field: String) throws(Refusal) -> [UInt8] {
    // The brackets take the levels away that are needed around it.
    let around = Array(repeating: UInt8(ascii: "["), count: levelsAround)
    let text = around + json + Array(repeating: UInt8(ascii: "]"), count: levelsAround)
    let wrong = text.withUnsafeBytes { bytes -> Int? in
      var scanner = JSONScanner(bytes)
      do throws(JSONError) {
        for _ in 0..<levelsAround {
          try scanner.beginArray()
          _ = try scanner.nextElement()
        }
        try scanner.skipValue()
        for _ in 0..<levelsAround where try scanner.nextElement() { return scanner.offset }
        try scanner.end()
        return nil
      } catch {
        return error.offset
      }
    }
    if let wrong {
      throw Refusal(
        .malformedJSON,
        "\(field) is one JSON value of at most \(JSONScanner.depthMax - levelsAround) levels, which it is"
          + " not at byte \(min(max(0, wrong - levelsAround), json.count)) of what it decodes to",
        at: FieldText.path(field))
    }
    return json
  }
}
