import Events

/// What is wrong with JSON about write keys, and where.
struct KeyFormatError: Error, Hashable {
  /// Such as `keys[3].policy.address`; empty for the whole.
  let place: String
  let detail: String
}

/// Reads JSON of which every member is known; for the file of keys and for requests about them.
struct KeyReader {
  private var json: JSONScanner
  /// Where it reads.
  private(set) var place = ""

  /// Reads a whole text; the bytes are borrowed during the call.
  static func read<Value>(
    _ bytes: [UInt8], _ body: (inout KeyReader) throws(KeyFormatError) -> Value
  ) throws(KeyFormatError) -> Value {
    let result: Result<Value, KeyFormatError> = bytes.withUnsafeBytes { buffer in
      var reader = KeyReader(json: JSONScanner(buffer))
      do throws(KeyFormatError) {
        let value = try body(&reader)
        try reader.scan { json throws(JSONError) in try json.end() }
        return .success(value)
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  private init(json: JSONScanner) { self.json = json }

  func failure(_ detail: String) -> KeyFormatError { KeyFormatError(place: place, detail: detail) }

  private mutating func scan<Value>(
    _ body: (inout JSONScanner) throws(JSONError) -> Value
  ) throws(KeyFormatError) -> Value {
    do throws(JSONError) {
      return try body(&json)
    } catch {
      throw failure("\(error)")
    }
  }

  /// Reads an object.
  ///
  /// - Parameters:
  ///   - members: all that it may have, each once.
  ///   - read: reads the value of one of them.
  mutating func object(
    _ members: [String], _ read: (inout KeyReader, String) throws(KeyFormatError) -> Void
  ) throws(KeyFormatError) {
    try scan { json throws(JSONError) in try json.beginObject() }
    let outer = place
    var seen: Set<String> = []
    while let name = try scan({ json throws(JSONError) in try json.nextKey()?.string }) {
      guard members.contains(name) else {
        throw failure(
          (Self.isWord(name) ? "the member \(name) is not known" : "a member is not known")
            + "; allowed: \(members.joined(separator: ", "))")
      }
      place = outer.isEmpty ? name : "\(outer).\(name)"
      guard seen.insert(name).inserted else { throw failure("the member is there twice") }
      try read(&self, name)
      place = outer
    }
  }

  /// Only what looks like a member's name is shown: something else may have slipped in its place.
  private static func isWord(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.count <= 40
      && name.utf8.allSatisfy {
        $0 == UInt8(ascii: "_")
          || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0 | 0x20)
      }
  }

  /// Reads an array, each element by `read`.
  mutating func array(
    _ countMax: Int, _ read: (inout KeyReader) throws(KeyFormatError) -> Void
  ) throws(KeyFormatError) {
    try scan { json throws(JSONError) in try json.beginArray() }
    let outer = place
    var index = 0
    while try scan({ json throws(JSONError) in try json.nextElement() }) {
      guard index < countMax else { throw failure("there may be \(countMax) of them") }
      place = "\(outer)[\(index)]"
      try read(&self)
      index += 1
      place = outer
    }
  }

  mutating func string() throws(KeyFormatError) -> String {
    try scan { json throws(JSONError) in try json.string() }
  }

  /// Reads `null` where it is there.
  mutating func skipNull() throws(KeyFormatError) -> Bool {
    try scan { json throws(JSONError) in try json.skipNull() }
  }

  mutating func bool() throws(KeyFormatError) -> Bool {
    try scan { json throws(JSONError) in try json.bool() }
  }

  /// A whole number, however it is written: to JSON Schema 3600.0 is one.
  mutating func integer(_ allowed: ClosedRange<Int>) throws(KeyFormatError) -> Int {
    let number = try scan { json throws(JSONError) in try json.double() }
    guard let value = Int(exactly: number), allowed.contains(value) else {
      throw failure("allowed is \(allowed.lowerBound) to \(allowed.upperBound)")
    }
    return value
  }

  /// An instant as RFC 3339 has it, in microseconds since the epoch.
  mutating func time() throws(KeyFormatError) -> Int64 {
    guard let time = Timestamp.parse(try string()) else {
      throw failure("a time such as 2026-11-23T09:00:00Z is expected")
    }
    return time
  }

  mutating func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ type: Choice.Type
  ) throws(KeyFormatError) -> Choice {
    guard let choice = Choice(rawValue: try string()) else {
      throw failure("allowed: " + Choice.allCases.map(\.rawValue).joined(separator: ", "))
    }
    return choice
  }

  /// A text of 1 to 128 printable characters.
  mutating func printable() throws(KeyFormatError) -> String {
    let text = try string()
    guard KeyValue.isPrintable(text) else {
      throw failure("1 to \(KeyValue.charactersMax) printable characters are expected")
    }
    return text
  }
}
