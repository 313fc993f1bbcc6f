import Events
import Glibc

/// Reads the events of a batch of which most are like an earlier one but for who, what and when: such an event is
/// compared instead of read (``JSONTemplate``), and what is known of the earlier one is known of it.
///
/// What comes of an event is the same in either way; where anything is unusual it is left to be read. Such events are
/// kept as rows (``EventRows``), and made whole only where somebody needs them so.
struct EventTemplates {
  /// What a text that differs is for.
  enum Role: Int {
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
    /// Such one, where nothing had to be changed in one like it of an earlier request, and nothing in its own texts is
    /// personal by its form.
    case known(Int)
    /// Like that one, and nothing in its own texts is personal by its form.
    case again(Int)
  }

  /// An object, because it is looked at for every event and copying it would count its parts each time.
  final class Template: @unchecked Sendable {
    // One request has it at a time, see ``KeptTemplates``.

    fileprivate let json: JSONTemplate
    fileprivate let roles: [Role]
    /// Where the texts of the roles stand in the pattern.
    private let gaps: [Range<Int>]
    /// Without what is its own where the template outlives its request.
    fileprivate private(set) var event: IncomingEvent
    /// Among the whole events of the request; −1 where it has none yet that is like this.
    @exclusivity(unchecked) fileprivate var whole: Int
    fileprivate let tuple: TupleParts
    fileprivate let hasAnonymous: Bool
    private let pattern: OwnBytes
    /// Whether the gates have found nothing to be changed in an event like this.
    @exclusivity(unchecked) var isClean = false

    fileprivate init(
      json: JSONTemplate, of pattern: OwnBytes, gaps: [Range<Int>], roles: [Role],
      event: IncomingEvent, whole: Int, tuple: TupleParts, hasAnonymous: Bool
    ) {
      self.gaps = gaps
      self.json = json
      self.pattern = pattern
      self.roles = roles
      self.event = event
      self.whole = whole
      self.tuple = tuple
      self.hasAnonymous = hasAnonymous
    }

    /// Long ones would fill the memory; without a time of its own an event has that of its request.
    var isKeepable: Bool {
      pattern.bytes.count <= KeptTemplates.patternBytesMax && roles.contains(.time)
    }

    /// What of its events is the same, with zeros for all else.
    var text: String { String(decoding: pattern.bytes, as: UTF8.self) }

    /// Forgets whose event it was made of.
    fileprivate func endRequest() {
      whole = -1
      guard !event.id.isEmpty else { return }
      event.id = ""
      event.payload = []
      for gap in gaps { pattern.blank(gap) }
    }
  }

  /// More are not looked through for every event.
  private static let countMax = 4
  /// Where more events than these are like no other, and more than are like one, the rest is only read.
  private static let missesMax = 8
  private static let rowsReservedMax = 256

  private let key: WriteKey
  /// Of a request with one event there is nothing to remember.
  private let isBatch: Bool
  /// Of the request.
  private let receivedAt: Int64
  private let eventBytesMax: Int
  /// What all events are in.
  private let body: UnsafeRawBufferPointer
  private let role: (_ names: [JSONString], WriteKey) -> Role?
  private var templates: [Template]
  private var texts: [UnsafeRawBufferPointer] = []
  private var hits = 0
  private var misses = 0
  /// Of all events that were taken; of a request with one event none.
  private(set) var rows = EventRows()
  /// Of the events that were taken.
  private var wholeCount = 0
  /// Clocks of events that are sent together mostly show the same.
  private var lastTime = (text: UnsafeRawBufferPointer(start: nil, count: 0), micros: Int64(0))
  /// The last event that was like no other, which becomes a template when another one follows.
  private var last:
    (
      row: Int, bytes: UnsafeRawBufferPointer, event: IncomingEvent, user: String,
      anonymous: String
    )?

  /// - Parameters:
  ///   - body: that all events are in, valid as long as this is used.
  ///   - eventBytesMax: longer events are refused, and not here.
  ///   - kept: templates of earlier requests by the same key in the same protocol.
  ///   - receivedAt: of the request; asked for where there are such.
  ///   - role: of a text by the names on the way to it; nil where another text there makes it another event.
  init(
    key: WriteKey, in body: UnsafeRawBufferPointer, eventBytesMax: Int, isBatch: Bool = true,
    kept: [Template] = [], receivedAt: Int64 = 0,
    role: @escaping (_ names: [JSONString], WriteKey) -> Role?
  ) {
    templates = kept
    self.receivedAt = receivedAt
    self.key = key
    self.body = body
    self.isBatch = isBatch
    self.eventBytesMax = eventBytesMax
    self.role = role
    for template in templates { makeRoom(for: template.json) }
  }

