import Events

/// Reads the events of a batch of which most are like an earlier one but for who, what and when: such an event is
/// compared instead of read (``JSONTemplate``), and what is known of the earlier one is known of it.
///
/// What comes of an event is the same in either way; where anything is unusual it is left to be read.
struct EventTemplates {
  /// What a text that differs is for.
  enum Role {
    case id, user, anonymous, time, campaign, content, variant, channel
    /// The address of a page, which may tell of a campaign where it has a query (``CampaignTag``).
    case page
    /// Has to be a time, and is not used.
    case instant
    /// Has to be no longer than an id, and is not used.
    case short
    /// Kept in the payload alone.
    case other
  }

  /// How an event stands to the others of its batch.
  enum Likeness {
    case none
    /// Neither the names in it nor the form of its texts tell anything personal.
    case clean
    /// Others are like this one.
    case first(Int)
    /// Like that one, and nothing in its own texts is personal by its form.
    case again(Int)
  }

  /// An object, because it is looked at for every event and copying it would count its parts each time.
  private final class Template {
    let json: JSONTemplate
    let roles: [Role]
    let event: IncomingEvent
    let tuple: TupleParts
    let hasAnonymous: Bool

    init(
      json: JSONTemplate, roles: [Role], event: IncomingEvent, tuple: TupleParts,
      hasAnonymous: Bool
    ) {
      self.json = json
      self.roles = roles
      self.event = event
      self.tuple = tuple
      self.hasAnonymous = hasAnonymous
    }
  }

  /// More are not looked through for every event.
  private static let countMax = 4
  /// Where more events than these are like no other, and more than are like one, the rest is only read.
  private static let missesMax = 8

  private let key: WriteKey
  /// Of a request with one event there is nothing to remember.
  private let isBatch: Bool
  private let eventBytesMax: Int
  private let role: (_ names: [JSONString], WriteKey) -> Role?
  private var templates: [Template] = []
  private var texts: [UnsafeRawBufferPointer] = []
  private var hits = 0
  private var misses = 0
  /// Of all events that were taken.
  private(set) var likeness: [Likeness] = []
  /// The last event that was like no other, which becomes a template when another one follows.
  private var last:
    (
      index: Int, bytes: UnsafeRawBufferPointer, event: IncomingEvent, user: String,
      anonymous: String
    )?

  /// - Parameters:
  ///   - eventBytesMax: longer events are refused, and not here.
  ///   - role: of a text by the names on the way to it; nil where another text there makes it another event.
  init(
    key: WriteKey, eventBytesMax: Int, isBatch: Bool = true,
    role: @escaping (_ names: [JSONString], WriteKey) -> Role?
  ) {
    self.key = key
    self.isBatch = isBatch
    self.eventBytesMax = eventBytesMax
    self.role = role
  }

  /// Appends the next value of `json` where it is like an event before.
  ///
  /// - Returns: false where it has to be read.
  mutating func next(_ json: inout JSONScanner, to events: inout [IncomingEvent]) -> Bool {
    if last != nil { learn() }
    for index in templates.indices.reversed() {
      let start = json
      let template = templates[index]
      guard let bytes = template.json.match(&json, &texts) else { continue }
      guard append(template, bytes, to: &events) else {
        json = start
        break
      }
      hits += 1
      likeness.append(isPlain(template) ? .again(index) : .none)
      return true
    }
    misses += 1
    if misses > Self.missesMax, misses > hits { templates = [] }
    return false
  }

  /// Told of an event that was read.
  ///
  /// - Parameters:
  ///   - bytes: valid as long as this is used.
  ///   - user: the ids that its person was made of, as they were sent; empty where there is none.
  ///   - isPlain: whether others may follow that are like it.
  mutating func add(
    _ event: IncomingEvent, _ bytes: UnsafeRawBufferPointer, user: String, anonymous: String,
    isPlain: Bool
  ) {
    guard isBatch else { return }
    if isPlain, templates.count < Self.countMax, misses <= Self.missesMax || misses <= hits {
      last = (likeness.count, bytes, event, user, anonymous)
    }
    likeness.append(.none)
  }

  private func isPlain(_ template: Template) -> Bool {
    for index in template.roles.indices where !PlainText.saysNothing(texts[index]) { return false }
    return true
  }

  // MARK: Learning

