import NIOHTTP1

/// What the server needs to know of a request's header fields, found in one pass.
struct HeadFacts {
  var origin: String?
  var contentLength: Int?
  var expectsContinue = false
  /// The decoder passes over whatever follows such a request, so the connection ends with it.
  var asksForUpgrade = false

  init(_ head: HTTPRequestHead) {
    for (name, value) in head.headers {
      switch name.utf8.count {
      case 6:
        if origin == nil && Self.equal(name, "origin") {
          origin = value
        } else if Self.equal(name, "expect") && Self.equal(value, "100-continue") {
          expectsContinue = true
        }
      case 7 where Self.equal(name, "upgrade"):
        asksForUpgrade = true
      case 14 where Self.equal(name, "content-length"):
        contentLength = Int(value)
      default: break
      }
    }
  }

  /// - Parameter lower: in lower case.
  private static func equal(_ text: String, _ lower: StaticString) -> Bool {
    text.utf8.count == lower.utf8CodeUnitCount
      && lower.withUTF8Buffer { zip(text.utf8, $0).allSatisfy { ($0 | 0x20) == ($1 | 0x20) } }
  }
}
