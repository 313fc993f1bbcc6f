import Events

/// Makes events of the fields of Snowplow's tracker protocol.
///
/// | field | becomes |
/// |---|---|
/// | `e` | kind: `pv` view, `pp` engagement, `tr` conversion; of `se` its action `se_ac`, of `ue` its schema's name, by the mapping |
/// | `eid` | id |
/// | `uid`; `duid`, `tnuid`, `nuid`, the cookie | user; anonymous person |
/// | `ttm`, `dtm`; `stm` | time; time of sending |
/// | `ue_px` `ue_pr`, `cx` `co`, any other field | properties by the mapping, in this order |
/// | `se_pr`; `se_va`, `tr_tt` `tr_cu` | content; money of a conversion, where the mapping finds none |
/// | `utm_…` of `url` | campaign, content and channel, where the mapping finds none (``CampaignTag``) |
///
/// An event without an id has one that is derived from its fields, so that what is sent again is known. Where
/// it has no time either, each request is an event of its own: no tracker sends that, but images in pages
/// and mails do.
struct SnowplowEvent {
  /// An event may have so many bytes, its JSON decoded. Trackers in browsers send 40,000 at a time.
  static let bytesMax = 64 * 1024

  let key: WriteKey
  let receivedAt: Int64
  let sender: Sender
  let uniqueID: () -> String

  /// What the header of a request says of its browser.
  struct Sender {
    /// Whether neither the browser's address nor an id of it is to be kept.
    var isAnonymous = false
    /// Of the cookie that the request came with. One that is only now made counts from the next request
    /// on: with it a copy that is sent again would be another person's.
    var networkID: String?
  }

  /// A click on a link that leads on.
  struct Click {
    /// Its campaign counts where the event names none.
    let destination: String
  }

  /// Not part of the payload: the write key's own field, a signature, and the time of sending, which differs
  /// from copy to copy and has its place in the event.
  private static let transient: Set<String> = ["k", "stm", "sig"]
  /// What is left out besides for those who ask for it.
  private static let identifying: Set<String> = ["ip", "tnuid", "nuid"]
  /// Events of the trackers themselves, where the mapping says nothing of them.
  private static let kinds: [String: EventKind] = ["link_click": .click, "button_click": .click]
  private static let trackerVendor = "com.snowplowanalytics.snowplow"
  private static let types = ["pv", "pp", "se", "ue", "tr", "ti"]

  /// - Parameters:
  ///   - place: tells equal events of a batch apart.
  ///   - click: makes the event one, whatever its fields say.
  func event(
    _ fields: TextFields, place: String, click: Click? = nil
  ) throws(Refusal) -> IncomingEvent {
    try fields.check()
    let attached = try AttachedJSON(fields)
    var draft = EventDraft()
    let schema = try takeProperties(fields, attached, &draft.properties)
    (draft.name, draft.kind) =
      click == nil ? try nameAndKind(fields, schema) : ("uri_redirect", .click)
    takeFallbacks(fields, click, &draft)
    draft.user = fields["uid"]
    draft.anonymous =
      sender.isAnonymous ? fields["duid"] : fields.first(of: "duid", "tnuid", "nuid")
    if draft.anonymous.isEmpty { draft.anonymous = sender.networkID ?? "" }
    draft.time = try time(fields, fields["ttm"].isEmpty ? "dtm" : "ttm")
    draft.sentAt = FieldTime.micros(fields["stm"]) ?? 0
    var payload = payload(fields, attached)
    draft.id = fields["eid"]
    if draft.id.isEmpty {
      draft.id =
        draft.time == nil
        ? uniqueID() : payload.bytes.withUnsafeBytes { DerivedID.hash(key: key, place: place, $0) }
    }
    if let networkID = sender.isAnonymous ? SnowplowCookie.none : sender.networkID {
      payload.key("nuid")
      payload.string(networkID)
    }
    payload.endObject()
    draft.payload = payload.bytes
    guard draft.payload.count <= Self.bytesMax else {
      throw Refusal(.eventTooLarge, "an event may have \(Self.bytesMax) bytes, JSON decoded")
    }
    let id = draft.id
    return try draft.event(
      protocolName: SnowplowProtocol.name, key: key, receivedAt: receivedAt,
      fallbackID: { id }, fallbackPerson: id)
  }

