import Events
import HTTPServer

/// Reads the members of a request's small JSON body.
enum BodyMembers {
  /// - Parameter take: reads a member's value; or leaves it and returns false where there is none of that name and type.
  /// - Returns: false where some member was not taken.
  /// - Throws: 400 for what is no JSON object.
  static func read(
    _ body: [UInt8],
    _ take: (_ name: JSONString, _ type: JSONScanner.ValueType, inout JSONScanner) throws(JSONError)
      -> Bool
  ) throws(Problem) -> Bool {
    var isRight = true
    do throws(JSONError) {
      try body.span.bytes.withUnsafeBytes { bytes throws(JSONError) in
        var json = JSONScanner(bytes)
        try json.beginObject()
        while let name = try json.nextKey() {
          let type = try json.peek()
          if try !take(name, type, &json) {
            isRight = false
            try json.skipValue()
          }
        }
        try json.end()
      }
    } catch {
      throw Problem(
        .badRequest, code: "invalid_json", detail: "the body is no JSON object: \(error)")
    }
    return isRight
  }
}
