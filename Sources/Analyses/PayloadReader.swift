/// Finds fields in payloads: a schema of names, followed through the JSON, which passes over everything else.
///
/// Values are texts, numbers and words as they are written; objects, `null` and what is empty count as not there.
/// Where a payload has a field in several places the best one counts, in whatever order they come.
struct PayloadReader {
  private struct Entry {
    var name: [UInt8]
    /// The node of the members below it; −1 for none.
    var node = -1
    var field = -1
    /// Of the place among those of its field; 0 is the best.
    var rank = UInt8.max
  }

  private struct Found {
    var text = PayloadSkimmer.Text(start: 0, count: 0, isEscaped: false)
    var rank = UInt8.max
  }

  private var nodes: [[Entry]] = [[]]
  private var found: [Found]

  init(_ fields: [PayloadField]) {
    found = Array(repeating: Found(), count: PayloadField.allCases.count)
    for field in fields {
      for (rank, place) in field.places.enumerated() {
        var node = 0
        let names = place.split(separator: ".").map { Array($0.utf8) }
        for name in names.dropLast() { node = descend(node, name) }
        let entry = entry(node, names[names.count - 1])
        nodes[node][entry].field = field.rawValue
        nodes[node][entry].rank = UInt8(rank)
      }
    }
  }

  private mutating func entry(_ node: Int, _ name: [UInt8]) -> Int {
    if let known = nodes[node].firstIndex(where: { $0.name == name }) { return known }
    nodes[node].append(Entry(name: name))
    return nodes[node].count - 1
  }

  private mutating func descend(_ node: Int, _ name: [UInt8]) -> Int {
    let entry = entry(node, name)
    if nodes[node][entry].node < 0 {
      nodes.append([])
      nodes[node][entry].node = nodes.count - 1
    }
    return nodes[node][entry].node
  }

  // MARK: Reading

  /// Looks through a payload; what was found before is forgotten.
  mutating func read(_ payload: UnsafeRawBufferPointer) {
    for field in found.indices { found[field].rank = .max }
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
    while let name = json.name() {
      guard let entry = match(json.bytes(name), node) else {
        json.skipValue()
        continue
      }
      take(&json, nodes[node][entry].node, nodes[node][entry].field, nodes[node][entry].rank)
    }
  }

  @inline(__always)
  private func match(_ name: UnsafeRawBufferPointer, _ node: Int) -> Int? {
    for index in nodes[node].indices {
      let count = nodes[node][index].name.count
      guard count == name.count else { continue }
      if nodes[node][index].name.withUnsafeBytes({ $0.elementsEqual(name) }) { return index }
    }
    return nil
  }

  private mutating func take(
    _ json: inout PayloadSkimmer, _ node: Int, _ field: Int, _ rank: UInt8
  ) {
    switch json.peek() {
    case UInt8(ascii: "{") where node >= 0:
      json.step()
      object(&json, node: node)
    case UInt8(ascii: "[") where node >= 0: array(&json, node: node)
    case UInt8(ascii: "{"), UInt8(ascii: "["): json.skipValue()
    case UInt8(ascii: "\""):
      if let text = json.text() { keep(text, field, rank) }
    case UInt8(ascii: "n"): _ = json.word()
    default: keep(json.word(), field, rank)
    }
  }

  private mutating func array(_ json: inout PayloadSkimmer, node: Int) {
    json.step()
    while true {
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
  private mutating func keep(_ text: PayloadSkimmer.Text, _ field: Int, _ rank: UInt8) {
    guard field >= 0, text.count > 0, rank < found[field].rank else { return }
    found[field] = Found(text: text, rank: rank)
  }
}