  // MARK: Kind and properties

  /// - Returns: the schema of a self-describing event.
  private func takeProperties(
    _ fields: TextFields, _ attached: AttachedJSON, _ properties: inout MappedProperties
  ) throws(Refusal) -> SelfDescribing.Schema? {
    var schema: SelfDescribing.Schema?
    do {
      schema = try attached.scanEvent { data in try properties.scan(&data, key.mapping) }
      try attached.scanContexts { data in
        var ofContext = MappedProperties()
        try ofContext.scan(&data, key.mapping)
        properties.fill(from: ofContext)
      }
    } catch let refusal as Refusal {
      throw refusal
    } catch {
      throw Refusal(.malformedJSON, "\(error)")
    }
    var ofFields = MappedProperties()
    for (name, value) in fields.all { ofFields.offer(value, named: name, key.mapping) }
    properties.fill(from: ofFields)
    return schema
  }

  private func nameAndKind(
    _ fields: TextFields, _ schema: SelfDescribing.Schema?
  ) throws(Refusal) -> (String, EventKind) {
    switch fields["e"] {
    case "pv": return ("page_view", .view)
    case "pp": return ("page_ping", .engagement)
    case "tr": return ("transaction", .conversion)
    case "ti": return ("transaction_item", key.mapping.kind(named: "transaction_item"))
    case "se":
      let action = fields["se_ac"]
      guard !action.isEmpty else {
        throw Refusal(.noEventName, "a structured event has se_ac, its action")
      }
      return (action, key.mapping.kind(named: action))
    case "ue":
      guard let schema else {
        throw Refusal(.noEventName, "a self-describing event has ue_px or ue_pr")
      }
      if schema.vendor == Self.trackerVendor, key.mapping.mapping.names[schema.name] == nil,
        let kind = Self.kinds[schema.name]
      {
        return (schema.name, kind)
      }
      return (schema.name, key.mapping.kind(named: schema.name))
    case let type:
      throw Refusal(
        type.isEmpty ? .noType : .unknownType, "e is one of \(Self.types.joined(separator: ", "))")
    }
  }

  private func takeFallbacks(
    _ fields: TextFields, _ click: Click?, _ draft: inout EventDraft
  ) {
    draft.properties.content.fill(dimension: fields["se_pr"])
    draft.properties.fill(fromAddress: fields["url"])
    if let click { draft.properties.fill(fromAddress: click.destination) }
    if fields["e"] == "tr" {
      draft.properties.revenue.fill(fields["tr_tt"])
      draft.properties.currency.fill(fields["tr_cu"])
    } else {
      draft.properties.revenue.fill(fields["se_va"])
    }
  }

  // MARK: Times and payload

  private func time(_ fields: TextFields, _ name: String) throws(Refusal) -> Int64? {
    let text = fields[name]
    if text.isEmpty { return nil }
    guard let time = FieldTime.micros(text) else {
      throw Refusal(
        .badTimestamp,
        "\(name) is milliseconds since 1970, such as 1767225600000, from 1980 to 2100",
        at: FieldText.path(name))
    }
    return time
  }

  /// All fields as they came, the JSON in them readable; the object is left open.
  private func payload(_ fields: TextFields, _ attached: AttachedJSON) -> JSONWriter {
    var json = JSONWriter(reserving: 1024)
    json.beginObject()
    for (name, value) in fields.all {
      if Self.transient.contains(name) || AttachedJSON.fields.contains(name) { continue }
      if sender.isAnonymous && Self.identifying.contains(name) { continue }
      json.key(name)
      json.string(value)
    }
    attached.write(to: &json)
    return json
  }
}
