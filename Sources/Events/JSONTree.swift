/// A JSON value in memory, for the few places that look at all of a value more than once: schemas, and
/// what is compared with what. Everything else reads by ``JSONScanner``.
///
/// Members of objects keep their order and count once, as they came last. Numbers are doubles that know
/// how they were written; 1 and 1.0 are equal, as JSON Schema has it.
public enum JSONTree: Sendable {
  case null
  case bool(Bool)
  case number(Double, text: String)
  case string(String)
  case array([JSONTree])
  case object([Member])

  public struct Member: Equatable, Sendable {
    public var name: String
    public var value: JSONTree

    public init(name: String, value: JSONTree) {
      self.name = name
      self.value = value
    }
  }

  public static func integer(_ value: Int) -> JSONTree { .number(Double(value), text: "\(value)") }

  /// - Throws: where the bytes are not one JSON value.
  public init(_ bytes: UnsafeRawBufferPointer) throws(JSONError) {
    var json = JSONScanner(bytes)
    try self.init(&json)
    try json.end()
  }

  public init(_ bytes: [UInt8]) throws(JSONError) {
    self = try bytes.span.bytes.withUnsafeBytes { buffer throws(JSONError) in
      try JSONTree(buffer)
    }
  }

  /// Reads the next value. The scanner bounds its depth.
  public init(_ json: inout JSONScanner) throws(JSONError) {
    switch try json.peek() {
    case .null:
      _ = try json.skipNull()
      self = .null
    case .boolean: self = .bool(try json.bool())
    case .string: self = .string(try json.string())
    case .number:
      let text = String(decoding: try json.numberText(), as: UTF8.self)
      // Beyond a double's range it is infinite, which is greater than any limit, as it should be.
      self = .number(Double(text) ?? 0, text: text)
    case .array:
      var items: [JSONTree] = []
      try json.beginArray()
      while try json.nextElement() { items.append(try JSONTree(&json)) }
      self = .array(items)
    case .object: self = .object(try Self.members(&json))
    }
  }

  private static func members(_ json: inout JSONScanner) throws(JSONError) -> [Member] {
    var members: [Member] = []
    // Only long objects pay for a table.
    var places: [String: Int] = [:]
    try json.beginObject()
    while let key = try json.nextKey() {
      let member = Member(name: key.string, value: try JSONTree(&json))
      if members.count == 16 {
        for (place, member) in members.enumerated() { places[member.name] = place }
      }
      let place =
        members.count < 16
        ? members.firstIndex { $0.name == member.name } : places[member.name]
      if let place {
        members[place] = member
      } else {
        if members.count >= 16 { places[member.name] = members.count }
        members.append(member)
      }
    }
    return members
  }

  /// The value of a member; setting nil removes it. Nothing for what is no object.
  public subscript(name: String) -> JSONTree? {
    get {
      guard case .object(let members) = self else { return nil }
      return members.first { $0.name == name }?.value
    }
    set {
      guard case .object(var members) = self else { return }
      let place = members.firstIndex { $0.name == name }
      switch (place, newValue) {
      case (let place?, let value?): members[place].value = value
      case (let place?, nil): members.remove(at: place)
      case (nil, let value?): members.append(Member(name: name, value: value))
      case (nil, nil): break
      }
      self = .object(members)
    }
  }

  public func write(to json: inout JSONWriter) {
    switch self {
    case .null: json.null()
    case .bool(let value): json.bool(value)
    case .number(_, let text): json.raw(text)
    case .string(let text): json.string(text)
    case .array(let items):
      json.beginArray()
      for item in items { item.write(to: &json) }
      json.endArray()
    case .object(let members):
      json.beginObject()
      for member in members {
        json.key(member.name)
        member.value.write(to: &json)
      }
      json.endObject()
    }
  }

  public var bytes: [UInt8] {
    var json = JSONWriter()
    write(to: &json)
    return json.bytes
  }
}

extension JSONTree: Equatable {
  public static func == (a: JSONTree, b: JSONTree) -> Bool {
    switch (a, b) {
    case (.null, .null): true
    case (.bool(let a), .bool(let b)): a == b
    case (.number(let a, _), .number(let b, _)): a == b
    case (.string(let a), .string(let b)): a.utf8.elementsEqual(b.utf8)
    case (.array(let a), .array(let b)): a == b
    case (.object(let first), .object(let second)):
      first.count == second.count && first.allSatisfy { b[$0.name] == $0.value }
    default: false
    }
  }
}
