import Testing

@testable import Events

/// A whole JSON text as a tree, read through the scanner's cursor: how a caller would.
private enum JSONTree {
  case object([String: JSONTree])
  case array([JSONTree])
  case string(String)
  case integer(Int64)
  case double(Double)
  case bool(Bool)
  case null

  init(_ json: inout JSONScanner) throws(JSONError) {
    switch try json.peek() {
    case .object:
      var members: [String: JSONTree] = [:]
      try json.beginObject()
      while let key = try json.nextKey() { members[key.string] = try JSONTree(&json) }
      self = .object(members)
    case .array:
      var elements: [JSONTree] = []
      try json.beginArray()
      while try json.nextElement() { elements.append(try JSONTree(&json)) }
      self = .array(elements)
    case .string: self = .string(try json.string())
    case .number:
      var ahead = json
      do throws(JSONError) {
        self = .integer(try ahead.int64())
        json = ahead
      } catch {
        self = .double(try json.double())
      }
    case .boolean: self = .bool(try json.bool())
    case .null:
      _ = try json.skipNull()
      self = .null
    }
  }

  func write(to json: inout JSONWriter) {
    switch self {
    case .object(let members):
      json.beginObject()
      for (key, value) in members.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) })
      {
        json.key(key)
        value.write(to: &json)
      }
      json.endObject()
    case .array(let elements):
      json.beginArray()
      for element in elements { element.write(to: &json) }
      json.endArray()
    case .string(let text): json.string(text)
    case .integer(let value): json.integer(value)
    case .double(let value): json.double(value)
    case .bool(let value): json.bool(value)
    case .null: json.null()
    }
  }
}

@Suite("JSON scanner")
struct JSONScannerTests {
  private static func decoded(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = Substring(text)
    while let first = rest.utf8.first {
      if first == UInt8(ascii: "%") {
        bytes.append(UInt8(rest.dropFirst().prefix(2), radix: 16) ?? 0)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(first)
        rest = rest.dropFirst()
      }
    }
    return bytes
  }

  private static func canonical(_ bytes: [UInt8]) throws(JSONError) -> [UInt8] {
    let result = bytes.withUnsafeBytes { buffer in
      Result { () throws(JSONError) in
        var json = JSONScanner(buffer)
        let tree = try JSONTree(&json)
        try json.end()
        var writer = JSONWriter()
        tree.write(to: &writer)
        return writer.bytes
      }
    }
    return try result.get()
  }

  private static func skips(_ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { buffer in
      var json = JSONScanner(buffer)
      do throws(JSONError) {
        try json.skipValue()
        try json.end()
        return true
      } catch {
        return false
      }
    }
  }

  @Test("reading and skipping agree with Python's json module", arguments: JSONCases.all)
  func python(text: String, canonical: String?) throws {
    let bytes = Self.decoded(text)
    #expect(Self.skips(bytes) == (canonical != nil))
    if let canonical {
      #expect(try Self.canonical(bytes) == Self.decoded(canonical))
    } else {
      #expect(throws: JSONError.self) { try Self.canonical(bytes) }
    }
  }

