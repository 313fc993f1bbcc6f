import Events

/// What a request has encrypted with keys that are not durable yet, and what becomes of it when they are, or
/// others are.
struct UnsettledSeals: Sendable {
  /// Those that were made for it, by person.
  var keys: [Key128: PersonKey]
  var events: [SealClaims.Event]
  var failure: PersonKeyFailure?

  /// Encrypts again with the persons' real keys, where they had some.
  ///
  /// - Parameter durable: the keys of the persons of ``keys``; one without is not to be had: what was encrypted
  ///   for it is removed.
  func apply(
    _ durable: [Key128: PersonKey], to events: inout [IncomingEvent],
    letters: inout [IncomingEvent]
  ) {
    guard keys.contains(where: { durable[$0.key]?.number != $0.value.number }) else { return }
    for index in events.indices {
      if let payload = rewritten(events[index].payload, durable) { events[index].payload = payload }
      events[index].fingerprint = fingerprint(
        events[index].key, events[index].fingerprint, durable)
    }
    for index in letters.indices { apply(durable, letter: &letters[index]) }
  }

  private func apply(_ durable: [Key128: PersonKey], letter: inout IncomingEvent) {
    do throws(JSONError) {
      var read = try letter.payload.span.bytes.withUnsafeBytes { bytes throws(JSONError) in
        try DeadLetter(payload: bytes)
      }
      guard let refused = read.gate?.event, let body = rewritten(read.body, durable) else { return }
      let fingerprint = fingerprint(refused.key, refused.fingerprint, durable)
      read = DeadLetter(
        code: read.code, detail: read.detail, place: read.place, body: body,
        byteCount: read.bodyByteCount - read.body.count + body.count, gate: read.gate)
      read.gate?.event.fingerprint = fingerprint
      letter.payload = read.payload
    } catch {
      // It was written here, so it can be read. What cannot is not let through.
      letter.payload = SealedTexts.removed(from: letter.payload) ?? letter.payload
    }
  }

  private func rewritten(_ payload: [UInt8], _ durable: [Key128: PersonKey]) -> [UInt8]? {
    SealedTexts.rewrite(payload) { sealed in
      guard let made = keys[sealed.person], made.number == sealed.keyNumber else { return nil }
      let key = durable[sealed.person]
      if key?.number == made.number { return nil }
      let removed = Array(sealed.kind.rawValue.utf8)
      guard let key else { return removed }
      for event in events where event.person == sealed.person {
        do {
          let opened = try made.open(sealed, event.binding)
          return try key.seal(sealed.kind, opened, event.binding).text
        } catch {
          // It is of another event of this person.
          continue
        }
      }
      return removed
    }
  }

  private func fingerprint(
    _ event: Key128, _ fingerprint: UInt32, _ durable: [Key128: PersonKey]
  ) -> UInt32 {
    for claimed in events where claimed.key == event {
      guard let made = keys[claimed.person],
        made.fingerprint(claimed.fingerprint) == fingerprint
      else { continue }
      return durable[claimed.person]?.fingerprint(claimed.fingerprint) ?? 0
    }
    return fingerprint
  }
}
