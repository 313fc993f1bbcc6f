public import Events

/// Takes out of every event what its write key's policy does not let into the log; see ``KeyPolicy``.
///
/// Clients' addresses are cut to their network or removed, and those of requests are never added. User agents
/// are reduced to ``Agent/summary``, and that of the event, else of its request, is attached as
/// ``IncomingEvent/agent``. Mail addresses, phone numbers, card numbers, what is personal by name and
/// what a schema marks with `x-personal` are removed, or encrypted with the key of the event's person
/// (``PersonKeyVault``) except where they stand in columns and names; ids of persons become pseudonyms, as
/// they are already in the keys of persons.
public struct PrivacyGate: EventGate {
  public let name = "privacy"
  private let agents = AgentCache()
  /// By protocol and event, or kind of event; empty where no schema marks anything.
  private let marks: [String: [String: PersonalMarks]]
  /// By protocol: those of all events, for what is refused before it is known which event it is.
  private let anyMarks: [String: PersonalMarks]
  /// The events, or kinds of events, that have any.
  private let marked: Set<String>
  private let personKeys: PersonKeyVault?

  /// - Parameters:
  ///   - schemas: which say what else is personal.
  ///   - personKeys: what keys encrypt with whose policy says so; without, it is removed.
  public init(schemas: EventSchemas = EventSchemas(), personKeys: PersonKeyVault? = nil) {
    self.personKeys = personKeys
    let paths = schemas.personalPaths
    marked = Set(paths.filter { !$0.value.isEmpty }.keys)
    guard !marked.isEmpty else {
      marks = [:]
      anyMarks = [:]
      return
    }
    let all = paths.keys.sorted().flatMap { paths[$0] ?? [] }
    let places = Dictionary(
      ProtocolCatalog.all.map { ($0.name, $0.properties) }, uniquingKeysWith: { first, _ in first })
    marks = places.mapValues { place in
      paths.mapValues { PersonalMarks(properties: place, paths: $0) }
    }
    anyMarks = places.mapValues { PersonalMarks(properties: $0, paths: all) }
  }

  public func admit(
    _ event: inout IncomingEvent, _ request: borrowing RequestFacts, _ key: WriteKey
  ) throws(Refusal) -> GateVerdict {
    let memory = request.memory
    if !memory.address.isEmpty { memory.address = "" }
    switch memory.likeness {
    case .again(let number) where memory.cleanTemplates >> UInt64(number) & 1 != 0:
      event.agent = memory.agent?.label ?? ""
      return .pass
    case .known(let number):
      memory.cleanTemplates |= 1 << UInt64(number)
      if memory.agent == nil { memory.agent = agents.agent(request.userAgent) }
      event.agent = memory.agent?.label ?? ""
      return .pass
    case .clean where key.policy.identifiers == .keep && !isMarked(event):
      event.agent = agents.agent(request.userAgent).label
      return .pass
    case .clean, .again, .first, .none: break
    }
    let scrubber = scrubber(of: event, request, key)
    let wasChanged: Bool
    do {
      var scrubbed = try event.payload.withUnsafeBytes { try scrubber.scrub(event: $0) }
      if scrubbed.isSealable, key.policy.personalData == .encrypt,
        let sealer = sealer(of: &event, request, key)
      {
        // Once more, now that there is something: most events have nothing, and need no key.
        scrubber.sealer = sealer
        defer { scrubber.sealer = nil }
        scrubbed = try event.payload.withUnsafeBytes { try scrubber.scrub(event: $0) }
      }
      // An address that is cut already says nothing of those in other events.
      wasChanged =
        scrubbed.bytes != nil || scrubbed.agent != nil || scrubbed.isSealable
        || !scrubbed.address.isEmpty
      if let changed = scrubbed.bytes { event.payload = changed }
      if !scrubbed.address.isEmpty { memory.address = scrubbed.address }
      // Servers send events of people: whose browser it was stands in the event.
      if let agent = scrubbed.agent {
        event.agent = agent.label
      } else {
        if memory.agent == nil { memory.agent = agents.agent(request.userAgent) }
        event.agent = memory.agent?.label ?? ""
      }
    } catch {
      throw Refusal(.malformedJSON, "\(error)")
    }
    let (name, dimensions) = (event.name, event.dimensions)
    if scrubber.removesPersonalData { Self.scrubColumns(&event, memory) }
    if case .first(let number) = memory.likeness, !wasChanged, event.name == name,
      event.dimensions == dimensions
    {
      memory.cleanTemplates |= 1 << UInt64(number)
    }
    return .pass
  }

