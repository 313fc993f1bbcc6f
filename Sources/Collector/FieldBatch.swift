import Events

/// Many events whose fields are all texts, as an array that is one member of a JSON object: how Snowplow and
/// Matomo send them.
///
///     {"data":[{"aid":"app","e":"pv"}, …]}      {"requests":["?idsite=app&rec=1", …]}
///
/// The write key stands in a field of the events, so they are read before it is known. All of one request
/// belong to one key, that of the first.
struct FieldBatch {
  private struct Item {
    let fields: TextFields
    let refusal: Refusal?
    let bytes: UnsafeRawBufferPointer
  }

  /// Where the events are, and in which of their fields the key is.
  struct Form {
    /// Such as `data`.
    let member: StaticString
    /// What the array holds, for messages.
    let elements: String
    /// Such as `aid`, and what it is called.
    let keyField: String
    let keyName: String
    let countMax: Int
    /// Reads all of the next value as the fields of an event; one that it refuses is passed over.
    let read: @Sendable (inout JSONScanner) throws -> TextFields
  }

  private let form: Form
  private let items: [Item]

  /// - Parameter body: lives as long as this.
  /// - Throws: what makes the request unreadable as a whole.
  init(_ body: UnsafeRawBufferPointer, _ form: Form) throws(Refusal) {
    self.form = form
    do {
      var items: [Item]?
      var json = JSONScanner(body)
      try json.beginObject()
      while let name = try json.nextKey() {
        guard name == form.member, try json.peek() == .array else {
          try json.skipValue()
          continue
        }
        if items != nil {
          throw Refusal(.malformedJSON, "the body has the member \(form.member) once, not again")
        }
        items = try Self.array(&json, in: body, form)
      }
      try json.end()
      guard let items else {
        throw Refusal(
          .malformedJSON, "the body has a member \(form.member), an array of \(form.elements)")
      }
      self.items = items
    } catch let refusal as Refusal {
      throw refusal
    } catch {
      throw Refusal(.malformedJSON, "\(error)")
    }
  }

  /// At most one item more than a request may have.
  private static func array(
    _ json: inout JSONScanner, in body: UnsafeRawBufferPointer, _ form: Form
  ) throws -> [Item] {
    var items: [Item] = []
    try json.beginArray()
    while try json.nextElement() {
      if items.count > form.countMax {
        try json.skipValue()
        continue
      }
      _ = try json.peek()  // Passes over the white space.
      let start = json
      do {
        let fields = try form.read(&json)
        let bytes = UnsafeRawBufferPointer(rebasing: body[start.offset..<json.offset])
        items.append(Item(fields: fields, refusal: nil, bytes: bytes))
      } catch let refusal as Refusal {
        json = start
        items.append(Item(fields: TextFields(), refusal: refusal, bytes: try json.skipValue()))
      }
    }
    return items
  }

  var count: Int { items.count }

  /// The answer to more events than a request may have.
  var tooMany: IngestReading? {
    count <= form.countMax
      ? nil
      : .problem(
        code: "too_many_events",
        detail: "a request may have \(form.countMax) events; send it in smaller parts")
  }

  /// The first key that an event names; empty where none does.
  var keyName: String { items.lazy.map { $0.fields[form.keyField] }.first { !$0.isEmpty } ?? "" }

  /// - Parameters:
  ///   - place: of the request; events have theirs in it.
  ///   - isKey: whether ``keyName`` is a write key: only then it tells whose an event is.
  ///   - event: makes an event of fields, at a place.
  ///   - kept: what a dead letter keeps of an event's bytes.
  func read(
    place: String, isKey: Bool,
    event: (TextFields, String) throws(Refusal) -> IncomingEvent,
    kept: (UnsafeRawBufferPointer) -> [UInt8] = { Array($0) }
  ) -> (events: [IncomingEvent], rejected: [Rejection]) {
    let key = keyName
    var events: [IncomingEvent] = []
    var rejected: [Rejection] = []
    events.reserveCapacity(items.count)
    for (index, item) in items.enumerated() {
      var place = "\(place) \(form.member)[\(index)]"
      do throws(Refusal) {
        if let refusal = item.refusal { throw refusal }
        if isKey, !["", key].contains(item.fields[form.keyField]) {
          // No place that can be read again: there it would be alone, and count for the other key.
          place += ".\(form.keyField)"
          throw Refusal(
            .mixedKeys, "the events of a request have one \(form.keyName), that of the first")
        }
        events.append(try event(item.fields, place))
      } catch {
        kept(item.bytes).withUnsafeBytes {
          rejected.append(Rejection(error, index: index, place: place, body: $0))
        }
      }
    }
    return (events, rejected)
  }
}
