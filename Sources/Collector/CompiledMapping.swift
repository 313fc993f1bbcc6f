public import Events
import Glibc

/// An ``EventMapping`` laid out for lookups by bytes, so that a known name costs no allocation.
public struct CompiledMapping: Sendable {
  /// What a property is for.
  enum Role: Sendable {
    case campaign, content, variant, channel, revenue, currency
  }

  private struct Property: Sendable {
    let name: [UInt8]
    let role: Role
    /// Among the properties of its role; a lower one counts.
    let rank: Int
  }

  private struct Name: Sendable {
    let bytes: [UInt8]
    let text: String
    let kind: EventKind
  }

  let mapping: EventMapping
  /// By length modulo the number of slots: names of one length are few.
  private let namesByLength: [[Name]]
  private let properties: [Property]
  private static let slots = 64

  public init(_ mapping: EventMapping) {
    self.mapping = mapping
    var namesByLength = [[Name]](repeating: [], count: Self.slots)
    for (text, kind) in mapping.names.sorted(by: { $0.key < $1.key }) {
      let bytes = Array(text.utf8)
      namesByLength[bytes.count % Self.slots].append(Name(bytes: bytes, text: text, kind: kind))
    }
    self.namesByLength = namesByLength
    var properties: [Property] = []
    func add(_ names: [String], _ role: Role) {
      for (rank, name) in names.enumerated() {
        properties.append(Property(name: Array(name.utf8), role: role, rank: rank))
      }
    }
    add(mapping.properties[.campaign] ?? [], .campaign)
    add(mapping.properties[.content] ?? [], .content)
    add(mapping.properties[.variant] ?? [], .variant)
    add(mapping.properties[.channel] ?? [], .channel)
    add(mapping.revenue, .revenue)
    add(mapping.currency, .currency)
    self.properties = properties
  }

  /// The kind of a `track` event's name, and the name as a string.
  func name(_ text: JSONString) -> (text: String, kind: EventKind) {
    if text.isEscaped {
      let whole = text.string
      return (whole, mapping.names[whole] ?? mapping.otherwise)
    }
    for name in namesByLength[text.bytes.count % Self.slots] where Self.equal(name.bytes, text) {
      return (name.text, name.kind)
    }
    return (text.string, mapping.otherwise)
  }

  /// What a property is for; nil where the mapping does not name it.
  func property(_ key: JSONString) -> (role: Role, rank: Int)? {
    if key.isEscaped { return property(named: key.string) }
    for property in properties where Self.equal(property.name, key) {
      return (property.role, property.rank)
    }
    return nil
  }

  func property(named name: String) -> (role: Role, rank: Int)? {
    let bytes = Array(name.utf8)
    return properties.first { $0.name == bytes }.map { ($0.role, $0.rank) }
  }

  /// What an event's name means in a protocol that has no calls: as the mapping says, else the kind
  /// of that name, such as `click`.
  func kind(named name: String) -> EventKind {
    mapping.names[name] ?? EventKind(name: name) ?? mapping.otherwise
  }

  private static func equal(_ bytes: [UInt8], _ text: JSONString) -> Bool {
    guard bytes.count == text.bytes.count else { return false }
    return bytes.withUnsafeBytes { bytes in
      guard let one = bytes.baseAddress, let other = text.bytes.baseAddress else { return true }
      return memcmp(one, other, bytes.count) == 0
    }
  }
}
