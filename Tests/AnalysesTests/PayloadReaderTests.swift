import Events
import Oracles
import Testing

@testable import Analyses

@Suite struct PayloadReaderTests {
  private static func value(
    _ field: PayloadField, _ json: String, all: [PayloadField] = PayloadField.allCases
  ) -> String? {
    var reader = PayloadReader(all)
    return Array(json.utf8).withUnsafeBytes { payload in
      reader.read(payload)
      return reader.value(field, in: payload).map { String(decoding: $0.bytes, as: UTF8.self) }
    }
  }

  @Test("Each protocol's payload gives its country, source, page and numbers")
  func protocols() {
    let tables: [(PayloadField, String, String?)] = [
      (.country, #"{"a":[1,{"country":"XX"}],"context":{"location":{"country":"DE"}}}"#, "DE"),
      (.country, #"{"properties":{"$geoip_country_code":"FR"},"country":"IT"}"#, "FR"),
      (.country, #"{"country" : "IT" , "properties":{}}"#, "IT"),
      (.country, #"{"context":{"location":null},"country":null}"#, nil),
      (.source, #"{"context":{"campaign":{"name":"x","source":"news"}}}"#, "news"),
      (.page, #"{"events":[{"params":{"page_location":"https://a.b/"}}]}"#, "https://a.b/"),
      (.dwellMilliseconds, #"{"t":"engagement","dw":1200,"sd":60}"#, "1200"),
      (.dwellMilliseconds, #"{"dw":"1200"}"#, "1200"),
      (.scrollPercent, #"{"t":"engagement","dw":1200,"sd":60}"#, "60"),
      (
        .dwellMilliseconds,
        #"{"events":[1,[2,{"params":{"x":1}}],{"params":{"engagement_time_msec":5}}]}"#, "5"
      ),
      (.segment, #"{"data":{"segment":true}}"#, "true"),
      (.segment, #"{"data":{"segment":{"name":"x"}}}"#, nil),
      (.segment, #"{"data":{"segment":""}}"#, nil),
    ]
    for (field, json, expected) in tables {
      #expect(Self.value(field, json) == expected, "\(json)")
    }
  }

  @Test("Of two places the better one counts, whichever comes first")
  func ranks() {
    let better = #""context":{"campaign":{"source":"good"}}"#
    let worse = #""utm_source":"bad""#
    #expect(Self.value(.source, "{\(better),\(worse)}") == "good")
    #expect(Self.value(.source, "{\(worse),\(better)}") == "good")
  }

  @Test("What is skipped may hold quotes, escapes and brackets in texts")
  func skipped() {
    let json =
      #"{"x":"a\"}{\\","y":{"z":["]}",{"q":"\\\""},-1.5e3,null,true]},"\"":"{","country":"NL","w":[[[]]]}"#
    #expect(Self.value(.country, json) == "NL")
  }

  @Test("It finds in random JSON what the checking scanner finds")
  func oracle() throws {
    for seed in 1...400 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      let json = "{" + Self.members(&random, depth: 0) + "}"
      let expected = try Self.naive(Array(json.utf8))
      for field in PayloadField.allCases {
        #expect(Self.value(field, json) == expected[field.rawValue], "seed \(seed): \(json)")
      }
    }
  }

  @Test("No bytes lead it outside of them, cut and changed anywhere")
  func mutants() {
    var random = SeededGenerator(seed: 5)
    for _ in 0..<2000 {
      var bytes = Array(("{" + Self.members(&random, depth: 0) + "}").utf8)
      for _ in 0..<random.below(4) where !bytes.isEmpty {
        bytes[random.below(bytes.count)] = UInt8(random.below(256))
      }
      bytes.removeLast(random.below(bytes.count + 1))
      // A copy of exactly these bytes, so that a sanitizer sees a step beyond.
      var reader = PayloadReader(PayloadField.allCases)
      let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
      defer { copy.deallocate() }
      copy.copyBytes(from: bytes)
      reader.read(UnsafeRawBufferPointer(copy))
      for field in PayloadField.allCases {
        let found = reader.value(field, in: UnsafeRawBufferPointer(copy))
        #expect(found.map { $0.bytes.count <= bytes.count } ?? true)
      }
    }
  }

  /// Members with the names that places are made of, and others.
  private static func members(_ random: inout SeededGenerator, depth: Int) -> String {
    let names =
      Array(Set(PayloadField.allCases.flatMap(\.places).flatMap { $0.split(separator: ".") }))
      .sorted() + ["x", "nothing", ""]
    var used: Set<Substring> = []
    var members: [String] = []
    for _ in 0..<(1 + random.below(8)) {
      let name = random.pick(names)
      guard used.insert(name).inserted else { continue }
      let space = random.pick(["", " ", "\n\t"])
      members.append("\(space)\"\(name)\"\(space):\(space)\(value(&random, depth: depth))\(space)")
    }
    return members.joined(separator: ",")
  }

  private static func value(_ random: inout SeededGenerator, depth: Int) -> String {
    switch random.below(depth < 4 ? 9 : 6) {
    case 0: return "null"
    case 1: return random.pick(["true", "false"])
    case 2: return random.pick(["0", "-1.5e3", "1200"])
    case 3: return random.pick([#""""#, #""a\"}""#, #""{[\\""#])
    case 4, 5: return #""text \#(random.below(100))""#
    case 6:
      return "["
        + (0..<random.below(3)).map { _ in value(&random, depth: depth + 1) }
        .joined(separator: ",") + "]"
    default: return "{" + members(&random, depth: depth + 1) + "}"
    }
  }

  /// By the scanner that checks everything, one place after the other.
  private static func naive(_ json: [UInt8]) throws -> [Int: String] {
    var found: [Int: String] = [:]
    for field in PayloadField.allCases {
      for place in field.places where found[field.rawValue] == nil {
        found[field.rawValue] = try json.withUnsafeBytes { bytes in
          try look(bytes, place.split(separator: "."))
        }
      }
    }
    return found
  }

  private static func look(
    _ bytes: UnsafeRawBufferPointer, _ path: [Substring]
  ) throws -> String? {
    var json = JSONScanner(bytes)
    switch try json.peek() {
    case .object:
      guard let name = path.first else { return nil }
      var result: String?
      try json.beginObject()
      while let key = try json.nextKey() {
        let value = try json.skipValue()
        if key.string == name, result == nil {
          result = try look(value, Array(path.dropFirst()))
        }
      }
      return result
    case .array:
      // Elements that are objects are looked at where members are wanted.
      guard !path.isEmpty else { return nil }
      try json.beginArray()
      while try json.nextElement() {
        guard try json.peek() == .object else {
          try json.skipValue()
          continue
        }
        if let result = try look(json.skipValue(), path) { return result }
      }
      return nil
    case .null: return nil
    case .string:
      let text = try json.text()
      return path.isEmpty && !text.bytes.isEmpty
        ? String(decoding: text.bytes, as: UTF8.self) : nil
    case .number, .boolean:
      return path.isEmpty ? String(decoding: try json.skipValue(), as: UTF8.self) : nil
    }
  }
}
