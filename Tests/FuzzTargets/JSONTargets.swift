import Events
@testable import QueryAPI

/// Readers and writers of JSON.
enum JSONTargets {
  static let words = [
    "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u00e9", "\\ud83d\\ude00", "\\ud83d", "null",
    "true",
    "false", "-0", "1e9", "0.1", "\"a\":", "é", "😀", "\u{0}",
  ]

  private static let deep = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)

  private static let seeds: [[UInt8]] = [
    #"{"a":[1,-2.5e3,"x\u00e9\n",true,false,null,{"b":{}}],"a":"😀"}"#.bytes,
    #"["\ud83d\ude00","\ud83d",{"\u0061":0}]"#.bytes, deep.bytes, "  -0.0E+10 ".bytes,
    #""a long text without any escape in it""#.bytes,
  ]

  private static let alike = String(
    repeating: #"{"c":"0123456789abcdef0123","a":"x","b":"y"}"# + "\n", count: 4)

  static let all: [FuzzTarget] = [
    FuzzTarget("json", seeds: seeds, words: words, run: scan),
    FuzzTarget("json-writer", seeds: seeds, words: words, run: write),
    FuzzTarget(
      "json-lines",
      seeds: [
        alike.bytes, "{\"a\":\"one\",\"b\":\"two\"}\n{\"a\":\"three\",\"b\":\"four\"}\n".bytes,
        "{\"b\":\"\\u00e9\",\"c\":1,\"a\":\"é\"}\n{\"a\":1}".bytes,
      ], words: words + ["\n"], run: lines),
    FuzzTarget("json-value", seeds: seeds, words: words, run: value),
  ]

  /// What is passed over is what can be read, and is the same when it was written.
  @Sendable private static func scan(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    var scanner = JSONScanner(input)
    var isValid = true
    do throws(JSONError) {
      try scanner.skipValue()
      try scanner.end()
    } catch {
      isValid = false
    }
    let tree: JSONTree
    do throws(JSONError) {
      tree = try JSONTree(input)
    } catch {
      return try BrokenLaw.unless(!isValid, "what is passed over can be read: \(error)")
    }
    try BrokenLaw.unless(isValid, "what can be read can be passed over")
    do throws(JSONError) {
      let again = try JSONTree(tree.bytes)
      try Self.same(again, tree)
    } catch {
      throw BrokenLaw("what was written can be read: \(error)")
    }
  }

  private static func same(_ a: JSONTree, _ b: JSONTree) throws(JSONError) {
    // A number beyond the range of doubles is infinite, and equal to itself.
    precondition(a == b, "what was written is what was read")
  }

  /// Any text comes back from what it was written as.
  @Sendable private static func write(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let text = text(input)
    var json = JSONWriter()
    json.beginArray()
    json.string(text)
    json.beginObject()
    json.key(text)
    json.integer(input.count)
    json.endObject()
    json.endArray()
    let tree: JSONTree
    do throws(JSONError) {
      tree = try JSONTree(json.bytes)
    } catch {
      throw BrokenLaw("what was written can be read: \(error)")
    }
    guard case .array(let items) = tree, items.count == 2, case .string(let read) = items[0] else {
      throw BrokenLaw("an array of two was written")
    }
    try BrokenLaw.unless(read.utf8.elementsEqual(text.utf8), "a text comes back")
    try BrokenLaw.unless(items[1][text] == .integer(input.count), "a member comes back")
  }

  /// Lines read fast are what they are read one by one.
  @Sendable private static func lines(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    var lines = JSONLineScanner(members: ["a", "b"], lineBytesMax: 4096)
    var offset = 0
    while offset < input.count {
      let end = input[offset...].firstIndex(of: 0x0a) ?? input.count
      let line = UnsafeRawBufferPointer(rebasing: input[offset..<end])
      var expected: [[UInt8]?]?
      do throws(JSONError) { expected = try plain(line) } catch { expected = nil }
      do throws(JSONError) {
        offset = try lines.next(input, offset)
      } catch {
        return try BrokenLaw.unless(expected == nil, "a line of JSON is read: \(error)")
      }
      try BrokenLaw.unless(offset == min(end + 1, input.count), "a line ends with its line feed")
      let found = (0..<2).map { lines.value($0).map { Array($0) } }
      guard let expected else { throw BrokenLaw("a line that is no JSON is refused") }
      try BrokenLaw.unless(found == expected, "a line has its own values")
    }
  }

  private static func plain(_ line: UnsafeRawBufferPointer) throws(JSONError) -> [[UInt8]?] {
    var values: [[UInt8]?] = [nil, nil]
    var json = JSONScanner(line)
    try json.beginObject()
    while let key = try json.nextKey() {
      let member = key == "a" ? 0 : key == "b" ? 1 : nil
      let isText = try json.peek() == .string
      if let member { values[member] = isText ? Array(try json.string().utf8) : nil }
      if member == nil || !isText { try json.skipValue() }
    }
    try json.end()
    return values
  }

  /// The reader of queries takes nothing that the scanner refuses.
  @Sendable private static func value(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    do throws(QueryError) {
      _ = try JSONValue(parsing: Array(input))
    } catch {
      return
    }
    do throws(JSONError) {
      _ = try JSONTree(input)
    } catch {
      throw BrokenLaw("what the query API reads is JSON: \(error)")
    }
  }
}
