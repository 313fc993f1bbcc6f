import Events

/// What a mapping finds among the properties of an event, read in one pass.
///
/// Properties are their sender's own affair: one that the mapping names and that cannot be used, such as an
/// object, is passed over and told in ``notes``. Only the money of a conversion has to be right.
struct MappedProperties {
  var campaign = Property()
  var content = Property()
  var variant = Property()
  var channel = Property()
  var revenue = Property()
  var currency = Property()
  /// The address of the page, which may have fields of ``CampaignTag``.
  var page = Property()

  /// Whether texts stay where they stand in the request: then it must be there as long as this is used.
  let borrows: Bool

  init(borrowing borrows: Bool = false) { self.borrows = borrows }

  struct Property {
    private var string: String?
    /// Instead of the string, see ``MappedProperties/borrows``.
    private var place: UnsafeRawBufferPointer?
    private var rank = Int.max
    fileprivate(set) var isCut = false
    /// Whether there was a value that cannot be one.
    fileprivate(set) var isUnusable = false

    var text: String? { place.map { String(decoding: $0, as: UTF8.self) } ?? string }

    /// Takes a value unless it is empty or one that counts more is there.
    mutating func offer(_ text: String?, rank: Int, isCut: Bool = false) {
      guard let text, !text.isEmpty, rank <= self.rank else { return }
      (string, place) = (text, nil)
      self.rank = rank
      self.isCut = isCut
    }

    /// The same of a text without escapes and no longer than it may be, which stays where it is.
    mutating func offer(_ text: UnsafeRawBufferPointer, rank: Int) {
      guard !text.isEmpty, rank <= self.rank else { return }
      place = text
      self.rank = rank
      isCut = false
    }

    /// The bytes of the text, none where there is none.
    @inline(__always)
    func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
      if let place { return body(place) }
      var text = string ?? ""
      return text.withUTF8 { body(UnsafeRawBufferPointer($0)) }
    }

    /// Takes a value where there is none, such as one from a place that counts less than any of the mapping.
    mutating func fill(_ text: String?) {
      guard let text, !text.isEmpty, withBytes({ $0.isEmpty }) else { return }
      (string, place) = (text, nil)
      rank = .max
      isCut = false
    }

    /// The same of a text of any length.
    mutating func fill(dimension text: String) {
      guard !text.isEmpty, withBytes(\.isEmpty) else { return }
      guard let fitting = DimensionText.fitting(text) else {
        isUnusable = true
        return
      }
      fill(fitting)
      isCut = fitting != text
    }

