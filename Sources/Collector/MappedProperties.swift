import Events

/// What a mapping finds among the properties of an event, read in one pass.
struct MappedProperties {
  var campaign = Property()
  var content = Property()
  var variant = Property()
  var channel = Property()
  var revenue = Property()
  var currency = Property()

  /// Whether texts stay where they stand in the request: then it must be there as long as this is used.
  let borrows: Bool

  init(borrowing borrows: Bool = false) { self.borrows = borrows }

  struct Property {
    private var string: String?
    /// Instead of the string, see ``MappedProperties/borrows``.
    private var place: UnsafeRawBufferPointer?
    private var rank = Int.max

    var text: String? { place.map { String(decoding: $0, as: UTF8.self) } ?? string }

    /// Takes a value unless one that counts more is there.
    mutating func offer(_ text: String?, rank: Int) {
      guard let text, rank <= self.rank else { return }
      (string, place) = (text, nil)
      self.rank = rank
    }

    /// The same of a text without escapes and no longer than it may be, which stays where it is.
    mutating func offer(_ text: UnsafeRawBufferPointer, rank: Int) {
      guard rank <= self.rank else { return }
      place = text
      self.rank = rank
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
      guard let text, !text.isEmpty, withBytes(\.isEmpty) else { return }
      (string, place) = (text, nil)
      rank = .max
    }
  }

  /// Reads a JSON object of properties; any other value is passed over.
  ///
  /// - Throws: ``Refusal`` where a mapped property is no scalar or too long; ``JSONError``.
  mutating func scan(_ json: inout JSONScanner, _ mapping: CompiledMapping) throws {
    guard try json.peek() == .object else {
      try json.skipValue()
      return
    }
    try json.beginObject()
    while let name = try json.nextKey() {
      if try !take(name, &json, mapping) { try json.skipValue() }
    }
  }

  /// Reads the value of one property where the mapping names it.
  ///
  /// - Returns: false where it does not; the value is then still to be read.
  mutating func take(
    _ name: JSONString, _ json: inout JSONScanner, _ mapping: CompiledMapping
  ) throws -> Bool {
    guard let (role, rank) = mapping.property(name) else { return false }
    guard borrows, let text = try json.textIfThere() else {
      offer(try FieldText.scalar(&json, name.string), role, rank: rank)
      return true
    }
    if text.isEscaped || text.bytes.count > FieldText.bytesMax {
      offer(try FieldText.check(text, name.string), role, rank: rank)
    } else {
      property(role) { $0.offer(text.bytes, rank: rank) }
    }
    return true
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

  /// Takes a property that came as text, such as a field of a query.
  mutating func offer(
    _ text: String, named name: String, _ mapping: CompiledMapping
  ) throws(Refusal) {
    guard let (role, rank) = mapping.property(named: name) else { return }
    offer(try FieldText.check(text, name), role, rank: rank)
  }

  /// Takes each value that is missing from properties that count less.
  mutating func fill(from others: MappedProperties) {
    campaign.fill(others.campaign.text)
    content.fill(others.content.text)
    variant.fill(others.variant.text)
    channel.fill(others.channel.text)
    revenue.fill(others.revenue.text)
    currency.fill(others.currency.text)
  }

  private mutating func offer(_ text: String?, _ role: CompiledMapping.Role, rank: Int) {
    property(role) { $0.offer(text, rank: rank) }
  }

  @inline(__always)
  private mutating func property(
    _ role: CompiledMapping.Role, _ body: (inout Property) -> Void
  ) {
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
