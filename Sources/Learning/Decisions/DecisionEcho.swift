import Events

/// Finds tokens of decisions in the payloads of events: members called `decision`, as a text or a list of texts, or
/// `$feature_flag_request_id` and `$feature_flag_payload`, which SDKs of PostHog send with a flag, wherever they are.
enum DecisionEcho {
  /// Tokens that an event can name, and levels that are looked into.
  static let countMax = 16
  private static let depthMax = 8

  /// - Returns: what may be tokens.
  static func find(in payload: UnsafeRawBufferPointer) -> [[UInt8]] {
    guard mayHave(payload) else { return [] }
    var found: [[UInt8]] = []
    var json = JSONScanner(payload)
    do throws(JSONError) {
      try walk(&json, depth: 0, &found)
    } catch {
      // What is no JSON from some place on has none there.
      return found
    }
    return found
  }

  private static func walk(
    _ json: inout JSONScanner, depth: Int, _ found: inout [[UInt8]]
  ) throws(JSONError) {
    switch try json.peek() {
    case .object where depth < depthMax:
      try json.beginObject()
      while let key = try json.nextKey() {
        if key == "decision" || key == "$feature_flag_request_id" || key == "$feature_flag_payload"
        {
          try take(&json, depth: depth + 1, &found)
        } else {
          try walk(&json, depth: depth + 1, &found)
        }
      }
    case .array where depth < depthMax:
      try json.beginArray()
      while try json.nextElement() { try walk(&json, depth: depth + 1, &found) }
    default: try json.skipValue()
    }
  }

  private static func take(
    _ json: inout JSONScanner, depth: Int, _ found: inout [[UInt8]]
  ) throws(JSONError) {
    switch try json.peek() {
    case .string: keep(try json.text(), &found)
    case .array where depth < depthMax:
      try json.beginArray()
      while try json.nextElement() {
        if try json.peek() == .string {
          keep(try json.text(), &found)
        } else {
          try json.skipValue()
        }
      }
    default: try json.skipValue()
    }
  }

  private static func keep(_ text: JSONString, _ found: inout [[UInt8]]) {
    guard found.count < countMax, text.bytes.count >= DecisionToken.textByteCountMin,
      text.bytes.count <= DecisionToken.textByteCountMax + 4
    else { return }
    var bytes: [UInt8] = []
    text.append(to: &bytes)
    // A flag's payload is a JSON text.
    if bytes.first == UInt8(ascii: "\""), bytes.last == UInt8(ascii: "\"") {
      bytes = Array(bytes.dropFirst().dropLast())
    }
    if !found.contains(bytes) { found.append(bytes) }
  }

  /// Most events name none: looks for the names without reading.
  private static func mayHave(_ payload: UnsafeRawBufferPointer) -> Bool {
    has("decision\"", payload) || has("flag_request_id\"", payload)
      || has("flag_payload\"", payload)
  }

  private static func has(_ name: StaticString, _ payload: UnsafeRawBufferPointer) -> Bool {
    let count = name.utf8CodeUnitCount
    guard payload.count >= count, let base = payload.baseAddress else { return false }
    let wanted = UnsafeRawPointer(name.utf8Start)
    let head = wanted.loadUnaligned(as: UInt64.self)
    for index in 0...(payload.count - count) {
      guard base.loadUnaligned(fromByteOffset: index, as: UInt64.self) == head else { continue }
      let rest = UnsafeRawBufferPointer(start: base + index + 8, count: count - 8)
      if rest.elementsEqual(UnsafeRawBufferPointer(start: wanted + 8, count: count - 8)) {
        return true
      }
    }
    return false
  }
}