  private mutating func learn() {
    guard let (index, bytes, event, user, anonymous) = last else { return }
    last = nil
    guard let tuple = event.dimensions.withUnsafeBytes({ DimensionTuple(encoded: $0) }) else {
      return
    }
    var roles: [Role] = []
    var values: [Role: String] = [:]
    // What stays the same and has a role, too: which of two counts is not for this to say.
    var fixed: Set<Role> = []
    var isClear = true
    do {
      let json = try JSONTemplate(bytes) { names, text in
        guard let name = names.last, let role = role(names, key) else { return false }
        guard let text, !name.isEscaped, !text.isEscaped, !text.isEmpty,
          text.bytes.count <= FieldText.bytesMax,
          PersonalNames.Key(name.bytes) != PersonalNames.bytes,
          role != .page || !Self.hasQuery(text.bytes)
        else {
          fixed.insert(role)
          return false
        }
        isClear = isClear && (role == .other || role == .page || values[role] == nil)
        values[role] = text.string
        roles.append(role)
        return true
      }
      fixed.subtract([.other, .page, .short, .instant])
      guard isClear, fixed.isDisjoint(with: roles) else { return }
      // Some protocols have one id, which names a user or not.
      if user.isEmpty, values[.anonymous] == nil, values[.user] == anonymous {
        values[.anonymous] = values.removeValue(forKey: .user)
        roles = roles.map { $0 == .user ? .anonymous : $0 }
      }
      guard values[.id] == event.id, values[.user] ?? user == user,
        values[.anonymous] ?? anonymous == anonymous,
        values[.time] != nil || values[.instant] == nil,
        // Another property may be what counts, one that is no text.
        values[.campaign] ?? tuple.campaign == tuple.campaign,
        values[.content] ?? tuple.content == tuple.content,
        values[.variant] ?? tuple.variant == tuple.variant,
        values[.channel] ?? tuple.channel == tuple.channel
      else { return }
      templates.append(
        Template(
          json: json, roles: roles, event: event, tuple: TupleParts(tuple),
          hasAnonymous: !anonymous.isEmpty))
      while texts.count < json.gapCount {
        texts.append(UnsafeRawBufferPointer(start: nil, count: 0))
      }
      likeness[index] = .first(templates.count - 1)
    } catch {
      // It was read as JSON a moment ago.
    }
  }

  // MARK: Building

  private static func hasQuery(_ address: UnsafeRawBufferPointer) -> Bool {
    address.contains(UInt8(ascii: "?"))
  }

  /// - Returns: false where it has to be read after all.
  private func append(
    _ template: Template, _ bytes: UnsafeRawBufferPointer, to events: inout [IncomingEvent]
  ) -> Bool {
    guard bytes.count <= eventBytesMax else { return false }
    let like = template.event
    var id = UnsafeRawBufferPointer(start: nil, count: 0)
    var (person, user, time) = (like.person, like.user, like.eventTime)
    var own = TupleParts.Own()
    for index in template.roles.indices {
      let text = texts[index]
      let role = template.roles[index]
      if role == .other { continue }
      guard text.count <= FieldText.bytesMax else { return false }
      switch role {
      case .other, .short: break
      case .id: id = text
      case .user:
        // Names of nobody begin so.
        guard text[0] != UInt8(ascii: "$") else { return false }
        user = personKey(text)
        if !template.hasAnonymous { person = user }
      case .anonymous:
        guard text[0] != UInt8(ascii: "$") else { return false }
        person = personKey(text)
      case .time:
        guard let parsed = Timestamp.parse(text) else { return false }
        time = parsed
      case .instant: guard Timestamp.parse(text) != nil else { return false }
      case .page: guard !Self.hasQuery(text) else { return false }
      case .campaign: own.campaign = text
      case .content: own.content = text
      case .variant: own.variant = text
      case .channel: own.channel = text
      }
    }
    events.append(
      IncomingEvent(
        kind: like.kind, key: key.identity.dedupeKey(eventID: id), person: person, user: user,
        eventTime: time, receivedAt: like.receivedAt, sentAt: like.sentAt,
        dimensions: own.isAny ? template.tuple.encoded(own) : like.dimensions,
        revenueMicros: like.revenueMicros, id: String(decoding: id, as: UTF8.self),
        name: like.name, source: like.source, payload: Array(bytes),
        fingerprint: EventIdentity.fingerprint(bytes), agent: like.agent, bot: like.bot,
        notes: like.notes))
    return true
  }

  private func personKey(_ id: UnsafeRawBufferPointer) -> Key128 {
    key.isPseudonymous
      ? key.identity.personKey(id: key.identify(String(decoding: id, as: UTF8.self)))
      : key.identity.personKey(id: id)
  }
}

/// The dimensions of an event of which some are given anew.
private struct TupleParts {
  struct Own {
    var campaign: UnsafeRawBufferPointer?
    var content: UnsafeRawBufferPointer?
    var variant: UnsafeRawBufferPointer?
    var channel: UnsafeRawBufferPointer?

    var isAny: Bool { campaign != nil || content != nil || variant != nil || channel != nil }
  }

  private let site: [UInt8]
  private let campaign: [UInt8]
  private let content: [UInt8]
  private let variant: [UInt8]
  private let channel: [UInt8]
  private let currency: [UInt8]

  init(_ tuple: DimensionTuple) {
    site = Array(tuple.site.utf8)
    campaign = Array(tuple.campaign.utf8)
    content = Array(tuple.content.utf8)
    variant = Array(tuple.variant.utf8)
    channel = Array(tuple.channel.utf8)
    currency = Array(tuple.currency.utf8)
  }

  func encoded(_ own: Own) -> [UInt8] {
    site.withUnsafeBytes { site in
      campaign.withUnsafeBytes { campaign in
        content.withUnsafeBytes { content in
          variant.withUnsafeBytes { variant in
            channel.withUnsafeBytes { channel in
              currency.withUnsafeBytes { currency in
                DimensionTuple.encoded(
                  site: site, campaign: own.campaign ?? campaign, content: own.content ?? content,
                  variant: own.variant ?? variant, channel: own.channel ?? channel,
                  currency: currency)
              }
            }
          }
        }
      }
    }
  }
}
