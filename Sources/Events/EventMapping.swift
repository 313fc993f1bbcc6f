/// What the events of each ingest protocol mean: their kind, and where their dimensions and
/// money are.
///
/// A plain value, made from `Streams/event-mapping.yaml` when a collector starts and read on its
/// hot path without allocation.
public struct EventMapping: Hashable, Sendable {
  /// By the name of the protocol, such as `segment` or `pixel`.
  public var protocols: [String: Rules]

  public init(protocols: [String: Rules]) { self.protocols = protocols }

  public subscript(_ protocolName: String) -> Rules? { protocols[protocolName] }

  /// What a property of an event is to the metrics.
  public enum Role: Hashable, Sendable {
    /// Never ``Dimension/site``, which follows from the write key.
    case dimension(Dimension)
    case revenue
  }

  /// A property's role, and its rank among the properties with this role: where an event has
  /// several of them, the lowest rank counts.
  public struct Property: Hashable, Sendable {
    public var role: Role
    public var rank: Int

    public init(role: Role, rank: Int) {
      self.role = role
      self.rank = rank
    }
  }

  /// The mapping of one protocol.
  public struct Rules: Hashable, Sendable {
    /// Kinds by the protocol's own call type, such as Segment's `page`; looked up first.
    public var calls: NameTable<EventKind>
    /// Kinds by the event's name, exactly as sent.
    public var events: NameTable<EventKind>
    /// The kind of everything else.
    public var unmapped: EventKind
    public var properties: NameTable<Property>
    /// ISO 4217 code of money that comes without a currency.
    public var defaultCurrency: String

    public init(
      calls: [String: EventKind] = [:], events: [String: EventKind] = [:],
      unmapped: EventKind = .custom, properties: [String: Property] = [:],
      defaultCurrency: String
    ) {
      self.calls = NameTable(calls)
      self.events = NameTable(events)
      self.unmapped = unmapped
      self.properties = NameTable(properties)
      self.defaultCurrency = defaultCurrency
    }

    /// The kind of an event by its name.
    public func kind(event name: JSONString) -> EventKind { events[name] ?? unmapped }

    public func kind(event name: UnsafeRawBufferPointer) -> EventKind { events[name] ?? unmapped }

    /// The kind of a call that has no event name, by its type.
    public func kind(call type: JSONString) -> EventKind { calls[type] ?? unmapped }
  }
}