  @Test("a text that is cut anywhere is refused, and says that it ends there")
  func truncations() throws {
    let text = #"{"a":[1.5e3,"x\u00e9\"é😀",true,null,{"b":{}}],"cdefghijkl":"mnopqrstuv"}"#
    let bytes = Array(text.utf8)
    #expect(Self.skips(bytes))
    for count in 0..<bytes.count {
      let cut = Array(bytes[..<count])
      let error = #expect(throws: JSONError.self) { try Self.canonical(cut) }
      #expect(!Self.skips(cut))
      #expect(
        error?.isAtEnd == true && error?.offset == count, "\(count): \(error.debugDescription)")
    }
  }

  @Test("every single damaged byte is refused or harmless, and skipping agrees with reading")
  func damage() {
    let bytes = Array(#"{"a":[1.5e3,"x\u00e9\"é😀",true,null,{"b":{}}],"c":"d"}"#.utf8)
    for place in bytes.indices {
      for value in UInt8.min ... .max {
        var damaged = bytes
        damaged[place] = value
        let reads: Bool
        do throws(JSONError) {
          _ = try Self.canonical(damaged)
          reads = true
        } catch {
          // 1.5e3 may become a number beyond the doubles, which only reading notices.
          reads = error.expected == .finiteDouble
        }
        #expect(Self.skips(damaged) == reads, "byte \(place) = \(value)")
      }
    }
  }

  @Test("64 levels are read, 65 are refused, whichever way they are reached")
  func depth() {
    for (opening, closing) in [("[", "]"), ("{\"a\":", "}")] {
      for levels in [1, 63, 64, 65, 66, 10_000] {
        let text =
          String(repeating: opening, count: levels) + "1"
          + String(repeating: closing, count: levels)
        #expect(Self.skips(Array(text.utf8)) == (levels <= 64))
      }
    }
  }

  @Test("an object is walked key by key, and skipped values give their bytes")
  func walking() throws {
    let text = Array(
      #" { "event" : "Click\ted", "x": [1, {"y":2}] , "properties":{ "a" : 1 },"n":-7 } "#.utf8)
    try text.withUnsafeBytes { buffer in
      var json = JSONScanner(buffer)
      var seen: [String] = []
      try json.beginObject()
      while let key = try json.nextKey() {
        switch key {
        case "event": seen.append(try json.string())
        case "n": seen.append("\(try json.int64())")
        default: seen.append(String(decoding: try json.skipValue(), as: UTF8.self))
        }
      }
      try json.end()
      #expect(seen == ["Click\ted", #"[1, {"y":2}]"#, #"{ "a" : 1 }"#, "-7"])
    }
  }

  @Test("keys are compared with their escapes resolved")
  func escapedKeys() throws {
    let text = Array(#"{"\u0065vent":1,"even\u0074":2,"events":3,"even":4,"event":5,"":6}"#.utf8)
    try text.withUnsafeBytes { buffer in
      var json = JSONScanner(buffer)
      var found: [Int64] = []
      try json.beginObject()
      while let key = try json.nextKey() {
        let value = try json.int64()
        if key == "event" { found.append(value) }
        if key == "" { found.append(-value) }
      }
      #expect(found == [1, 2, 5, -6])
    }
  }

  @Test(
    "a string without its escapes is the same as text and as appended bytes",
    arguments: [
      (#""""#, ""), (#""plain""#, "plain"), (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
      (#""\u00e9\u20AC\ud83d\ude00!""#, "é€😀!"), (#""\ud83d\u0041\ude00""#, "\u{fffd}A\u{fffd}"),
    ])
  func strings(json: String, expected: String) throws {
    try Array(json.utf8).withUnsafeBytes { buffer in
      var scanner = JSONScanner(buffer)
      let text = try scanner.text()
      #expect(text.string == expected)
      var bytes: [UInt8] = [7]
      text.append(to: &bytes)
      #expect(bytes == [7] + Array(expected.utf8))
    }
  }

  @Test(
    "whole numbers are exact to the limits of 64 bits",
    arguments: [
      ("0", 0), ("-0", 0), ("9223372036854775807", Int64.max), ("-9223372036854775808", Int64.min),
      ("9223372036854775808", nil), ("-9223372036854775809", nil), ("1.0", nil), ("1e3", nil),
      ("99999999999999999999", nil),
    ] as [(String, Int64?)])
  func integers(text: String, expected: Int64?) {
    let value: Int64? = Array(text.utf8).withUnsafeBytes { buffer in
      var json = JSONScanner(buffer)
      do throws(JSONError) { return try json.int64() } catch { return nil }
    }
    #expect(value == expected)
  }

  @Test("an error names the place and what is expected there, and quotes nothing")
  func errors() {
    func error(_ text: String) -> String {
      do throws(JSONError) {
        _ = try Self.canonical(Array(text.utf8))
        return ""
      } catch {
        return error.description
      }
    }
    #expect(error(#"{"secret" 1}"#) == "at byte 10 of the JSON ':' after the key is expected")
    #expect(error(#"[1,2"#) == "the JSON ends at byte 4, where ',' or ']' is expected")
    #expect(error(#"{"a":1,}"#) == "at byte 7 of the JSON a key in double quotes is expected")
    #expect(error("1e999").hasSuffix("a number below 1.8e308 is expected"))
  }

  @Test("a value of another type is refused where it starts")
  func types() {
    func offset(_ read: (inout JSONScanner) throws(JSONError) -> Void) -> Int? {
      Array("  17".utf8).withUnsafeBytes { buffer in
        var json = JSONScanner(buffer)
        do throws(JSONError) {
          try read(&json)
          return nil
        } catch {
          return error.offset
        }
      }
    }
    #expect(offset { json throws(JSONError) in _ = try json.string() } == 2)
    #expect(offset { json throws(JSONError) in try json.beginObject() } == 2)
    #expect(offset { json throws(JSONError) in try json.beginArray() } == 2)
    #expect(offset { json throws(JSONError) in _ = try json.bool() } == 2)
    #expect(offset { json throws(JSONError) in _ = try json.int64() } == nil)
  }
}

@Suite("JSON writer")
struct JSONWriterTests {
  @Test("commas come where they belong")
  func structure() {
    var json = JSONWriter()
    json.beginObject()
    json.key("a")
    json.beginArray()
    json.integer(1)
    json.beginObject()
    json.endObject()
    json.string("x")
    json.endArray()
    json.key("b")
    json.raw(#"{"c":null}"#)
    json.key("d")
    json.double(0.1)
    json.key("e")
    json.double(.infinity)
    json.key("f")
    json.bool(false)
    json.endObject()
    json.newline()
    json.integer(-9)
    #expect(
      String(decoding: json.bytes, as: UTF8.self)
        == #"{"a":[1,{},"x"],"b":{"c":null},"d":0.1,"e":null,"f":false}"# + "\n-9")
  }

  @Test("any text that is written reads back the same")
  func strings() throws {
    let scalars = (0..<0x300).compactMap { Unicode.Scalar($0) } + ["\u{2028}", "\u{10ffff}", "😀"]
    for text in scalars.map({ "a\($0)b\($0)" }) + ["", "\"\\/", "\u{0}\u{1f}\u{7f}"] {
      var json = JSONWriter()
      json.string(text)
      try json.bytes.withUnsafeBytes { buffer in
        var scanner = JSONScanner(buffer)
        #expect(try scanner.string() == text)
        try scanner.end()
      }
    }
  }
}
