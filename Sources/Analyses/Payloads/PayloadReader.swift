/// Finds fields in payloads: a schema of names, followed through the JSON, which passes over everything else.
///
/// Values are texts, numbers and words as they are written; objects, `null` and what is empty count as not there.
/// Where a payload has a field in several places the best one counts, in whatever order they come. Once nothing that
/// could still come would change what is wanted, the rest is not looked at.
///
/// A payload that is laid out as one before it of its kind is not read but compared with that (``PayloadLayout``), which
/// finds the same and takes a fraction of the time.
struct PayloadReader {
  /// A name that means something below some node.
  private struct Entry: BitwiseCopyable {
    /// See ``PayloadSkimmer/head(_:)``.
    var head: UInt64
    var count: Int
    /// Where the whole name is in `names`.
    var start: Int
    /// The node of the members below it; −1 for none.
    var node: Int
    /// −1 for none.
    var field: Int
    /// Of the place among those of its field; 0 is the best.
    var rank: UInt8
  }

  private struct Found: BitwiseCopyable {
    var text = PayloadSkimmer.Text(start: 0, count: 0, isEscaped: false)
    var rank: UInt8 = 0
  }

  /// Those of a node one after the other.
  private var entries: [Entry] = []
  private var ranges: [Range<Int>] = []
  private var names: [UInt8] = []
  /// Of fields that are among ``there``.
  private var found: [Found]
  /// A bit for each field that the payload has.
  private var there: UInt32 = 0
  /// A bit for each field that is wanted in any case.
  private var wanted: UInt32 = 0
  /// Those of them whose best place has not been seen yet.
  private var missing: UInt32 = 0
  /// Of payloads that came before, by their kind.
  private var layouts = Array(repeating: PayloadLayouts(), count: kindCount)
  /// What the payload that is read now is laid out as, while that is to be kept.
  private var recorded = PayloadLayout()
  private var isRecording = false
  /// Whether it is not sure how it is laid out.
  private var isUnsure = false
  private var depth = 0

  private static let kindCount = 16
  private static let depthMax = 16

  /// - Parameter fallbacks: fields that are only wanted where one of the others is not there.
  init(_ fields: [PayloadField], fallbacks: Set<PayloadField> = []) {
    let numbered = fields.map { field in
      (
        number: field.rawValue,
        places: field.places.map { $0.split(separator: ".").map(String.init) }
      )
    }
    self.init(numbered, wanted: fields.filter { !fallbacks.contains($0) }.map(\.rawValue))
  }

  /// Of one property, which is field 0.
  init(_ property: EventProperty) { self.init([(0, property.places)], wanted: [0]) }

  /// - Parameter fields: by number, each with the names of its places, the best one first; no place is of two fields.
  private init(_ fields: [(number: Int, places: [[String]])], wanted: [Int]) {
    for number in wanted { self.wanted |= 1 << UInt32(number) }
    found = Array(repeating: Found(), count: 1 + (fields.map(\.number).max() ?? 0))
    var tree = SchemaTree()
    for (number, places) in fields {
      for (rank, place) in places.enumerated() {
        tree.add(place.map { Array($0.utf8) }[...], number, rank)
      }
    }
    add(tree)
  }

  /// - Returns: the node's number.
  @discardableResult
  private mutating func add(_ tree: SchemaTree) -> Int {
    let node = ranges.count
    let start = entries.count
    ranges.append(start..<start + tree.members.count)
    for member in tree.members {
      entries.append(
        Entry(
          head: PayloadSkimmer.head(member.name), count: member.name.count, start: names.count,
          node: -1, field: member.field, rank: UInt8(member.rank)))
      names += member.name
    }
    for (index, member) in tree.members.enumerated() where !member.below.members.isEmpty {
      entries[start + index].node = add(member.below)
    }
    return node
  }

  // MARK: Reading

  /// Looks through a payload; what was found before is forgotten.
  ///
  /// - Parameter kind: payloads of the same are likely to have the same members, such as ``EventKind/rawValue``.
  mutating func read(_ payload: UnsafeRawBufferPointer, kind: UInt8 = 0) {
    there = 0
    missing = wanted
    let place = Int(kind) & (Self.kindCount - 1)
    guard layouts[place].isInUse() else { return look(through: payload) }
    if replay(place, .latest, payload) { return layouts[place].hit(.latest) }
    if replay(place, .other, payload) { return layouts[place].hit(.other) }
    recorded = layouts[place].miss()
    recorded.begin()
    isRecording = true
    isUnsure = false
    look(through: payload)
    isRecording = false
    layouts[place].keep(recorded)
    recorded = PayloadLayout()
  }

