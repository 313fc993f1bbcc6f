import Events

/// What an event says of its content: `title`, `topics` (or `topic`) and `format`, among its properties.
///
/// | protocol | where |
/// |---|---|
/// | Segment, RudderStack, PostHog | `properties.title`, `properties.topics`, `properties.format`; `context.page.title` |
/// | CloudEvents | `data.title` … |
/// | pixel, beacon, others | the members themselves |
///
/// Topics are texts in an array, or one text with commas. The first is the main one.
struct ContentFacts: Equatable {
  var title = ""
  var topics: [String] = []
  var format = ""

  static let topicsMax = 8
  static let textBytesMax = 256

  var isEmpty: Bool { title.isEmpty && topics.isEmpty && format.isEmpty }

  init() {}

  /// Nothing where the payload is no JSON object.
  init(_ payload: UnsafeRawBufferPointer) {
    var json = JSONScanner(payload)
    var found = Self()
    do throws(JSONError) {
      guard try json.peek() == .object else { return }
      try found.read(&json, within: .top)
    } catch {
      return
    }
    self = found
  }

  private enum Place { case top, properties, context, page }

  private mutating func read(_ json: inout JSONScanner, within place: Place) throws(JSONError) {
    try json.beginObject()
    while let key = try json.nextKey() {
      let type = try json.peek()
      switch (place, type) {
      case (.top, .object) where key == "properties" || key == "data":
        try read(&json, within: .properties)
      case (.top, .object) where key == "context": try read(&json, within: .context)
      case (.context, .object) where key == "page": try read(&json, within: .page)
      case (.top, .string), (.properties, .string), (.page, .string):
        try readText(key, &json, within: place)
      case (.top, .array), (.properties, .array):
        if key == "topics" { try readTopics(&json) } else { try json.skipValue() }
      default: try json.skipValue()
      }
    }
  }

  private mutating func readText(
    _ key: JSONString, _ json: inout JSONScanner, within place: Place
  ) throws(JSONError) {
    let text = try json.text()
    switch key {
    // A page's own title is the second choice, whichever comes first.
    case "title": if place != .page || title.isEmpty { title = Self.cut(text) }
    case "topics" where place != .page, "topic" where place != .page:
      guard topics.isEmpty else { break }
      for part in Self.cut(text).split(separator: ",") {
        add(topic: String(part).drop { $0 == " " })
      }
    case "format" where place != .page: format = Self.cut(text)
    default: break
    }
  }

  private mutating func readTopics(_ json: inout JSONScanner) throws(JSONError) {
    topics = []
    try json.beginArray()
    while try json.nextElement() {
      if try json.peek() == .string {
        add(topic: Self.cut(try json.text())[...])
      } else {
        try json.skipValue()
      }
    }
  }

  private mutating func add(topic: Substring) {
    guard !topic.isEmpty, topics.count < Self.topicsMax, !topics.contains(String(topic)) else {
      return
    }
    topics.append(String(topic))
  }

  private static func cut(_ text: JSONString) -> String {
    let text = text.string
    guard text.utf8.count > textBytesMax else { return text }
    var cut = ""
    for character in text {
      guard cut.utf8.count + character.utf8.count <= textBytesMax else { break }
      cut.append(character)
    }
    return cut
  }
}
