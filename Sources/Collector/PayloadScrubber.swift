import Events

/// Takes personal data out of JSON, wherever in it: in values by name and by form (``PersonalText``), also in
/// names, in JSON within texts, in base 64 and in the queries of addresses.
///
/// One pass that copies nothing; only where something was found the text is written anew, with everything
/// else as it came. About 1 µs for an event of half a kilobyte in which there is nothing.
///
/// Of one thread; made once for all events of a request.
final class PayloadScrubber {
  /// What becomes of clients' addresses.
  enum Addresses {
    case truncate
    case remove
  }

  // Nothing changes it while it walks, and watching for that costs more than the walk's looks at it.

  /// Knows what is kept of a user agent.
  let agents: AgentCache
  let removesPersonalData: Bool
  let addresses: Addresses
  /// Makes a pseudonym of an id; nil: ids stay, unless they are personal data by their form.
  let identify: ((String) -> String)?
  /// Hashes of the names of members that hold ids.
  let identifierNames: Set<UInt64>
  /// What a schema says to be personal.
  @exclusivity(unchecked) var marks = PersonalMarks.none
  /// Whether compressed texts go, too, unseen.
  @exclusivity(unchecked) var removesCompressed = false
  /// Encrypts what is personal; nil: it is removed. What stands in names of members always is.
  @exclusivity(unchecked) var sealer: PayloadSealer?

  init(
    agents: AgentCache, removesPersonalData: Bool = true, addresses: Addresses = .truncate,
    identify: ((String) -> String)? = nil, identifierNames: Set<UInt64> = []
  ) {
    self.agents = agents
    self.removesPersonalData = removesPersonalData
    self.addresses = addresses
    self.identify = identify
    self.identifierNames = identifierNames
  }

  /// How gzip begins in base 64.
  private static let compressed = Array("H4sI".utf8)
  /// JSON in texts is read to this depth; what goes deeper is nobody's, and is removed.
  private static let nestingMax = 6

  /// What became of an event.
  struct Scrubbed {
    /// Nil where nothing had to be changed.
    var bytes: [UInt8]?
    /// Of the browser that the event names first; nil where it names none.
    var agent: AgentCache.Known?
    /// Of the client that the event names first, as it came; empty where it names none.
    var address = ""
    /// Whether there was something to seal, if there is a ``PayloadScrubber/sealer``.
    var isSealable = false
  }

  /// - Returns: nil where nothing has to be changed.
  func scrub(_ json: UnsafeRawBufferPointer) throws(JSONError) -> [UInt8]? {
    try scrub(event: json).bytes
  }

  func scrub(event json: UnsafeRawBufferPointer) throws(JSONError) -> Scrubbed {
    var walk = Walk(self, json, nesting: 0)
    try walk.whole(at: marks.whole)
    return Scrubbed(
      bytes: walk.result, agent: walk.agent, address: walk.address, isSealable: walk.isSealable)
  }

  /// The same for a text that is no JSON, or only the beginning of some: whatever in it looks like a member
  /// is read as one.
  ///
  /// - Parameter place: of the text in its event.
  func scrub(text: UnsafeRawBufferPointer, at place: String = "") -> [UInt8]? {
    let named = membersRemoved(from: text)
    let removed = (named ?? Array(text)).withUnsafeBytes {
      PersonalText.removed(from: $0, sealing: sealer.map { PersonalText.Sealing($0, place) })
    }
    return removed ?? named
  }

  private func membersRemoved(from text: UnsafeRawBufferPointer) -> [UInt8]? {
    let quote = UInt8(ascii: "\"")
    /// After the text that begins at `index`.
    func closing(_ index: Int) -> Int {
      var index = index
      while index < text.count, text[index] != quote {
        index += text[index] == UInt8(ascii: "\\") ? 2 : 1
      }
      return min(index, text.count)
    }
    func afterSpace(_ index: Int) -> Int {
      var index = index
      while index < text.count, text[index] <= 0x20 { index += 1 }
      return index
    }
    var output: [UInt8]?
    var start = 0
    var index = 0
    while index < text.count {
      guard text[index] == quote else {
        index += 1
        continue
      }
      let nameEnd = closing(index + 1)
      let colon = afterSpace(nameEnd + 1)
      guard colon < text.count, text[colon] == UInt8(ascii: ":") else {
        index = nameEnd + 1
        continue
      }
      let value = afterSpace(colon + 1)
      let key = PersonalNames.Key(UnsafeRawBufferPointer(rebasing: text[index + 1..<nameEnd]))
      guard let role = PersonalNames.role(key, inTraits: false), value < text.count else {
        index = value
        continue
      }
      var end = value
      if text[value] == quote {
        end = min(closing(value + 1) + 1, text.count)
      } else {
        while end < text.count, ![0x2c, 0x5d, 0x7d].contains(text[end]) { end += 1 }
      }
      output = (output ?? []) + text[start..<value] + [quote] + role.removed.rawValue.utf8
      output?.append(quote)
      start = end
      index = end
    }
    return output.map { $0 + text[start...] }
  }