  private mutating func look(through payload: UnsafeRawBufferPointer) {
    var json = PayloadSkimmer(payload)
    if json.peek() == UInt8(ascii: "{") {
      json.step()
      object(&json, node: 0)
    }
    if isRecording { recorded.end(payload, at: json.offset, isWhole: !json.isCut && !isUnsure) }
  }

  /// The bytes of a field, as they stand in the payload that was read last, and whether they have escapes; nil where
  /// it is not there.
  func value(
    _ field: PayloadField, in payload: UnsafeRawBufferPointer
  ) -> (bytes: UnsafeRawBufferPointer, isEscaped: Bool)? {
    value(ofField: field.rawValue, in: payload)
  }

  /// The same of the field with a number.
  func value(
    ofField number: Int, in payload: UnsafeRawBufferPointer
  ) -> (bytes: UnsafeRawBufferPointer, isEscaped: Bool)? {
    guard there & 1 << UInt32(number) != 0 else { return nil }
    let found = found[number]
    let range = found.text.start..<found.text.start + found.text.count
    return (UnsafeRawBufferPointer(rebasing: payload[range]), found.text.isEscaped)
  }

  private mutating func object(_ json: inout PayloadSkimmer, node: Int) {
    while missing != 0, let name = json.name() {
      let entry = match(json, name, node)
      if entry < 0 {
        pass(&json, field: -1, rank: 0)
      } else {
        take(&json, entries[entry])
      }
    }
  }

  @inline(__always)
  private func match(_ json: PayloadSkimmer, _ name: PayloadSkimmer.Text, _ node: Int) -> Int {
    let head = json.head(name)
    for index in ranges[node] where entries[index].head == head {
      guard entries[index].count == name.count else { continue }
      let rest = entries[index].start..<entries[index].start + name.count
      if name.count <= 8 || json.bytes(name).elementsEqual(names[rest]) { return index }
    }
    return -1
  }

  private mutating func take(_ json: inout PayloadSkimmer, _ entry: Entry) {
    switch json.peek() {
    case UInt8(ascii: "{") where entry.node >= 0:
      json.step()
      object(&json, node: entry.node)
    case UInt8(ascii: "[") where entry.node >= 0: array(&json, node: entry.node)
    default: pass(&json, field: entry.field, rank: entry.rank)
    }
  }

  private mutating func array(_ json: inout PayloadSkimmer, node: Int) {
    json.step()
    while missing != 0 {
      switch json.peek() {
      case UInt8(ascii: "{"):
        json.step()
        object(&json, node: node)
      case UInt8(ascii: ","): json.step()
      case UInt8(ascii: "]"):
        json.step()
        return
      case 0: return
      default:
        let before = json.offset
        pass(&json, field: -1, rank: 0)
        // What is no value is passed over byte by byte.
        if json.offset == before { json.step() }
      }
    }
  }

  /// Over the next value, in which nothing is looked for; it may be a field's itself.
  @inline(__always)
  private mutating func pass(_ json: inout PayloadSkimmer, field: Int, rank: UInt8) {
    switch json.peek() {
    case UInt8(ascii: "\""):
      guard let text = json.text() else { return }
      if text.count > 0 { keep(text, field, rank) }
      if isRecording { record(text, .text, text.count > 0, field, rank) }
    case UInt8(ascii: "{"), UInt8(ascii: "["):
      if isRecording { record(containerIn: &json) } else { json.skipContainer() }
    case let first:
      let word = json.word()
      let isThere = word.count > 0 && first != UInt8(ascii: "n")
      if isThere { keep(word, field, rank) }
      if isRecording {
        if !PayloadLayout.isPlain(json.bytes(word)) { isUnsure = true }
        record(word, .word, isThere, field, rank)
      }
    }
  }

  @inline(__always)
  private mutating func keep(_ text: PayloadSkimmer.Text, _ field: Int, _ rank: UInt8) {
    guard field >= 0 else { return }
    let bit: UInt32 = 1 << UInt32(truncatingIfNeeded: field)
    guard there & bit == 0 || rank < found[field].rank else { return }
    there |= bit
    found[field] = Found(text: text, rank: rank)
    if rank == 0 { missing &= ~bit }
  }

  // MARK: Layouts

  /// Over an object or array in which nothing is looked for. What is in an object are values of their own; an array,
  /// whose length may be another the next time, is one value.
  private mutating func record(containerIn json: inout PayloadSkimmer) {
    let start = json.offset
    var skipped = json
    skipped.skipContainer()
    guard json.peek() == UInt8(ascii: "{"), depth < Self.depthMax else {
      json = skipped
      let all = PayloadSkimmer.Text(start: start, count: json.offset - start, isEscaped: false)
      return record(all, .container, false, -1, 0)
    }
    depth += 1
    json.step()
    while json.name() != nil { pass(&json, field: -1, rank: 0) }
    depth -= 1
    // Of what is no JSON the two may find different ends: then it is no layout.
    if json.offset != skipped.offset { isUnsure = true }
    json = skipped
  }