  private func isMarked(_ event: borrowing IncomingEvent) -> Bool {
    !marked.isEmpty && (marked.contains(event.name) || marked.contains(event.kind.name))
  }

  /// That of the request's events, with the marks of this one.
  private func scrubber(
    of event: borrowing IncomingEvent, _ request: borrowing RequestFacts, _ key: WriteKey
  ) -> PayloadScrubber {
    let memory = request.memory
    if let scrubber = memory.scrubber, memory.scrubbedSource == event.source {
      if memory.scrubbedName != event.name || memory.scrubbedKind != event.kind {
        scrubber.marks = marks(of: event, scrubber)
        memory.scrubbedName = event.name
        memory.scrubbedKind = event.kind
      }
      return scrubber
    }
    let protocolName = Self.protocolName(event)
    let scrubber = scrubber(
      request, key, isSnowplow: protocolName == SnowplowProtocol.name, protocolName: protocolName)
    scrubber.marks = marks(of: event, scrubber)
    memory.scrubber = scrubber
    memory.scrubbedSource = event.source
    memory.scrubbedName = event.name
    memory.scrubbedKind = event.kind
    return scrubber
  }

  private func marks(
    of event: borrowing IncomingEvent, _ scrubber: PayloadScrubber
  ) -> PersonalMarks {
    guard !marks.isEmpty, scrubber.removesPersonalData,
      let marks = marks[Self.protocolName(event)]
    else { return .none }
    return marks[event.name] ?? marks[event.kind.name] ?? .none
  }

  private static func protocolName(_ event: borrowing IncomingEvent) -> String {
    String(Substring(event.source.utf8.prefix { $0 != UInt8(ascii: "/") }))
  }

  /// - Returns: nil where nothing can be encrypted now; see ``SealClaims/failure``.
  private func sealer(
    of event: inout IncomingEvent, _ request: borrowing RequestFacts, _ key: WriteKey
  ) -> PayloadSealer? {
    guard let personKeys, let claims = request.claims, Self.namesSomebody(event, key.site),
      let sealer = claims.sealer(of: event, site: key.site, personKeys)
    else {
      event.fingerprint = 0
      return nil
    }
    event.fingerprint = sealer.key.fingerprint(event.fingerprint)
    return sealer
  }

  /// False where the event stands for its person itself: a key of nobody could be erased by nobody.
  private static func namesSomebody(_ event: IncomingEvent, _ site: String) -> Bool {
    event.user != .zero || event.person != EventIdentity.personKey(site: site, id: event.id)
  }

  /// The refused bytes as a dead letter may keep them.
  public func clean(
    _ rejection: Rejection, _ request: borrowing RequestFacts, _ key: WriteKey,
    protocolName: String
  ) -> Rejection {
    var rejection = rejection
    let scrubber = scrubber(
      request, key, isSnowplow: protocolName == SnowplowProtocol.name, protocolName: protocolName)
    if scrubber.removesPersonalData { scrubber.marks = anyMarks[protocolName] ?? .none }
    scrubber.removesCompressed = scrubber.removesPersonalData || scrubber.identify != nil
    do {
      let changed = try rejection.body.withUnsafeBytes { try scrubber.scrub($0) }
      if let changed { rejection.replaceBody(changed) }
    } catch {
      if let changed = Self.clean(form: rejection.body, scrubber) {
        rejection.replaceBody(changed)
      } else if scrubber.identify != nil {
        // Where it cannot be read, ids in it cannot be told from the rest.
        rejection.withhold()
      } else if scrubber.removesPersonalData, LooseBase64.decode(rejection.body) != nil {
        rejection.withhold()
      } else if scrubber.removesPersonalData,
        let changed = rejection.body.withUnsafeBytes({ scrubber.scrub(text: $0) })
      {
        rejection.replaceBody(changed)
      }
    }
    return rejection
  }

