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
      (.country, #"{"data":{"country":true}}"#, "true"),
      (.country, #"{"data":{"country":{"name":"x"}}}"#, nil),
      (.country, #"{"data":{"country":""}}"#, nil),
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

  /// What a reader that has read others finds of each, and what one finds that has read none.
  private static func found(
    _ payloads: [[UInt8]], _ fields: [PayloadField]
  ) -> (after: [[String?]], alone: [[String?]]) {
    var reader = PayloadReader(fields)
    func values(_ reader: PayloadReader, _ payload: UnsafeRawBufferPointer) -> [String?] {
      PayloadField.allCases.map { field in
        reader.value(field, in: payload).map {
          "\($0.isEscaped) " + String(decoding: $0.bytes, as: UTF8.self)
        }
      }
    }
    var (after, alone): ([[String?]], [[String?]]) = ([], [])
    for payload in payloads {
      payload.withUnsafeBytes { bytes in
        reader.read(bytes)
        after.append(values(reader, bytes))
        var fresh = PayloadReader(fields)
        fresh.read(bytes)
        alone.append(values(fresh, bytes))
      }
    }
    return (after, alone)
  }

  @Test("A payload like one before it gives what it gives alone, whatever its values are")
  func layouts() {
    let values = [
      #""a""#, #""""#, #""\"x\"""#, #""{\\""#, "1", "12.5", "null", "nothing", "true", "{}", "[1]",
      #"{"a":"}"}"#, #"[{"b":["]"]}]"#, #" "spaced""#, #""a longer text, with: \\ and, so on""#,
    ]
    for seed in 1...300 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      // Members stay; their values change, some of them seldom.
      let last = (0..<5).map { _ in random.pick(values) }
      let payloads = (0..<12).map { _ -> [UInt8] in
        let now = last.map { random.once(in: 3) ? random.pick(values) : $0 }
        let tail =
          random.once(in: 8) ? "" : #","url":"https://x.example/","dw":\#(random.below(200))}"#
        return Array(
          (#"{"type":\#(now[0]),"properties":{"list":\#(now[1]),"utm_source":\#(now[2])},"#
            + #""country":\#(now[3]),"context":{"location":{"country":\#(now[4])}}"# + tail).utf8)
      }
      for fields in [PayloadField.allCases, [.country], [.source, .page, .dwellMilliseconds]] {
        let (after, alone) = Self.found(payloads, fields)
        #expect(after == alone, "seed \(seed)")
      }
    }
  }

  @Test("Bytes that are changed anywhere give after others what they give alone")
  func changedLayouts() {
    for seed in 1...300 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      let base = Array(("{" + Self.members(&random, depth: 0) + "}").utf8)
      let payloads = (0..<20).map { _ -> [UInt8] in
        var bytes = base
        for _ in 0..<random.below(3) where !bytes.isEmpty {
          let place = random.below(bytes.count)
          switch random.below(4) {
          case 0: bytes.remove(at: place)
          case 1: bytes.insert(random.pick(Array(#"a1",:{}[]\ n"#.utf8)), at: place)
          default: bytes[place] = random.pick(Array(#"a1",:{}[]\ n"#.utf8))
          }
        }
        if random.once(in: 6) { bytes.removeLast(random.below(bytes.count + 1)) }
        return bytes
      }
      let (after, alone) = Self.found(payloads, PayloadField.allCases)
      #expect(after == alone, "seed \(seed): \(String(decoding: base, as: UTF8.self))")
    }
  }

  @Test("Kinds whose payloads are always others are left alone for a while")
  func unlike() {
    var layouts = PayloadLayouts()
    var isInUse = layouts.isInUse()
    #expect(isInUse)
    for _ in 0..<8 { layouts.keep(layouts.miss()) }
    isInUse = layouts.isInUse()
    #expect(!isInUse)
    var waited = 1
    while !layouts.isInUse() { waited += 1 }
    #expect(waited == 256)
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
