import Events

/// What a protocol has read of one event, before its identity is worked out. Protocols fill it in their
/// own terms; what the terms mean to the log is said here, once for all of them.
struct EventDraft: ~Copyable {
  var kind = EventKind.custom
  /// As the client names it.
  var name = ""
  /// The client's id of the event; empty where it sent none.
  var id = ""
  /// The person: the id of a browser or device, and that of a user who has signed in.
  var anonymous = ""
  var user = ""
  /// Of an alias: the earlier id that `user` takes over; empty: `anonymous` is that.
  var previous = ""
  /// Microseconds since the epoch; nil where the client named none.
  var time: Int64?
  /// The client's clock when it sent the request; 0 where unknown.
  var sentAt: Int64 = 0
  var properties = MappedProperties()
  /// Where they stand in the event, such as `properties`.
  var propertiesPlace = ""
  /// Whether the protocol itself says which kind it is.
  var isKindStated = false
  /// The event as it came, a JSON object.
  var payload: [UInt8] = []
  /// What of the payload differs between copies of the event.
  var gap: Range<Int>?

  /// - Parameters:
  ///   - fallbackID: of an event without id: the same for every copy that its client sends again.
  ///   - fallbackPerson: of an event without person; nil refuses it.
  ///   - source: made before for the events of a batch.
  /// - Throws: ``Refusal`` naming what is wrong.
  mutating func event(
    protocolName: String, key: WriteKey, receivedAt: Int64,
    fallbackID: () throws(Refusal) -> String, fallbackPerson: String? = nil,
    source: String? = nil
  ) throws(Refusal) -> IncomingEvent {
    let id = try FieldText.check(self.id.isEmpty ? try fallbackID() : self.id, "the event's id")
    let user = key.identify(try FieldText.check(self.user, "the user's id"))
    let anonymous = key.identify(try FieldText.check(self.anonymous, "the anonymous id"))
    var person = !anonymous.isEmpty ? anonymous : user
    if kind == .alias {
      let previous = key.identify(try FieldText.check(self.previous, "the previous id"))
      guard !user.isEmpty, !previous.isEmpty || !anonymous.isEmpty else {
        throw Refusal(.noIdentity, "an alias names the user and the earlier id that it takes over")
      }
      if !previous.isEmpty { person = previous }
    }
    if kind == .unlink, anonymous.isEmpty {
      throw Refusal(
        .noIdentity, "an unlink names the anonymous id that belongs to its user no longer")
    }
    if person.isEmpty {
      guard let fallbackPerson else {
        throw Refusal(.noIdentity, "an event names its person: a user id or an anonymous id")
      }
      person = fallbackPerson
    }
    let (revenue, currency) =
      kind == .conversion
      ? try properties.money(key.mapping.mapping, in: propertiesPlace) : (0, "")
    properties.fillFromPage()
    var notes = properties.notes
    if kind == .custom, !isKindStated, key.mapping.isUnnamed(name) { notes.insert(.unnamed) }
    let personKey = key.identity.personKey(id: person)
    return IncomingEvent(
      kind: kind, key: key.identity.dedupeKey(eventID: id), person: personKey,
      user: user.isEmpty
        ? .zero : user == person ? personKey : key.identity.personKey(id: user),
      eventTime: time ?? receivedAt, receivedAt: receivedAt, sentAt: sentAt,
      dimensions: properties.tuple(site: key.site, currency: currency), revenueMicros: revenue,
      id: id,
      name: try FieldText.check(name, "the event's name"),
      source: source ?? protocolName + "/" + key.source,
      payload: payload,
      fingerprint: payload.withUnsafeBytes { EventIdentity.fingerprint($0, without: gap) },
      notes: notes)
  }
}

/// Ids of events whose clients send none: a hash, the same for every copy.
enum DerivedID {
  /// - Parameters:
  ///   - place: tells equal events in a batch apart.
  ///   - parts: of the event, without what differs between copies such as its time of sending.
  static func hash(
    key: WriteKey, place: String, _ parts: UnsafeRawBufferPointer...
  ) -> String {
    var hash = SipHash128()
    hash.update(field: key.source)
    hash.update(field: place)
    for part in parts { hash.update(part) }
    return hash.finalize().description
  }
}