  /// What later requests may be compared with. Called when all events were taken.
  func end() -> [Template] {
    for template in templates { template.endRequest() }
    return templates
  }

  /// Takes the next value of `json` where it is like an event before: as a row, or whole where one of its texts has to be
  /// looked through for what is personal.
  ///
  /// - Parameter events: the whole ones.
  /// - Returns: false where it has to be read.
  mutating func next(_ json: inout JSONScanner, to events: inout [IncomingEvent]) -> Bool {
    if last != nil { learn() }
    for number in templates.indices.reversed() {
      let start = json
      let template = templates[number]
      guard let bytes = template.json.match(&json, &texts) else { continue }
      guard let row = makeRow(template, number, bytes) else {
        json = start
        break
      }
      hits += 1
      let isPlain = isPlain(template)
      if template.whole < 0 {
        addFirst(row, like: template, number, isPlain: isPlain, to: &events)
      } else if isPlain {
        rows.list.append(row)
      } else {
        addWhole(rows.whole(row, like: events[template.whole], in: body), to: &events)
      }
      return true
    }
    misses += 1
    if misses > Self.missesMax, misses > hits { templates = [] }
    return false
  }

  private mutating func addWhole(_ event: IncomingEvent, to events: inout [IncomingEvent]) {
    events.append(event)
    rows.list.append(EventRow(whole: wholeCount))
    wholeCount += 1
  }

  /// The first event of the request that is like one of an earlier request; others may be like it.
  private mutating func addFirst(
    _ row: EventRow, like template: Template, _ number: Int, isPlain: Bool,
    to events: inout [IncomingEvent]
  ) {
    var event = rows.whole(row, like: template.event, in: body)
    event.receivedAt = receivedAt
    addWhole(event, to: &events)
    guard isPlain else { return }
    template.whole = wholeCount - 1
    rows.list[rows.list.count - 1].template = Int8(number)
    rows.list[rows.list.count - 1].isKnown = template.isClean
    reserveRows(eventByteCount: row.payload.count)
  }

  private mutating func makeRoom(for json: JSONTemplate) {
    while texts.count < json.gapCount {
      texts.append(UnsafeRawBufferPointer(start: nil, count: 0))
    }
  }

  /// As many as there may be that are as long.
  private mutating func reserveRows(eventByteCount count: Int) {
    rows.list.reserveCapacity(rows.list.count + min(Self.rowsReservedMax, body.count / count))
  }

  /// The id of the event that was taken last.
  func lastID(_ events: [IncomingEvent]) -> String {
    guard let row = rows.list.last else { return "" }
    if row.isWhole { return events[row.whole].id }
    return String(decoding: row.id.bytes(in: body), as: UTF8.self)
  }

