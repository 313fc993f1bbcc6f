/// An event as a collector hands it to a frame: checked, with its identity worked out.
public struct IncomingEvent: Hashable, Sendable {
  public var kind: EventKind
  /// Identity for deduplication; see ``EventIdentity/dedupeKey(site:source:eventID:)``.
  public var key: Key128
  /// Identity of the person for partitioning; see ``EventIdentity/personKey(site:id:)``.
  public var person: Key128
  /// The person key of the user id; zero where the event has none. Equal to `person` where the user id
  /// is the only id; where both are there and differ, the event says that they are one person.
  public var user: Key128
  /// The client's time, microseconds since the epoch, not corrected.
  public var eventTime: Int64
  /// The collector's clock at receipt, microseconds since the epoch.
  public var receivedAt: Int64
  /// The client's clock when it sent the request, microseconds since the epoch; 0 if unknown.
  public var sentAt: Int64
  /// An encoded ``DimensionTuple``.
  public var dimensions: [UInt8]
  /// Money in millionths of the tuple's currency.
  public var revenueMicros: Int64
  /// The event's id as the client sent it (or as derived, where it sent none).
  public var id: String
  /// The event's name as the client sent it, such as `Content Clicked`.
  public var name: String
  /// Where it came in: protocol and source, such as `segment/web`.
  public var source: String
  /// The event as it came, a JSON object; unknown properties included, personal data left out where the
  /// write key's policy says so.
  public var payload: [UInt8]
  /// Of what its sender sent, without what differs between copies such as the time of sending: copies of
  /// an event have the same, other events that only share its id have another one. 0 where unknown.
  public var fingerprint: UInt32
  /// The label of the ``Agent`` that it came from; empty where nobody looked.
  public var agent: String
  /// A ``BotVerdict``, encoded.
  public var bot: UInt32
  /// Not in the log.
  public var notes: EventNotes

  public init(
    kind: EventKind, key: Key128, person: Key128, user: Key128 = .zero, eventTime: Int64,
    receivedAt: Int64, sentAt: Int64 = 0, dimensions: [UInt8], revenueMicros: Int64 = 0, id: String,
    name: String,
    source: String, payload: [UInt8], fingerprint: UInt32 = 0, agent: String = "",
    bot: UInt32 = 0, notes: EventNotes = []
  ) {
    self.kind = kind
    self.key = key
    self.person = person
    self.user = user
    self.eventTime = eventTime
    self.receivedAt = receivedAt
    self.sentAt = sentAt
    self.dimensions = dimensions
    self.revenueMicros = revenueMicros
    self.id = id
    self.name = name
    self.source = source
    self.payload = payload
    self.fingerprint = fingerprint
    self.agent = agent
    self.bot = bot
    self.notes = notes
  }
}

extension IncomingEvent {
  /// An event as it was handed to the frame that it is read from.
  ///
  /// - Parameter index: of the event in the frame, below its count.
  public init(_ frame: borrowing FrameView, event index: Int) {
    self.init(
      kind: EventKind(rawValue: frame.kind(index)) ?? .custom, key: frame.key(index),
      person: frame.person(index), user: frame.user(index), eventTime: frame.eventTime(index),
      receivedAt: frame.receivedAt(index), sentAt: frame.sentAt(index),
      dimensions: Array(frame.tupleBytes(frame.tuple(index))),
      revenueMicros: frame.revenueMicros(index), id: frame.id(index), name: frame.name(index),
      source: frame.source(index), payload: Array(frame.payload(index)),
      fingerprint: frame.fingerprint(index), agent: frame.agent(index), bot: frame.bot(index))
  }
}

extension EventIdentity {
  /// See ``IncomingEvent/fingerprint``.
  ///
  /// - Parameter gap: what differs between copies: a part of the payload.
  public static func fingerprint(
    _ payload: UnsafeRawBufferPointer, without gap: Range<Int>? = nil
  ) -> UInt32 {
    guard let gap else { return max(1, CRC32C.checksum(payload)) }
    let start = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: payload[..<gap.lowerBound]))
    let all = CRC32C.checksum(
      UnsafeRawBufferPointer(rebasing: payload[gap.upperBound...]), seed: start)
    return max(1, all)
  }
}

/// How identities are derived. Part of the data format: the same on every machine and for ever.
public enum EventIdentity {
  /// The identities of one write key's events, begun once: what is the same in all of them is hashed already.
  public struct OfKey: Sendable {
    private let event: SipHash128
    private let person: SipHash128

    public init(site: String, source: String) {
      event = EventIdentity.event(site: site, source: source)
      person = EventIdentity.person(site: site)
    }

    /// See ``EventIdentity/dedupeKey(site:source:eventID:)``.
    public func dedupeKey(eventID: String) -> Key128 { EventIdentity.finish(event, eventID) }

    /// See ``EventIdentity/personKey(site:id:)``.
    public func personKey(id: String) -> Key128 { EventIdentity.finish(person, id) }

    /// The same of an id in UTF-8.
    public func dedupeKey(eventID: UnsafeRawBufferPointer) -> Key128 {
      EventIdentity.finish(event, eventID)
    }

    /// The same of an id in UTF-8.
    public func personKey(id: UnsafeRawBufferPointer) -> Key128 {
      EventIdentity.finish(person, id)
    }
  }

  private static func event(site: String, source: String) -> SipHash128 {
    var hash = SipHash128()
    hash.update(byte: 0x01)
    hash.update(field: site)
    hash.update(field: source)
    return hash
  }

  private static func person(site: String) -> SipHash128 {
    var hash = SipHash128()
    hash.update(byte: 0x02)
    hash.update(field: site)
    return hash
  }

  private static func finish(_ begun: SipHash128, _ id: UnsafeRawBufferPointer) -> Key128 {
    var hash = begun
    hash.update(field: id)
    return hash.finalize()
  }

  private static func finish(_ begun: SipHash128, _ id: String) -> Key128 {
    var hash = begun
    hash.update(field: id)
    return hash.finalize()
  }

  /// - Parameter source: the source of the write key; ids are unique only within it.
  public static func dedupeKey(site: String, source: String, eventID: String) -> Key128 {
    finish(event(site: site, source: source), eventID)
  }

  /// - Parameter id: of an event's person the anonymous id if present, else the user id, else the event
  ///   id; of an alias's the earlier id; of an event's user the user id.
  public static func personKey(site: String, id: String) -> Key128 {
    finish(person(site: site), id)
  }
}