  // MARK: Parts

  private func scrubber(
    _ request: borrowing RequestFacts, _ key: WriteKey, isSnowplow: Bool, protocolName: String
  ) -> PayloadScrubber {
    let isPseudonymous = key.policy.identifiers == .pseudonym
    return PayloadScrubber(
      agents: agents, removesPersonalData: key.policy.personalData != .keep,
      addresses: key.policy.address == .drop
        || isSnowplow && request.header("sp-anonymous") != nil
        ? .remove : .truncate,
      identify: isPseudonymous ? { key.identify($0) } : nil,
      identifierNames: isPseudonymous ? IdentifierNames.names(of: protocolName) : [])
  }

  /// Texts of an event beside its payload. Its keys are hashes already.
  private static func scrubColumns(_ event: inout IncomingEvent, _ memory: RequestMemory) {
    if memory.plainName != event.name {
      let name = PersonalText.removed(from: event.name)
      if name != event.name { event.name = name } else { memory.plainName = name }
    }
    if PersonalText.isFound(in: event.id) { event.id = event.key.description }
    // Ids of contents may look like any number, but not like a mail address.
    guard event.dimensions.withUnsafeBytes({ PlainText.hasMark($0) }),
      var tuple = event.dimensions.withUnsafeBytes({ DimensionTuple(encoded: $0) })
    else { return }
    tuple.campaign = PersonalText.removed(from: tuple.campaign)
    tuple.content = PersonalText.removed(from: tuple.content)
    tuple.variant = PersonalText.removed(from: tuple.variant)
    tuple.channel = PersonalText.removed(from: tuple.channel)
    event.dimensions = tuple.encoded
  }

  /// A query or form: each value by its name, as in JSON.
  ///
  /// - Returns: nil where it is none.
  private static func clean(form: [UInt8], _ scrubber: PayloadScrubber) -> [UInt8]? {
    guard !form.isEmpty, form.contains(UInt8(ascii: "=")),
      form.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != 0x22 && $0 != 0x7b })
    else { return nil }
    let parts = form.split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: false)
    var output: [UInt8] = []
    for (index, part) in parts.enumerated() {
      if index > 0 { output.append(UInt8(ascii: "&")) }
      guard let equals = part.firstIndex(of: UInt8(ascii: "=")) else {
        output += part
        continue
      }
      let fields = Array(part).withUnsafeBytes { TextFields(form: $0) }
      guard !fields.isMalformed, let field = fields.all.first else {
        output += part[...equals]
        continue
      }
      var json = JSONWriter()
      json.beginObject()
      json.key(field.name)
      json.string(field.value)
      json.endObject()
      do {
        guard let changed = try json.bytes.withUnsafeBytes({ try scrubber.scrub($0) }) else {
          output += part
          continue
        }
        let clean = try changed.withUnsafeBytes { bytes in
          var object = JSONScanner(bytes)
          return try TextFields(object: &object).all.first
        }
        output += encoded(clean?.name ?? "") + [UInt8(ascii: "=")] + encoded(clean?.value ?? "")
      } catch {
        output += part[...equals]
      }
    }
    return output
  }

  private static func encoded(_ text: String) -> [UInt8] {
    let digits = Array("0123456789ABCDEF".utf8)
    return text.utf8.flatMap { byte -> [UInt8] in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "["), UInt8(ascii: "]"):
        [byte]
      default: [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 0xf)]]
      }
    }
  }
}

extension PrivacyGate: RowGate {
  /// Where nothing of the event had to be changed; nothing personal is in the texts of rows by its form.
  func admitsAlike(
    _ event: borrowing IncomingEvent, template: Int, _ request: borrowing RequestFacts,
    _ key: WriteKey
  ) -> Bool {
    request.memory.cleanTemplates >> UInt64(template) & 1 != 0
  }
}