  private mutating func record(
    _ text: PayloadSkimmer.Text, _ sort: PayloadLayout.Sort, _ isThere: Bool, _ field: Int,
    _ rank: UInt8
  ) {
    recorded.append(
      PayloadLayout.Value(
        start: text.start, count: text.count, sort: sort, isEscaped: text.isEscaped,
        isThere: isThere, field: field, rank: rank, varies: false))
  }

  /// Finds what reading would find, where a payload is laid out as one before.
  ///
  /// - Returns: false where it is not, or not surely; then nothing is found yet.
  private mutating func replay(
    _ place: Int, _ which: PayloadLayouts.Which, _ payload: UnsafeRawBufferPointer
  ) -> Bool {
    while true {
      let layout = layouts[place][which]
      guard layout.isValid else { return false }
      let difference = layout.bytes.withUnsafeBytes { bytes in
        layout.stops.withUnsafeBufferPointer { compare(bytes, $0, payload) }
      }
      guard let difference else { return true }
      there = 0
      missing = wanted
      guard difference >= 0, layouts[place].vary(at: difference, which) else { return false }
    }
  }

  /// Compares a payload with one before, from one of its values that may differ to the next.
  ///
  /// - Returns: nil where it is laid out in the same way; else where the one before has another byte, −1 where a value is
  ///   of another sort.
  private mutating func compare(
    _ before: UnsafeRawBufferPointer, _ stops: UnsafeBufferPointer<PayloadLayout.Value>,
    _ payload: UnsafeRawBufferPointer
  ) -> Int? {
    guard let old = before.baseAddress, let now = payload.baseAddress else { return -1 }
    var (from, here) = (0, 0)
    for stop in stops {
      guard stop.varies else {
        keep(
          PayloadSkimmer.Text(
            start: stop.start &+ here &- from, count: stop.count, isEscaped: stop.isEscaped),
          stop.field, stop.rank)
        continue
      }
      let count = stop.start &- from
      guard count < payload.count &- here else { return -1 }
      guard PayloadLayout.isSame(old + from, now + here, count) else {
        return from &+ PayloadLayout.same(old + from, now + here, count)
      }
      guard let text = Self.value(like: stop, in: payload, at: here &+ count) else { return -1 }
      if stop.field >= 0 {
        let isThere =
          stop.sort == .text
          ? text.count > 0 : stop.sort == .word && payload[text.start] != UInt8(ascii: "n")
        guard isThere == stop.isThere else { return -1 }
        if isThere { keep(text, stop.field, stop.rank) }
      }
      from = stop.last
      here = text.start &+ text.count &- (stop.sort == .container ? 1 : 0)
    }
    let count = before.count &- from
    guard count <= payload.count &- here else { return -1 }
    return PayloadLayout.isSame(old + from, now + here, count)
      ? nil : from &+ PayloadLayout.same(old + from, now + here, count)
  }

  /// The value of a sort that begins at a place; nil where there is another one.
  private static func value(
    like value: PayloadLayout.Value, in payload: UnsafeRawBufferPointer, at start: Int
  ) -> PayloadSkimmer.Text? {
    switch value.sort {
    case .text:
      var json = PayloadSkimmer(payload, at: start &- 1)
      return json.text()
    case .word:
      let first = payload[start]
      if first <= 0x20 || first == UInt8(ascii: "\"") || first | 0x20 == UInt8(ascii: "{") {
        return nil
      }
      var json = PayloadSkimmer(payload, at: start)
      let word = json.word()
      return word.count > 0 && !json.isCut && PayloadLayout.isPlain(json.bytes(word)) ? word : nil
    case .container:
      var json = PayloadSkimmer(payload, at: start)
      guard json.peek() | 0x20 == UInt8(ascii: "{"), json.offset == start else { return nil }
      json.skipContainer()
      return json.isCut
        ? nil : PayloadSkimmer.Text(start: start, count: json.offset &- start, isEscaped: false)
    }
  }
}

/// The names that a reader looks for, as they are within each other.
private struct SchemaTree {
  struct Member {
    var name: [UInt8]
    var field = -1
    var rank = 0
    var below = SchemaTree()
  }

  var members: [Member] = []

  mutating func add(_ names: ArraySlice<[UInt8]>, _ field: Int, _ rank: Int) {
    guard let name = names.first else { return }
    let place: Int
    if let known = members.firstIndex(where: { $0.name == name }) {
      place = known
    } else {
      place = members.count
      members.append(Member(name: name))
    }
    if names.count == 1 {
      members[place].field = field
      members[place].rank = rank
    } else {
      members[place].below.add(names.dropFirst(), field, rank)
    }
  }
}
