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
    var rank = UInt8.max
  }

  /// Those of a node one after the other.
  private var entries: [Entry] = []
  private var ranges: [Range<Int>] = []
  private var names: [UInt8] = []
  private var found: [Found]
  /// A bit for each field that is wanted in any case.
  private var wanted: UInt32 = 0
  /// Those of them whose best place has not been seen yet.
  private var missing: UInt32 = 0
  /// Of payloads that came before, by their kind.
  private var layouts = Array(repeating: PayloadLayouts(), count: kindCount)
  /// What the payload that is read now is laid out as, while that is to be kept.
  private var recorded = PayloadLayout()
  private var isRecording = false

  private static let kindCount = 16

  /// - Parameter fallbacks: fields that are only wanted where one of the others is not there.
  init(_ fields: [PayloadField], fallbacks: Set<PayloadField> = []) {
    for field in fields where !fallbacks.contains(field) { wanted |= 1 << UInt32(field.rawValue) }
    found = Array(repeating: Found(), count: PayloadField.allCases.count)
    var tree = SchemaTree()
    for field in fields {
      for (rank, place) in field.places.enumerated() {
        tree.add(place.split(separator: ".").map { Array($0.utf8) }[...], field.rawValue, rank)
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
    for field in found.indices { found[field].rank = .max }
    missing = wanted
    let place = Int(kind) & (Self.kindCount - 1)
    guard layouts[place].isInUse() else { return look(through: payload) }
    if replay(layouts[place].latest, payload) { return layouts[place].hit(other: false) }
    if replay(layouts[place].other, payload) { return layouts[place].hit(other: true) }
    recorded = layouts[place].miss()
    recorded.begin()
    isRecording = true
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
    if isRecording { recorded.end(payload, at: json.offset, isWhole: !json.isCut) }
  }

  /// The bytes of a field, as they stand in the payload that was read last, and whether they have escapes; nil where
  /// it is not there.
  func value(
    _ field: PayloadField, in payload: UnsafeRawBufferPointer
  ) -> (bytes: UnsafeRawBufferPointer, isEscaped: Bool)? {
    let found = found[field.rawValue]
    guard found.rank != .max else { return nil }
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
      let start = json.offset
      json.skipContainer()
      if isRecording {
        let all = PayloadSkimmer.Text(start: start, count: json.offset - start, isEscaped: false)
        record(all, .container, false, field, rank)
      }
    case let first:
      let word = json.word()
      let isThere = word.count > 0 && first != UInt8(ascii: "n")
      if isThere { keep(word, field, rank) }
      if isRecording { record(word, .word, isThere, field, rank) }
    }
  }

  @inline(__always)
  private mutating func keep(_ text: PayloadSkimmer.Text, _ field: Int, _ rank: UInt8) {
    guard field >= 0, rank < found[field].rank else { return }
    found[field] = Found(text: text, rank: rank)
    if rank == 0 { missing &= ~(1 << UInt32(field)) }
  }

  // MARK: Layouts

  private mutating func record(
    _ text: PayloadSkimmer.Text, _ sort: PayloadLayout.Sort, _ isThere: Bool, _ field: Int,
    _ rank: UInt8
  ) {
    recorded.append(
      PayloadLayout.Value(
        start: text.start, count: text.count, sort: sort, isEscaped: text.isEscaped,
        isThere: isThere, field: field, rank: rank))
  }

  /// Finds what reading would find, where a payload is laid out as one before.
  ///
  /// - Returns: false where it is not, or not surely; then nothing is found yet.
  private mutating func replay(
    _ layout: PayloadLayout, _ payload: UnsafeRawBufferPointer
  ) -> Bool {
    guard layout.isValid, let now = payload.baseAddress else { return false }
    let isSame = layout.bytes.withUnsafeBytes { bytes in
      layout.values.withUnsafeBufferPointer { values in
        bytes.baseAddress.map { compare($0, bytes.count, values, now, payload) } ?? false
      }
    }
    if isSame { return true }
    for field in found.indices { found[field].rank = .max }
    missing = wanted
    return false
  }

  private mutating func compare(
    _ before: UnsafeRawPointer, _ count: Int,
    _ values: UnsafeBufferPointer<PayloadLayout.Value>, _ now: UnsafeRawPointer,
    _ payload: UnsafeRawBufferPointer
  ) -> Bool {
    // Places in the layout and in the payload, and the first value that has not been passed.
    var (there, here, next) = (0, 0, 0)
    while true {
      let same = PayloadLayout.same(
        before + there, now + here, min(count &- there, payload.count &- here))
      there &+= same
      here &+= same
      let shift = here &- there
      let isEnd = there == count
      while next < values.count, isEnd || values[next].last < there {
        let value = values[next]
        if value.field >= 0, value.isThere {
          keep(
            PayloadSkimmer.Text(
              start: value.start &+ shift, count: value.count, isEscaped: value.isEscaped),
            value.field, value.rank)
        }
        next &+= 1
      }
      if isEnd { return true }
      // What differs must be a value, and be one of the same sort to its end.
      guard next < values.count, values[next].start <= there, here < payload.count else {
        return false
      }
      let value = values[next]
      guard let text = Self.value(like: value, in: payload, at: value.start &+ shift) else {
        return false
      }
      if value.field >= 0 {
        let isThere =
          value.sort == .text
          ? text.count > 0
          : value.sort == .word && payload[text.start] != UInt8(ascii: "n")
        guard isThere == value.isThere else { return false }
        if isThere { keep(text, value.field, value.rank) }
      }
      there = value.last
      here = text.start &+ text.count &- (value.sort == .container ? 1 : 0)
      next &+= 1
    }
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
      return word.count > 0 && !json.isCut ? word : nil
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