  private struct Walk {
    private let rules: PayloadScrubber
    private let text: UnsafeRawBufferPointer
    private let nesting: Int
    private var json: JSONScanner
    /// See ``Scrubbed/agent``.
    private(set) var agent: AgentCache.Known?
    private(set) var address = ""
    private(set) var isSealable = false
    /// Where the text stands in the event; empty where nothing is sealed.
    private let outer: String
    private var edits: [(range: Range<Int>, bytes: [UInt8])] = []
    /// Whether the next object, or the objects of the next array, have an id of a person as `id`.
    private var nextHoldsID = false

    init(
      _ rules: PayloadScrubber, _ text: UnsafeRawBufferPointer, nesting: Int, outer: String = ""
    ) {
      self.outer = outer
      self.rules = rules
      self.text = text
      self.nesting = nesting
      json = JSONScanner(text)
    }

    mutating func whole(at places: PersonalMarks.Places = []) throws(JSONError) {
      try value(inTraits: false, places)
      try json.end()
    }

    var result: [UInt8]? {
      guard !edits.isEmpty else { return nil }
      var output: [UInt8] = []
      output.reserveCapacity(text.count)
      var start = 0
      for edit in edits {
        output += text[start..<edit.range.lowerBound]
        output += edit.bytes
        start = edit.range.upperBound
      }
      output += text[start...]
      return output
    }

    // MARK: Values

    /// - Parameter places: of the value among the marks of a schema.
    private mutating func value(
      inTraits: Bool, _ places: PersonalMarks.Places = []
    ) throws(JSONError) {
      if !places.isEmpty, rules.marks.isPersonal(places) {
        return try replace(with: .other, also: true)
      }
      // Most values are texts.
      if let text = try json.textIfThere() { return string(text) }
      switch try json.peek() {
      case .object: try object(inTraits: inTraits, places)
      case .array:
        try json.beginArray()
        var index = 0
        let holdsID = nextHoldsID
        while try json.nextElement() {
          nextHoldsID = holdsID
          try value(
            inTraits: false, places.isEmpty ? [] : rules.marks.places(places, element: index))
          index += 1
        }
      case .string: string(try json.text())
      case .number: try number()
      case .boolean: _ = try json.bool()
      case .null: _ = try json.skipNull()
      }
    }

    private mutating func object(
      inTraits: Bool, _ places: PersonalMarks.Places
    ) throws(JSONError) {
      try json.beginObject()
      let holdsID = nextHoldsID
      nextHoldsID = false
      while let name = try json.nextKey() {
        if rules.identify == nil, places.isEmpty, !name.isEscaped, PersonalNames.isPlain(name.bytes)
        {
          try value(inTraits: false)
          continue
        }
        let key = name.isEscaped ? unescapedKey(name) : PersonalNames.Key(name.bytes)
        if key.mayHoldData && rules.removesPersonalData { scrub(name) }
        let inner = places.isEmpty ? [] : rules.marks.places(places, member: name.string)
        if rules.identify != nil {
          if holdsID && key == IdentifierNames.id || rules.identifierNames.contains(key.hash) {
            try identifier()
            continue
          }
          nextHoldsID = IdentifierNames.isHolder(key)
        }
        if !PersonalNames.mayMean(key) {
          try value(inTraits: false, inner)
        } else if let role = PersonalNames.role(key, inTraits: inTraits) {
          try member(role)
        } else if key == PersonalNames.bytes {
          try bytes()
        } else {
          try value(inTraits: PersonalNames.isTraits(key), inner)
        }
      }
    }

    private func unescapedKey(_ name: JSONString) -> PersonalNames.Key {
      var bytes: [UInt8] = []
      name.append(to: &bytes)
      return bytes.withUnsafeBytes { PersonalNames.Key($0) }
    }

