import Events

/// What an event is about: the `topic` or `topics` of its properties, texts.
enum EventTopics {
  static let countMax = 8

  private static let mark = Array("\"topic".utf8)

  static func texts(_ payload: UnsafeRawBufferPointer) -> [String] {
    guard EventProperties.mentions(payload, mark) else { return [] }
    guard let properties = EventProperties(payload) else { return [] }
    var texts: [String] = []
    for name in ["topic", "topics"] {
      switch properties[name] {
      case .string(let text)?: texts.append(text)
      case .array(let values)?:
        for case .string(let text) in values { texts.append(text) }
      default: break
      }
    }
    return texts.filter { !$0.isEmpty && $0.utf8.count <= Dimension.bytesMax }
      .prefix(countMax).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }
}

/// The properties of an event, wherever its protocol has them.
struct EventProperties {
  private let objects: [JSONTree]

  /// - Returns: nil where the payload is no JSON object.
  init?(_ payload: UnsafeRawBufferPointer) {
    do throws(JSONError) {
      let tree = try JSONTree(payload)
      guard case .object = tree else { return nil }
      objects = [tree["properties"], tree["data"], tree].compactMap(\.self)
    } catch {
      return nil
    }
  }

  /// The innermost one.
  subscript(name: String) -> JSONTree? {
    for object in objects { if let value = object[name] { return value } }
    return nil
  }

  /// Whether some bytes are anywhere in the payload: a look that is much cheaper than reading it.
  static func mentions(_ payload: UnsafeRawBufferPointer, _ bytes: [UInt8]) -> Bool {
    guard let first = bytes.first, payload.count >= bytes.count else { return false }
    var place = 0
    let last = payload.count - bytes.count
    while place <= last {
      if payload[place] == first {
        var length = 1
        while length < bytes.count, payload[place + length] == bytes[length] { length += 1 }
        if length == bytes.count { return true }
      }
      place += 1
    }
    return false
  }
}
