import Events

/// What a mapping finds among the properties of an event, read in one pass.
struct MappedProperties {
  var campaign = Property()
  var content = Property()
  var variant = Property()
  var channel = Property()
  var revenue = Property()
  var currency = Property()

  struct Property {
    private(set) var text: String?
    private var rank = Int.max

    /// Takes a value unless one that counts more is there.
    mutating func offer(_ text: String?, rank: Int) {
      guard let text, rank <= self.rank else { return }
      self.text = text
      self.rank = rank
    }

    /// Takes a value where there is none, such as one from a place that counts less than any of the mapping.
    mutating func fill(_ text: String?) {
      guard let text, !text.isEmpty, self.text ?? "" == "" else { return }
      self.text = text
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
    offer(try FieldText.scalar(&json, name.string), role, rank: rank)
    return true
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
    switch role {
    case .campaign: campaign.offer(text, rank: rank)
    case .content: content.offer(text, rank: rank)
    case .variant: variant.offer(text, rank: rank)
    case .channel: channel.offer(text, rank: rank)
    case .revenue: revenue.offer(text, rank: rank)
    case .currency: currency.offer(text, rank: rank)
    }
  }
}