  /// Told of an event that was read, which is the next one of the whole ones.
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
    if isPlain, place != nil, misses <= Self.missesMax || misses <= hits {
      last = (rows.list.count, bytes, event, user, anonymous)
    }
    rows.list.append(EventRow(whole: wholeCount))
    wholeCount += 1
  }

  private func isPlain(_ template: Template) -> Bool {
    for index in template.roles.indices where !PlainText.saysNothing(texts[index]) { return false }
    return true
  }

  // MARK: Learning

  /// Where the next template goes; nil where events of the request are like all that there are.
  private var place: Int? {
    templates.count < Self.countMax
      ? templates.count : templates.firstIndex { $0.whole < 0 }
  }

  private mutating func learn() {
    guard let (row, bytes, event, user, anonymous) = last, let place else { return }
    last = nil
    let pattern = OwnBytes(bytes)
    var roles: [Role] = []
    var gaps: [Range<Int>] = []
    var values = RoleTexts()
    // What stays the same and has a role, too: which of two counts is not for this to say.
    var fixed: UInt = 0
    var isClear = true
    do {
      let json = try JSONTemplate(UnsafeRawBufferPointer(pattern.bytes)) { names, text in
        guard let name = names.last, let role = role(names, key) else { return false }
        guard let text, !name.isEscaped, !text.isEscaped, !text.isEmpty,
          text.bytes.count <= FieldText.bytesMax,
          PersonalNames.Key(name.bytes) != PersonalNames.bytes,
          role != .page || !Self.hasQuery(text.bytes)
        else {
          fixed |= 1 << UInt(role.rawValue)
          return false
        }
        isClear = isClear && (role == .other || role == .page || values[role] == nil)
        values[role] = text.bytes
        roles.append(role)
        gaps.append(pattern.place(of: text.bytes))
        return true
      }
      for role in [Role.other, .page, .short, .instant] { fixed &= ~(1 << UInt(role.rawValue)) }
      guard isClear, roles.allSatisfy({ fixed >> UInt($0.rawValue) & 1 == 0 }) else { return }
      // Some protocols have one id, which names a user or not.
      if user.isEmpty, values[.anonymous] == nil, values[.user] != nil,
        values.agrees(.user, anonymous)
      {
        values[.anonymous] = values[.user]
        values[.user] = nil
        roles = roles.map { $0 == .user ? .anonymous : $0 }
      }
      let tuple = TupleParts(event.dimensions)
      guard values[.id] != nil, values.agrees(.id, event.id), values.agrees(.user, user),
        values.agrees(.anonymous, anonymous), values[.time] != nil || values[.instant] == nil,
        // Another property may be what counts, one that is no text.
        tuple.agrees(values)
      else { return }
      let template = Template(
        json: json, of: pattern, gaps: gaps, roles: roles, event: event,
        whole: rows.list[row].whole,
        tuple: tuple, hasAnonymous: !anonymous.isEmpty)
      if place == templates.count {
        templates.append(template)
      } else {
        templates[place] = template
      }
      makeRoom(for: json)
      rows.list[row].template = Int8(place)
      reserveRows(eventByteCount: bytes.count)
    } catch {
      // It was read as JSON a moment ago.
    }
  }

  // MARK: Building

  private static func hasQuery(_ address: UnsafeRawBufferPointer) -> Bool {
    address.contains(UInt8(ascii: "?"))
  }

  /// - Returns: nil where it has to be read after all.
  private mutating func makeRow(
    _ template: Template, _ number: Int, _ bytes: UnsafeRawBufferPointer
  ) -> EventRow? {
    guard bytes.count <= eventBytesMax else { return nil }
    var row = EventRow(like: template.whole, template: number, kind: template.event.kind)
    (row.person, row.user) = (template.event.person, template.event.user)
    row.eventTime = template.event.eventTime
    var own = TupleParts.Own()
    for index in template.roles.indices {
      let text = texts[index]
      let role = template.roles[index]
      if role == .other { continue }
      guard text.count <= FieldText.bytesMax else { return nil }
      switch role {
      case .other, .short: break
      case .id:
        row.id = place(text)
        row.key = key.identity.dedupeKey(eventID: text)
      case .user:
        // Names of nobody begin so.
        guard text[0] != UInt8(ascii: "$") else { return nil }
        row.user = personKey(text)
        if !template.hasAnonymous { row.person = row.user }
      case .anonymous:
        guard text[0] != UInt8(ascii: "$") else { return nil }
        row.person = personKey(text)
      case .time:
        guard let parsed = micros(text) else { return nil }
        row.eventTime = parsed
      case .instant: guard micros(text) != nil else { return nil }
      case .page: guard !Self.hasQuery(text) else { return nil }
      case .campaign: own.campaign = text
      case .content: own.content = text
      case .variant: own.variant = text
      case .channel: own.channel = text
      }
    }
    if own.isAny { row.dimensions = template.tuple.add(own, to: &rows) }
    row.payload = place(bytes)
    row.fingerprint = EventIdentity.fingerprint(bytes)
    return row
  }

  private func place(_ bytes: UnsafeRawBufferPointer) -> BytePlace {
    guard let start = bytes.baseAddress, let base = body.baseAddress else { return .none }
    return BytePlace(start: start - base, count: bytes.count)
  }

  private mutating func micros(_ text: UnsafeRawBufferPointer) -> Int64? {
    if text.count == lastTime.text.count, let one = text.baseAddress,
      let other = lastTime.text.baseAddress, memcmp(one, other, text.count) == 0
    {
      return lastTime.micros
    }
    guard let micros = Timestamp.parse(text) else { return nil }
    lastTime = (text, micros)
    return micros
  }

  private func personKey(_ id: UnsafeRawBufferPointer) -> Key128 {
    key.isPseudonymous
      ? key.identity.personKey(id: key.identify(String(decoding: id, as: UTF8.self)))
      : key.identity.personKey(id: id)
  }
}

