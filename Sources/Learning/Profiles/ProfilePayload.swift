import Events

/// What an event says of its person, in one pass: the `topic` or `topics` that it is about, and properties that rules ask for.
///
/// They are among `properties` (and its `$set`), `data`, `traits` or the members of the payload, and the first of these that has one counts.
struct ProfilePayload {
  private(set) var topics: [String] = []
  /// By their places in ``SegmentInputs/properties``.
  private(set) var notes: [(place: Int, note: PropertyNote)] = []

  static let topicsMax = 8
  private static let mark = Array("\"topic".utf8)

  private enum Place: Int { case top, traits, data, set, properties }

  private struct Found {
    var rank = -1
    var texts: [String] = []
  }

  private var one = Found()
  private var many = Found()
  private var ranks: [Int]
  private let inputs: SegmentInputs

  /// - Parameter time: of the event, microseconds since the epoch.
  init(_ payload: UnsafeRawBufferPointer, _ inputs: SegmentInputs, at time: Int64) {
    self.inputs = inputs
    ranks = [Int](repeating: -1, count: inputs.properties.count)
    guard !inputs.properties.isEmpty || EventProperties.mentions(payload, Self.mark) else { return }
    var json = JSONScanner(payload)
    do throws(JSONError) {
      guard try json.peek() == .object else { return }
      try read(&json, within: .top, at: time)
    } catch {
      notes = []
      return
    }
    for text in one.texts + many.texts
    where !text.isEmpty && text.utf8.count <= Dimension.bytesMax {
      guard topics.count < Self.topicsMax else { break }
      if !topics.contains(text) { topics.append(text) }
    }
  }

  private mutating func read(
    _ json: inout JSONScanner, within place: Place, at time: Int64
  ) throws(JSONError) {
    try json.beginObject()
    while let key = try json.nextKey() {
      let type = try json.peek()
      switch (place, type) {
      case (.top, .object) where key == "properties":
        try read(&json, within: .properties, at: time)
      case (.top, .object) where key == "data": try read(&json, within: .data, at: time)
      case (.top, .object) where key == "traits": try read(&json, within: .traits, at: time)
      case (.properties, .object) where key == "$set": try read(&json, within: .set, at: time)
      default:
        if key == "topic" {
          try readTexts(&json, type, to: \.one, place)
        } else if key == "topics" {
          try readTexts(&json, type, to: \.many, place)
        } else if let number = inputs.properties.firstIndex(where: { Self.matches(key, $0.name) }) {
          try readProperty(&json, type, number, place, at: time)
        } else {
          try json.skipValue()
        }
      }
    }
  }

  private static func matches(_ key: JSONString, _ name: String) -> Bool {
    key.isEscaped ? key.string == name : key.bytes.elementsEqual(name.utf8)
  }

  private mutating func readTexts(
    _ json: inout JSONScanner, _ type: JSONScanner.ValueType,
    to found: WritableKeyPath<Self, Found>,
    _ place: Place
  ) throws(JSONError) {
    guard place.rawValue > self[keyPath: found].rank else {
      try json.skipValue()
      return
    }
    var texts: [String] = []
    switch type {
    case .string: texts.append(try json.string())
    case .array:
      try json.beginArray()
      while try json.nextElement() {
        if try json.peek() == .string {
          texts.append(try json.string())
        } else {
          try json.skipValue()
        }
      }
    default:
      try json.skipValue()
      return
    }
    self[keyPath: found] = Found(rank: place.rawValue, texts: texts)
  }

  private mutating func readProperty(
    _ json: inout JSONScanner, _ type: JSONScanner.ValueType, _ number: Int, _ place: Place,
    at time: Int64
  ) throws(JSONError) {
    guard place.rawValue > ranks[number] else {
      try json.skipValue()
      return
    }
    var note = PropertyNote(time: time)
    let values = inputs.properties[number].values
    func find(_ isMeant: (String) -> Bool) {
      note.value = values.firstIndex(where: isMeant).map(Int32.init) ?? -1
    }
    switch type {
    case .string:
      let text = try json.string()
      find { $0 == text }
      note.number = Double(text).flatMap { $0.isFinite ? $0 : nil }
    case .number:
      let value = try json.double()
      find { Double($0) == value }
      note.number = value
    case .boolean:
      let value = try json.bool()
      find { $0 == (value ? "true" : "false") }
    default:
      // Nothing that a rule could ask for, and no longer what it was before.
      try json.skipValue()
    }
    ranks[number] = place.rawValue
    notes.removeAll { $0.place == number }
    notes.append((number, note))
  }
}
