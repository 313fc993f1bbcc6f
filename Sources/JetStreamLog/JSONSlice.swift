import Events

/// A JSON value as the bytes that stand for it: fields are looked up when asked for, and a part (such
/// as a stream's configuration) is exactly what the server wrote, fields unknown to us included.
///
/// For the short answers of the JetStream API. Bytes that are not JSON give nil.
struct JSONSlice {
  let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }
  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = Array(bytes) }

  var text: String { String(decoding: bytes, as: UTF8.self) }
  var unsigned: UInt64? { UInt64(text) }
  var integer: Int64? { scanned { (json) throws(JSONError) in try json.int64() } }
  var bool: Bool? { scanned { (json) throws(JSONError) in try json.bool() } }
  var string: String? { scanned { (json) throws(JSONError) in try json.string() } }

  /// The value of a field of an object.
  subscript(_ name: StaticString) -> JSONSlice? {
    scanned { (json) throws(JSONError) in
      try json.beginObject()
      while let key = try json.nextKey() {
        let value = try json.skipValue()
        if key == name { return JSONSlice(value) }
      }
      return nil
    }
  }

  /// The fields of an object.
  var members: [(name: String, value: JSONSlice)]? {
    scanned { (json) throws(JSONError) in
      var members: [(name: String, value: JSONSlice)] = []
      try json.beginObject()
      while let key = try json.nextKey() {
        members.append((key.string, JSONSlice(try json.skipValue())))
      }
      return members
    }
  }

  /// The elements of an array.
  var elements: [JSONSlice]? {
    scanned { (json) throws(JSONError) in
      var elements: [JSONSlice] = []
      try json.beginArray()
      while try json.nextElement() { elements.append(JSONSlice(try json.skipValue())) }
      return elements
    }
  }

  private func scanned<R>(_ read: (inout JSONScanner) throws(JSONError) -> R?) -> R? {
    bytes.withUnsafeBytes { buffer in
      var json = JSONScanner(buffer)
      do throws(JSONError) {
        return try read(&json)
      } catch {
        return nil  // Not of the wanted shape, which is what nil says.
      }
    }
  }
}