/// Bytes in memory of their own.
private final class OwnBytes {
  let bytes: UnsafeMutableRawBufferPointer

  init(_ other: UnsafeRawBufferPointer) {
    bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: other.count, alignment: 8)
    bytes.copyMemory(from: other)
  }

  deinit { bytes.deallocate() }

  /// - Parameter part: of these bytes.
  func place(of part: UnsafeRawBufferPointer) -> Range<Int> {
    guard let start = part.baseAddress, let base = bytes.baseAddress else { return 0..<0 }
    let place = start - UnsafeRawPointer(base)
    return place..<place + part.count
  }

  func blank(_ range: Range<Int>) { for index in range { bytes[index] = 0 } }
}

/// What stands in an event for each role: of several of the same role the last.
private struct RoleTexts {
  private var texts = InlineArray<12, UnsafeRawBufferPointer?>(repeating: nil)

  subscript(role: EventTemplates.Role) -> UnsafeRawBufferPointer? {
    get { texts[role.rawValue] }
    set { texts[role.rawValue] = newValue }
  }

  /// Whether a text is that of a role, or the role has none.
  func agrees(_ role: EventTemplates.Role, _ text: String) -> Bool {
    var text = text
    return text.withUTF8 { agrees(role, UnsafeRawBufferPointer($0)) }
  }

  func agrees(_ role: EventTemplates.Role, _ text: UnsafeRawBufferPointer) -> Bool {
    self[role].map { $0.elementsEqual(text) } ?? true
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

    var byteCount: Int {
      (campaign?.count ?? 0) + (content?.count ?? 0) + (variant?.count ?? 0)
        + (channel?.count ?? 0)
    }
  }

  /// Each with its length in front, as it stands in the tuple.
  private let encoded: [UInt8]
  /// Where campaign, content, variant, channel and currency begin.
  private let starts: InlineArray<5, Int>

  /// - Parameter encoded: a valid tuple.
  init(_ encoded: [UInt8]) {
    self.encoded = encoded
    var starts = InlineArray<5, Int>(repeating: 0)
    var offset = 0
    for part in starts.indices {
      offset += 2 + (Int(encoded[offset]) | Int(encoded[offset + 1]) << 8)
      starts[part] = offset
    }
    self.starts = starts
  }

  /// Whether what stands in an event for its dimensions is what they are.
  func agrees(_ texts: RoleTexts) -> Bool {
    encoded.withUnsafeBytes { encoded in
      func agrees(_ role: EventTemplates.Role, _ number: Int) -> Bool {
        texts.agrees(
          role, UnsafeRawBufferPointer(rebasing: encoded[starts[number] + 2..<starts[number + 1]]))
      }
      return agrees(.campaign, 0) && agrees(.content, 1) && agrees(.variant, 2)
        && agrees(.channel, 3)
    }
  }

  func add(_ own: Own, to rows: inout EventRows) -> BytePlace {
    // Between lengths and texts of its own there are those of the other tuple.
    let bytesMax = encoded.count + own.byteCount
    return encoded.withUnsafeBytes { encoded in
      rows.addTuple(bytesMax: bytesMax) { output in
        var count = 0
        func copy(_ bytes: UnsafeRawBufferPointer) {
          UnsafeMutableRawBufferPointer(rebasing: output[count...]).copyMemory(from: bytes)
          count += bytes.count
        }
        func part(_ text: UnsafeRawBufferPointer?, _ number: Int) {
          let start = starts[number]
          guard let text else {
            return copy(UnsafeRawBufferPointer(rebasing: encoded[start..<starts[number + 1]]))
          }
          output[count] = UInt8(truncatingIfNeeded: text.count)
          output[count + 1] = UInt8(truncatingIfNeeded: text.count >> 8)
          count += 2
          copy(text)
        }
        copy(UnsafeRawBufferPointer(rebasing: encoded[..<starts[0]]))
        part(own.campaign, 0)
        part(own.content, 1)
        part(own.variant, 2)
        part(own.channel, 3)
        copy(UnsafeRawBufferPointer(rebasing: encoded[starts[4]...]))
        return count
      }
    }
  }
}
