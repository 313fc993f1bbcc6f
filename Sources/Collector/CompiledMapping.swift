public import Events
import Glibc

/// An ``EventMapping`` laid out for lookups by bytes, so that a known name costs no allocation.
public final class CompiledMapping: Sendable {
  /// What a property is for.
  typealias Role = MappedPart

  /// Where a name stands among the bytes of all, and its number among its like.
  private struct Place: BitwiseCopyable {
    let start: Int
    let count: Int
    let number: Int
  }

  private struct Property {
    let role: Role
    /// Among the properties of its role; a lower one counts.
    let rank: Int
  }

  private struct Name {
    let text: String
    let kind: EventKind
  }

  let mapping: EventMapping
  /// All names one after the other: they are looked through for every event, and nothing else is touched then.
  private let bytes: [UInt8]
  private let names: [Name]
  private let namePlaces: [Place]
  private let properties: [Property]
  private let propertyPlaces: [Place]

  public init(_ mapping: EventMapping) {
    self.mapping = mapping
    var bytes: [UInt8] = []
    func places(_ texts: [String]) -> [Place] {
      texts.enumerated().map { number, text in
        let start = bytes.count
        bytes += text.utf8
        return Place(start: start, count: bytes.count - start, number: number)
      }
    }
    let names = mapping.names.sorted { $0.key < $1.key }
    namePlaces = places(names.map(\.key))
    self.names = names.map { Name(text: $0.key, kind: $0.value) }
    var properties: [(name: String, property: Property)] = []
    func add(_ names: [String], _ role: Role) {
      for (rank, name) in names.enumerated() {
        properties.append((name, Property(role: role, rank: rank)))
      }
    }
    add(mapping.properties[.campaign] ?? [], .campaign)
    add(mapping.properties[.content] ?? [], .content)
    add(mapping.properties[.variant] ?? [], .variant)
    add(mapping.properties[.channel] ?? [], .channel)
    add(mapping.revenue, .revenue)
    add(mapping.currency, .currency)
    propertyPlaces = places(properties.map(\.name))
    self.properties = properties.map(\.property)
    self.bytes = bytes
  }

  /// The kind of a `track` event's name, and the name as a string.
  func name(_ text: JSONString) -> (text: String, kind: EventKind) {
    known(text) ?? (text.string, mapping.otherwise)
  }

  /// The same of a name that the mapping has; nil for others.
  func known(_ text: JSONString) -> (text: String, kind: EventKind)? {
    if text.isEscaped {
      let whole = text.string
      return mapping.names[whole].map { (whole, $0) }
    }
    return number(text.bytes, namePlaces).map { (names[$0].text, names[$0].kind) }
  }

  /// What a property is for; nil where the mapping does not name it.
  func property(_ key: JSONString) -> (role: Role, rank: Int)? {
    if key.isEscaped { return property(named: key.string) }
    return number(key.bytes, propertyPlaces).map { (properties[$0].role, properties[$0].rank) }
  }

  func property(named name: String) -> (role: Role, rank: Int)? {
    var name = name
    return name.withUTF8 { name in
      number(UnsafeRawBufferPointer(name), propertyPlaces).map {
        (properties[$0].role, properties[$0].rank)
      }
    }
  }

  /// What a property whose text differs from event to event is for; nil where it is read with others.
  func templateRole(_ name: JSONString) -> EventTemplates.Role? {
    switch property(name)?.role {
    case .campaign: .campaign
    case .content: .content
    case .variant: .variant
    case .channel: .channel
    case .revenue, .currency: nil
    case nil where MappedProperties.isPage(name): .page
    case nil: CampaignTag(name.bytes) == nil ? .other : nil
    }
  }

  /// What an event's name means in a protocol that has no calls: as the mapping says, else the kind
  /// of that name, such as `click`.
  func kind(named name: String) -> EventKind {
    mapping.names[name] ?? EventKind(name: name) ?? mapping.otherwise
  }

  /// Whether neither a line of the mapping nor the name of a kind is what an event is called.
  func isUnnamed(_ name: String) -> Bool {
    mapping.names[name] == nil && EventKind(name: name) == nil
  }

  /// The first name of `places` that a text is.
  private func number(_ text: UnsafeRawBufferPointer, _ places: [Place]) -> Int? {
    bytes.withUnsafeBytes { bytes in
      places.withUnsafeBufferPointer { places in
        for place in places where place.count == text.count {
          guard let one = bytes.baseAddress, let other = text.baseAddress, place.count > 0 else {
            return place.number
          }
          if memcmp(one + place.start, other, place.count) == 0 { return place.number }
        }
        return nil
      }
    }
  }
}
