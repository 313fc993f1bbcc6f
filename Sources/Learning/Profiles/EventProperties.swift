import Events

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