    private mutating func member(_ role: PersonalNames.Role) throws(JSONError) {
      switch role {
      case .mail, .phone, .card, .other:
        if rules.removesPersonalData {
          try replace(with: role.removed)
        } else {
          try value(inTraits: false)
        }
      case .address:
        if try json.peek() == .string {
          let text = try json.text()
          let network = rules.addresses == .truncate ? NetworkAddress.truncated(text.string) : nil
          if address.isEmpty { address = text.string }
          if !text.isEmpty { put(network ?? Removed.other.rawValue, at: range(of: text)) }
        } else {
          try replace(with: .other, seals: false)
        }
      case .userAgent:
        guard try json.peek() == .string else { return try value(inTraits: false) }
        let userAgent = try json.text()
        if userAgent.isEmpty { return }
        let known = rules.agents.agent(userAgent.string)
        if agent == nil { agent = known }
        put(known.summary, at: range(of: userAgent))
      case .fingerprint: try replace(with: .other, seals: false)
      }
    }

    /// A text stays a text; what is empty says nothing of anybody.
    ///
    /// - Parameters:
    ///   - booleans: whether they go, too: of what is personal only by name they say nothing.
    ///   - seals: whether it may be read again.
    private mutating func replace(
      with removed: Removed, also booleans: Bool = false, seals: Bool = true
    ) throws(JSONError) {
      switch try json.peek() {
      case .null: try json.skipValue()
      case .boolean where !booleans: try json.skipValue()
      case .boolean, .string, .number, .object, .array:
        let bytes = try json.skipValue()
        let end = json.offset
        guard bytes.count > 2 || bytes.first != UInt8(ascii: "\"") else { return }
        guard seals else { return put(removed.rawValue, at: end - bytes.count..<end) }
        put(sealed(removed, bytes), at: end - bytes.count..<end)
      }
    }

    // MARK: Sealing

    /// What stands in the place of a JSON value that ends here.
    private mutating func sealed(_ kind: Removed, _ value: UnsafeRawBufferPointer) -> [UInt8] {
      isSealable = true
      guard let sealer = rules.sealer else { return Array(kind.rawValue.utf8) }
      return sealer.seal(kind, value, isJSON: true, at: place)
    }

    /// Of the value that was read last; empty where nobody asks for it.
    private var place: String {
      rules.sealer == nil ? "" : outer + JSONPlace.pointer(to: json.offset - 1, in: text)
    }

    private mutating func removed(from text: UnsafeRawBufferPointer) -> [UInt8]? {
      guard rules.removesPersonalData else { return nil }
      let sealing = rules.sealer.map { PersonalText.Sealing($0, place) }
      let changed = PersonalText.removed(from: text, sealing: sealing)
      if changed != nil { isSealable = true }
      return changed
    }

    private mutating func identifier() throws(JSONError) {
      guard let identify = rules.identify else { return try value(inTraits: false) }
      switch try json.peek() {
      case .string:
        let id = try json.text()
        if !id.isEmpty { put(identify(id.string), at: range(of: id)) }
      case .number:
        let digits = try json.numberText()
        put(
          identify(String(decoding: digits, as: UTF8.self)),
          at: json.offset - digits.count..<json.offset)
      case .object, .array, .boolean, .null: try value(inTraits: false)
      }
    }

    // MARK: Texts

    private mutating func string(_ string: JSONString) {
      guard string.bytes.count > 4, string.isEscaped || !PlainText.isOrdinary(string.bytes) else {
        return
      }
      if let changed = scrubbed(string) { put(changed, at: range(of: string)) }
    }

    private mutating func scrub(_ name: JSONString) {
      var unescaped: [UInt8] = []
      if name.isEscaped { name.append(to: &unescaped) }
      let changed =
        name.isEscaped
        ? unescaped.withUnsafeBytes { PersonalText.removed(from: $0) }
        : PersonalText.removed(from: name.bytes)
      if let changed { put(changed, at: range(of: name)) }
    }

    /// A text without its escapes and without personal data; nil where it stays.
    private mutating func scrubbed(_ string: JSONString) -> [UInt8]? {
      guard string.isEscaped else { return scrubbed(string.bytes) }
      var text: [UInt8] = []
      string.append(to: &text)
      return text.withUnsafeBytes { scrubbed($0) }
    }