    /// Which of these names it came by; nil where by another one.
    func name(among names: [String]) -> String? { rank < names.count ? names[rank] : nil }
  }

  /// Reads a JSON object of properties; any other value is passed over.
  mutating func scan(_ json: inout JSONScanner, _ mapping: CompiledMapping) throws(JSONError) {
    guard try json.peek() == .object else {
      try json.skipValue()
      return
    }
    try json.beginObject()
    while let name = try json.nextKey() {
      if try !take(name, &json, mapping) { try json.skipValue() }
    }
  }

  /// Reads the value of one property where the mapping names it, or where it tells of a campaign in the way of
  /// all protocols: `utm_…`, and the address of the page.
  ///
  /// - Returns: false where it does not; the value is then still to be read.
  mutating func take(
    _ name: JSONString, _ json: inout JSONScanner, _ mapping: CompiledMapping
  ) throws(JSONError) -> Bool {
    if let (role, rank) = mapping.property(name) {
      try read(&json, role, rank: rank)
    } else if let tag = CampaignTag(name.bytes) {
      try read(&json, tag.part, rank: tag.rank)
    } else if Self.isPage(name) {
      try readPage(&json)
    } else {
      return false
    }
    return true
  }

  /// Whether a property is the address of the page.
  static func isPage(_ name: JSONString) -> Bool {
    name == "url" || name == "$current_url" || name == "page_location"
  }

  /// Reads the next value as one of this meaning.
  ///
  /// - Parameter rank: among its like; a lower one counts.
  mutating func read(
    _ json: inout JSONScanner, _ role: MappedPart, rank: Int = .max
  ) throws(JSONError) {
    if let text = try json.textIfThere() {
      if borrows, !text.isEscaped, text.bytes.count <= FieldText.bytesMax {
        property(role) { $0.offer(text.bytes, rank: rank) }
      } else {
        offer(text.string, role, rank: rank)
      }
      return
    }
    switch try json.peek() {
    case .number:
      offer(String(decoding: try json.numberText(), as: UTF8.self), role, rank: rank)
    case .boolean: offer(try json.bool() ? "true" : "false", role, rank: rank)
    case .object, .array:
      try json.skipValue()
      property(role) { $0.isUnusable = true }
    case .null, .string: try json.skipValue()
    }
  }

  /// Reads the next value as the address of the page, where it is a text.
  mutating func readPage(_ json: inout JSONScanner, rank: Int = .max) throws(JSONError) {
    guard let text = try json.textIfThere() else {
      try json.skipValue()
      return
    }
    if borrows, !text.isEscaped {
      page.offer(text.bytes, rank: rank)
    } else {
      page.offer(text.string, rank: rank)
    }
  }

  /// An encoded ``DimensionTuple``.
  func tuple(site: String, currency: String) -> [UInt8] {
    var (site, currency) = (site, currency)
    return site.withUTF8 { site in
      currency.withUTF8 { currency in
        campaign.withBytes { campaign in
          content.withBytes { content in
            variant.withBytes { variant in
              channel.withBytes { channel in
                DimensionTuple.encoded(
                  site: UnsafeRawBufferPointer(site), campaign: campaign, content: content,
                  variant: variant, channel: channel, currency: UnsafeRawBufferPointer(currency))
              }
            }
          }
        }
      }
    }
  }

  /// The money of a conversion; 0 and no currency where it has none.
  ///
  /// - Parameter place: of the properties in the event, such as `properties`.
  func money(
    _ mapping: EventMapping, in place: String = ""
  ) throws(Refusal) -> (micros: Int64, currency: String) {
    func path(_ property: Property, _ names: [String]) -> String? {
      (property.name(among: names) ?? (property.isUnusable ? names.first : nil)).map {
        place.isEmpty ? "$.\($0)" : "$.\(place).\($0)"
      }
    }
    do {
      guard let text = revenue.text ?? (revenue.isUnusable ? "" : nil) else { return (0, "") }
      let micros = try Conversion.revenue(text, "the revenue")
      guard let text = currency.text ?? (currency.isUnusable ? "" : nil) else {
        return (micros, mapping.defaultCurrency)
      }
      return (micros, try Conversion.currency(text, "the currency"))
    } catch {
      let isCurrency = error.code == .badCurrency
      throw error.at(
        isCurrency ? path(currency, mapping.currency) : path(revenue, mapping.revenue))
    }
  }

  /// What there is to be told of the properties.
  var notes: EventNotes {
    var notes: EventNotes = []
    func add(_ property: Property, _ part: MappedPart) {
      if property.isUnusable { notes.insert(.unusable(part)) }
      if property.isCut { notes.insert(.cut(part)) }
    }
    add(campaign, .campaign)
    add(content, .content)
    add(variant, .variant)
    add(channel, .channel)
    add(revenue, .revenue)
    add(currency, .currency)
    return notes
  }

  /// Takes a property that came as text, such as a field of a query.
  mutating func offer(_ text: String, named name: String, _ mapping: CompiledMapping) {
    if let (role, rank) = mapping.property(named: name) {
      offer(text, role, rank: rank)
    } else if let tag = CampaignTag(name) {
      offer(text, tag.part, rank: tag.rank)
    }
  }

  /// Takes each value that is missing from properties that count less.
  mutating func fill(from others: MappedProperties) {
    func fill(_ property: inout Property, from other: Property) {
      guard property.withBytes(\.isEmpty) else { return }
      property.fill(other.text)
      property.isCut = other.isCut
    }
    fill(&campaign, from: others.campaign)
    fill(&content, from: others.content)
    fill(&variant, from: others.variant)
    fill(&channel, from: others.channel)
    fill(&revenue, from: others.revenue)
    fill(&currency, from: others.currency)
    fill(&page, from: others.page)
  }

  /// Takes what is missing from the fields of an address. An address is written by anybody: what cannot be a
  /// dimension's value is passed over.
  mutating func fill(fromAddress address: UnsafeRawBufferPointer) {
    var best: [MappedPart: (rank: Int, text: String)] = [:]
    for (tag, text) in CampaignTag.find(in: address) where tag.rank < best[tag.part]?.rank ?? .max {
      best[tag.part] = (tag.rank, text)
    }
    for (part, found) in best { property(part) { $0.fill(found.text) } }
  }

  mutating func fill(fromAddress address: String) {
    var address = address
    address.withUTF8 { fill(fromAddress: UnsafeRawBufferPointer($0)) }
  }

  /// Takes what is missing from the address of the page.
  mutating func fillFromPage() {
    let page = page
    page.withBytes { if !$0.isEmpty { fill(fromAddress: $0) } }
  }

  private mutating func offer(_ text: String, _ role: MappedPart, rank: Int) {
    if role == .revenue || role == .currency {
      let isUsable = text.utf8.count <= FieldText.bytesMax
      property(role) { if isUsable { $0.offer(text, rank: rank) } else { $0.isUnusable = true } }
      return
    }
    let fitting = DimensionText.fitting(text)
    property(role) {
      if let fitting {
        $0.offer(fitting, rank: rank, isCut: fitting != text)
      } else {
        $0.isUnusable = true
      }
    }
  }

  @inline(__always)
  private mutating func property(_ role: MappedPart, _ body: (inout Property) -> Void) {
    switch role {
    case .campaign: body(&campaign)
    case .content: body(&content)
    case .variant: body(&variant)
    case .channel: body(&channel)
    case .revenue: body(&revenue)
    case .currency: body(&currency)
    }
  }
}
