/// Finds fields in payloads: a schema of names, followed through the JSON, which passes over everything else.
///
/// Values are texts, numbers and words as they are written; objects, `null` and what is empty count as not there.
/// Where a payload has a field in several places the best one counts, in whatever order they come. Once nothing that
/// could still come would change what is wanted, the rest is not looked at.
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
  mutating func read(_ payload: UnsafeRawBufferPointer) {
    for field in found.indices { found[field].rank = .max }
    missing = wanted
    var json = PayloadSkimmer(payload)
    if json.peek() == UInt8(ascii: "{") {
      json.step()
      object(&json, node: 0)
    }
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
        json.skipValue()
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
    case UInt8(ascii: "{"), UInt8(ascii: "["): json.skipValue()
    case UInt8(ascii: "\""):
      if let text = json.text() { keep(text, entry) }
    case UInt8(ascii: "n"): _ = json.word()
    default: keep(json.word(), entry)
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
        json.skipValue()
        // What is no value is passed over byte by byte.
        if json.offset == before { json.step() }
      }
    }
  }

  @inline(__always)
  private mutating func keep(_ text: PayloadSkimmer.Text, _ entry: Entry) {
    guard entry.field >= 0, text.count > 0, entry.rank < found[entry.field].rank else { return }
    found[entry.field] = Found(text: text, rank: entry.rank)
    if entry.rank == 0 { missing &= ~(1 << UInt32(entry.field)) }
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