    private mutating func scrubbed(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
      if text.first == UInt8(ascii: "{") || text.first == UInt8(ascii: "[") {
        if nesting < PayloadScrubber.nestingMax {
          var inner = Walk(rules, text, nesting: nesting + 1, outer: place)
          do throws(JSONError) {
            try inner.whole()
            isSealable = isSealable || inner.isSealable
            return inner.result
          } catch {
            // It only began like JSON: it is a text.
          }
        } else if rules.removesPersonalData, text.count > 1,
          (text[1] | 0x20) &- UInt8(ascii: "a") > 25
        {
          // With a letter there it would be a text that begins with `[mail]`.
          return Array(Removed.other.rawValue.utf8)
        }
      }
      if rules.removesCompressed, text.starts(with: PayloadScrubber.compressed) {
        return Array(Removed.other.rawValue.utf8)
      }
      if rules.removesPersonalData, LooseBase64.isWebToken(text) {
        return Array(Removed.other.rawValue.utf8)
      }
      if nesting < PayloadScrubber.nestingMax, Self.mayBeEncoded(text),
        let decoded = LooseBase64.decode(text),
        decoded.first == UInt8(ascii: "{") || decoded.first == UInt8(ascii: "[")
      {
        return decoded.withUnsafeBytes { encoded($0, as: text) }
      }
      return removed(from: text)
    }

    /// Whether a text begins as JSON does in base 64.
    private static func mayBeEncoded(_ text: UnsafeRawBufferPointer) -> Bool {
      guard text.count >= 8, text[0] == UInt8(ascii: "e") || text[0] == UInt8(ascii: "W") else {
        return false
      }
      switch text[1] {
      case UInt8(ascii: "w")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
        UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "-"), UInt8(ascii: "_"), 0x20:
        return true
      default: return false
      }
    }

    /// What base 64 holds without personal data, in base 64 again; nil where it stays.
    ///
    /// - Parameter text: as it was, whose alphabet is kept.
    private mutating func encoded(
      _ decoded: UnsafeRawBufferPointer, as text: UnsafeRawBufferPointer
    ) -> [UInt8]? {
      guard let changed = scrubbedText(decoded) else { return nil }
      let standard = Base64.encode(changed).utf8
      guard text.contains(UInt8(ascii: "-")) || text.contains(UInt8(ascii: "_")) else {
        return Array(standard)
      }
      return standard.compactMap { byte in
        switch byte {
        case UInt8(ascii: "+"): UInt8(ascii: "-")
        case UInt8(ascii: "/"): UInt8(ascii: "_")
        case UInt8(ascii: "="): nil
        default: byte
        }
      }
    }

    /// Of bytes that need not be JSON to the end.
    private mutating func scrubbedText(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
      var inner = Walk(rules, text, nesting: nesting + 1, outer: place)
      do throws(JSONError) {
        try inner.whole()
        isSealable = isSealable || inner.isSealable
        return inner.result
      } catch {
        guard rules.removesPersonalData else { return nil }
        let changed = rules.scrub(text: text, at: place)
        if changed != nil { isSealable = true }
        return changed
      }
    }

    /// The bytes of an event that are no JSON, such as a page of text.
    private mutating func bytes() throws(JSONError) {
      guard try json.peek() == .string else { return try value(inTraits: false) }
      let string = try json.text()
      guard let decoded = LooseBase64.decode(string.bytes),
        let changed = decoded.withUnsafeBytes({ encoded($0, as: string.bytes) })
      else { return }
      put(changed, at: range(of: string))
    }

    /// Of numbers only those of cards can be told by their form.
    private mutating func number() throws(JSONError) {
      let digits = try json.numberText()
      guard rules.removesPersonalData, digits.count >= 13 else { return }
      let isCard = PersonalText.find(in: digits).contains {
        $0.kind == .card && $0.range == 0..<digits.count
      }
      if isCard { put(sealed(.card, digits), at: json.offset - digits.count..<json.offset) }
    }

    // MARK: Edits

    /// With its quotes.
    private func range(of string: JSONString) -> Range<Int> {
      guard let base = text.baseAddress, let start = string.bytes.baseAddress else { return 0..<0 }
      let offset = start - base
      return offset - 1..<offset + string.bytes.count + 1
    }

    private mutating func put(_ string: String, at range: Range<Int>) {
      put(Array(string.utf8), at: range)
    }

    private mutating func put(_ utf8: [UInt8], at range: Range<Int>) {
      var writer = JSONWriter(reserving: utf8.count + 2)
      utf8.withUnsafeBytes { writer.string(utf8: $0) }
      edits.append((range, writer.bytes))
    }
  }
}
