import Events

/// Makes events of the fields of Matomo's tracking API. A request is one thing, the first of:
///
/// | fields | kind |
/// |---|---|
/// | `ping=1` | engagement |
/// | `idgoal` or `revenue` | conversion; with `idgoal=0` and no `ec_id` a cart, which is custom |
/// | `c_n` | impression of content; with `c_i` a click |
/// | `e_a` | by the mapping |
/// | `link`, `download` | click |
/// | `search`, `ca=1` alone | custom |
/// | else | view |
///
/// The person is `cid` or `_id`, the user `uid`; the time is `cdt`, or `cdo` seconds before the receipt. Any
/// field may be a property by the mapping. Where it finds none: the content is `c_n` or `e_n`, the variant `c_p`,
/// the money of a conversion `revenue` or `e_v`, the campaign that of `url` (``CampaignTag``), or `_rcn`.
///
/// The protocol has no ids of events. They are derived from all fields, of which `rand` is another one in each
/// request; where that is missing, and the time too, each request is an event of its own.
struct MatomoEvent {
  /// An event may have so many bytes.
  static let bytesMax = 64 * 1024

  let key: WriteKey
  let receivedAt: Int64
  let uniqueID: () -> String

  /// Not part of the payload: the write key's own field, the secret, and the age, which differs from copy to
  /// copy.
  private static let transient: Set<String> = ["k", MatomoSecret.field, "cdo"]

  /// - Parameter place: tells equal events of a batch apart.
  func event(_ fields: TextFields, place: String) throws(Refusal) -> IncomingEvent {
    try fields.check()
    guard fields["rec"] == "1" else {
      throw Refusal(.malformedQuery, "what is to be recorded has rec=1")
    }
    var draft = EventDraft()
    (draft.name, draft.kind) = nameAndKind(fields)
    takeProperties(fields, &draft)
    draft.user = fields["uid"]
    draft.anonymous = fields.first(of: "cid", "_id")
    draft.time = try time(fields)
    draft.payload = payload(fields)
    guard draft.payload.count <= Self.bytesMax else {
      throw Refusal(.eventTooLarge, "an event may have \(Self.bytesMax) bytes")
    }
    draft.id =
      fields["rand"].isEmpty && fields["cdt"].isEmpty
      ? uniqueID()
      : draft.payload.withUnsafeBytes { DerivedID.hash(key: key, place: place, $0) }
    let id = draft.id
    return try draft.event(
      protocolName: MatomoProtocol.name, key: key, receivedAt: receivedAt, fallbackID: { id },
      fallbackPerson: id)
  }

  private func nameAndKind(_ fields: TextFields) -> (String, EventKind) {
    func has(_ name: String) -> Bool { !fields[name].isEmpty }
    if fields["ping"] == "1" { return ("ping", .engagement) }
    if has("idgoal") || has("revenue") && !has("c_n") && !has("e_a") {
      if fields["idgoal"] != "0" { return ("goal", .conversion) }
      return has("ec_id") ? ("order", .conversion) : ("cart", key.mapping.kind(named: "cart"))
    }
    if has("c_n") {
      return has("c_i") ? ("content interaction", .click) : ("content impression", .impression)
    }
    if has("e_a") { return (fields["e_a"], key.mapping.kind(named: fields["e_a"])) }
    if has("link") { return ("outlink", .click) }
    if has("download") { return ("download", .click) }
    if has("search") { return ("search", key.mapping.kind(named: "search")) }
    if fields["ca"] == "1" { return ("action", key.mapping.kind(named: "action")) }
    return ("pageview", .view)
  }

  private func takeProperties(_ fields: TextFields, _ draft: inout EventDraft) {
    for (name, value) in fields.all {
      draft.properties.offer(value, named: name, key.mapping)
    }
    for name in ["c_n", "e_n"] { draft.properties.content.fill(dimension: fields[name]) }
    // A piece may be a long address or a whole text, and is then no variant that anybody compares.
    if CampaignTag.isDimension(fields["c_p"]) { draft.properties.variant.fill(fields["c_p"]) }
    draft.properties.fill(fromAddress: fields["url"])
    draft.properties.campaign.fill(dimension: fields["_rcn"])
    draft.properties.revenue.fill(fields.first(of: "revenue", "e_v"))
  }

  private func time(_ fields: TextFields) throws(Refusal) -> Int64? {
    let text = fields["cdt"]
    if !text.isEmpty {
      if let seconds = Int64(text), (0...Timestamp.max / 1_000_000).contains(seconds) {
        return seconds * 1_000_000
      }
      if let time = Timestamp.parse(text) { return time }
      throw Refusal(
        .badTimestamp, "cdt is UTC such as 2026-01-01 00:00:00, or seconds since 1970")
    }
    let age = fields["cdo"]
    if age.isEmpty { return nil }
    guard let seconds = Int64(age), (0...receivedAt / 1_000_000).contains(seconds) else {
      throw Refusal(.badTimestamp, "cdo is the event's age in seconds")
    }
    return receivedAt - seconds * 1_000_000
  }

  private func payload(_ fields: TextFields) -> [UInt8] {
    var json = JSONWriter(reserving: 512)
    json.beginObject()
    for (name, value) in fields.all where !Self.transient.contains(name) {
      json.key(name)
      json.string(value)
    }
    json.endObject()
    return json.bytes
  }
}
