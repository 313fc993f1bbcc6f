import Events
import HTTPServer
import Metrics
import Ports
import Testing

@testable import Collector

/// Events of a write key that encrypts, from the request to the log.
@Suite("Personal data that is encrypted")
struct SealedRunTests {
  private static let mail = "ada.l@mail.example.org"
  private static let auth = "Authorization: \(basicDev)\r\n"
  private static let user = EventIdentity.personKey(site: "default", id: "ada")

  private static let keys = WriteKeyTable([
    WriteKey(
      key: "dev", site: "default", policy: KeyPolicy(personalData: .encrypt),
      mapping: CompiledMapping(standardMapping))
  ])

  private static func schemas() throws -> EventSchemas {
    let schema =
      #"{"x-event":"Order Completed","properties":{"order_id":{"type":"string"},"who":{"x-personal":true}}}"#
    let (read, problems) = EventSchema.read(Array(schema.utf8), named: "order")
    return EventSchemas([try #require(read, "\(problems)")])
  }

  private struct Run {
    let port: Int
    let publisher: ScriptedPublisher
    let store: MemoryPersonKeys
    let metrics: MetricRegistry

    func post(_ path: String, _ body: String) async throws -> RawRequest.Answer {
      try await RawRequest.send(
        "POST", path, headers: SealedRunTests.auth, body: Array(body.utf8), port: port)
    }

    /// All that is in frames of the log or of dead letters.
    func events(_ stream: String? = nil) throws -> [IncomingEvent] {
      try publisher.frames.flatMap { frame in
        guard (frame.stream == "dead-letters") == (stream == "dead-letters") else {
          return [IncomingEvent]()
        }
        return try frame.frame.withUnsafeBytes { bytes in
          let view = try FrameView(bytes)
          return (0..<view.count).map { IncomingEvent(view, event: $0) }
        }
      }
    }

    func opened(_ event: IncomingEvent) throws -> [String: String] {
      var values: [String: String] = [:]
      for text in SealedTexts.find(in: event.payload) {
        let stored = try #require(try store.key(of: text.person))
        let opened = try PersonKeyTests.wrapping.open(stored)
          .open(text, PersonKey.Binding(site: "default", event: event.key))
        values[opened.place] = String(decoding: opened.value, as: UTF8.self)
      }
      return values
    }
  }

  private func withCollector(
    spool: Spool? = nil, publisher: ScriptedPublisher = .storing,
    _ body: (Run) async throws -> Void
  ) async throws {
    let store = MemoryPersonKeys()
    let registry = MetricRegistry()
    let vault = PersonKeyTests.vault(store, registry: registry)
    vault.start()
    await eventually { store.newsAreHeard }
    let schemas = try Self.schemas()
    try await RunningCollector.run(
      clock: .system, publisher: publisher, spool: spool,
      routes: { pipeline, metrics, routes in
        IngestRoutes(
          keys: Self.keys,
          gates: [PrivacyGate(schemas: schemas, personKeys: vault), SchemaGate(schemas)],
          personKeys: vault, pipeline: pipeline, producer: RunningCollector.producer,
          metrics: metrics
        ).add(to: &routes)
      }
    ) { port, _ in
      try await body(Run(port: port, publisher: publisher, store: store, metrics: registry))
    }
    await vault.stop()
  }

  private func track(_ properties: String, _ id: String = "m1", user: String = "ada") -> String {
    #"{"type":"track","event":"Order Completed","messageId":"\#(id)","userId":"\#(user)","#
      + #""anonymousId":"device-1","properties":{\#(properties)}}"#
  }

  @Test("Each value is read again, with its place; the rest is as it was")
  func values() async throws {
    let inner = #"{\"to\":\"\#(Self.mail)\"}"#
    let encoded = Base64.encode(Array(#"{"phone":"+49 170 7654321"}"#.utf8))
    try await withCollector { run in
      let answer = try await run.post(
        "/v1/track",
        track(
          #""email":"\#(Self.mail)","note":"ask \#(Self.mail) or +49 170 7654321","who":{"n":[1,true]},"#
            + #""inner":"\#(inner)","px":"\#(encoded)","card":4012888888881881,"plan":"pro","#
            + #""campaign_id":"\#(Self.mail)""#))
      #expect(answer.status == 200)
      let event = try #require(try run.events().first)
      let opened = try run.opened(event)
      #expect(opened["/properties/email"] == "\"\(Self.mail)\"")
      #expect(opened["/properties/inner/to"] == Self.mail)
      #expect(opened["/properties/px/phone"] == "\"+49 170 7654321\"")
      #expect(opened["/properties/card"] == "4012888888881881")
      #expect(opened["/properties/campaign_id"] == Self.mail)
      #expect(opened["/properties/who"] == #"{"n":[1,true]}"#)
      let payload = String(decoding: event.payload, as: UTF8.self)
      #expect(payload.contains(#""plan":"pro""#) && payload.contains(#""note":"ask [mail:v1."#))
      for secret in [Self.mail, "7654321", "4012888888881881", encoded] {
        #expect(!payload.contains(secret))
      }
      let tuple = try #require(event.dimensions.withUnsafeBytes { DimensionTuple(encoded: $0) })
      #expect(tuple.campaign == "[mail]")
      #expect(Array(run.store.stored.keys) == [Self.user])
    }
  }

  @Test("An event that is sent twice is a natural copy, and one with another value is not")
  func copies() async throws {
    try await withCollector { run in
      for mail in [Self.mail, Self.mail, "eve@example.org"] {
        #expect(try await run.post("/v1/track", track(#""email":"\#(mail)""#)).status == 200)
      }
      let events = try run.events()
      #expect(events.count == 3 && Set(events.map(\.payload)).count == 3)
      #expect(events[0].fingerprint == events[1].fingerprint)
      #expect(events[0].fingerprint != events[2].fingerprint)
      let payload = track(#""email":"\#(Self.mail)""#)
      let plain = Array(payload.utf8).withUnsafeBytes {
        EventIdentity.fingerprint($0, without: nil)
      }
      #expect(events[0].fingerprint != plain, "nobody can check a guess by it")
    }
  }

  @Test("A dead letter keeps the encrypted event, and has the same id for each copy")
  func letters() async throws {
    try await withCollector { run in
      for _ in 0..<2 {
        let answer = try await run.post(
          "/v1/track", track(#""order_id":7,"email":"\#(Self.mail)""#))
        #expect(answer.status == 400)
      }
      let letters = try run.events("dead-letters")
      #expect(letters.count == 2 && Set(letters.map(\.id)).count == 1)
      for letter in letters {
        let read = try letter.payload.withUnsafeBytes { try DeadLetter(payload: $0) }
        var event = try #require(read.gate?.event)
        event.payload = read.body
        #expect(try run.opened(event) == ["/properties/email": "\"\(Self.mail)\""])
        let reading = DeadLetterReading(
          mapping: CompiledMapping(standardMapping), gates: [SchemaGate(EventSchemas())])
        let outcome = reading.read(
          read, site: "default", source: "segment/dev", receivedAt: testNow, uniqueID: "x")
        guard case .accepted(let again) = outcome, let first = again.first else {
          Issue.record("\(outcome)")
          continue
        }
        #expect(first.fingerprint == event.fingerprint)
        #expect(try run.opened(first) == ["/properties/email": "\"\(Self.mail)\""])
      }
    }
  }

  @Test("What a device does is its own until its user is known")
  func devices() async throws {
    try await withCollector { run in
      let anonymous =
        #"{"type":"track","event":"x","anonymousId":"device-1","properties":{"email":"\#(Self.mail)"}}"#
      let known = ["ada", "bob"].map { track(#""email":"\#(Self.mail)""#, $0, user: $0) }
      for body in [anonymous] + known {
        let answer = try await run.post("/v1/track", body)
        #expect(answer.status == 200)
      }
      let persons = ["device-1", "ada", "bob"].map {
        EventIdentity.personKey(site: "default", id: $0)
      }
      #expect(Set(run.store.stored.keys) == Set(persons))
    }
  }

  @Test("Of an event that names nobody what is personal is removed: nobody could erase it")
  func nobody() async throws {
    try await withCollector { run in
      let mail = Self.mail.replacing("@", with: "%40")
      let answer = try await RawRequest.send(
        "GET", "/p.gif?k=dev&t=view&cid=spring&note=\(mail)&eid=e7", port: run.port)
      #expect(answer.status == 200)
      let event = try #require(try run.events().first)
      let payload = String(decoding: event.payload, as: UTF8.self)
      #expect(payload.contains("[mail]") && run.store.stored.isEmpty, "\(payload)")
    }
  }

  @Test("A batch of several persons waits for all their keys, and nothing personal needs none")
  func batch() async throws {
    try await withCollector { run in
      let events = (0..<30).map {
        track(#""email":"u\#($0 % 10)@example.org""#, "m\($0)", user: "u\($0 % 10)")
      }
      let plain = (0..<5).map { track(#""plan":"pro""#, "p\($0)", user: "nobody") }
      let body = #"{"batch":[\#((events + plain).joined(separator: ","))]}"#
      #expect(try await run.post("/v1/batch", body).status == 200)
      let stored = try run.events()
      #expect(stored.count == 35 && run.store.stored.count == 10)
      for event in stored where event.id.hasPrefix("m") {
        let number = try #require(Int(event.id.dropFirst()))
        #expect(
          try run.opened(event) == ["/properties/email": "\"u\(number % 10)@example.org\""])
      }
    }
  }

  @Test("Where the person has another key already, event and dead letter are encrypted with that")
  func settledLater() throws {
    let store = MemoryPersonKeys()
    let vault = PersonKeyTests.vault(store)
    let schemas = try Self.schemas()
    let gates = GateRow(gates: [
      PrivacyGate(schemas: schemas, personKeys: vault), SchemaGate(schemas),
    ])
    let key = try #require(Self.keys.find("dev"))
    var facts = RequestFacts(userAgent: "", clientAddress: "", header: { _ in nil })
    let claims = SealClaims()
    facts.claims = claims
    var events: [IncomingEvent] = []
    var letters: [IncomingEvent] = []
    for (id, properties) in [
      ("e1", #""email":"\#(Self.mail)""#), ("e2", #""note":"ask \#(Self.mail)""#),
      ("e3", #""email":"\#(Self.mail)","order_id":1"#),
    ] {
      var event = IncomingEvent(
        kind: .conversion,
        key: EventIdentity.dedupeKey(site: "default", source: "dev", eventID: id),
        person: Self.user, eventTime: testNow, receivedAt: testNow,
        dimensions: DimensionTuple(site: "default").encoded, id: id, name: "Order Completed",
        source: "segment/dev", payload: Array(track(properties, id).utf8), fingerprint: 99)
      switch gates.pass(&event, facts, key) {
      case .passed: events.append(event)
      case .refused(let refusal, let gate):
        letters.append(
          Rejection(refusal, index: 0, path: "/v1/track", event: event, gate: gate).event(
            protocolName: "segment", site: "default", source: "dev", receivedAt: testNow))
      case .dropped: Issue.record("\(id) went another way")
      }
    }
    #expect(events.count == 2 && letters.count == 1)
    let ids = letters.map(\.id)
    let other = try PersonKeyTests.wrapping.make(for: Self.user)
    store.put(StoredPersonKey(person: Self.user, bytes: other.stored))
    let unsettled = try #require(claims.unsettled)
    var (rekeyed, rekeyedLetters) = (events, letters)
    unsettled.apply([Self.user: other], to: &rekeyed, letters: &rekeyedLetters)
    let run = Run(port: 0, publisher: .storing, store: store, metrics: MetricRegistry())
    #expect(try run.opened(rekeyed[0]) == ["/properties/email": "\"\(Self.mail)\""])
    #expect(try run.opened(rekeyed[1]) == ["/properties/note": Self.mail])
    #expect(rekeyed.map(\.fingerprint) == [other.fingerprint(99), other.fingerprint(99)])
    #expect(rekeyedLetters.map(\.id) == ids)
    let letter = try rekeyedLetters[0].payload.withUnsafeBytes { try DeadLetter(payload: $0) }
    var refused = try #require(letter.gate?.event)
    #expect(refused.fingerprint == other.fingerprint(99))
    refused.payload = letter.body
    #expect(try run.opened(refused) == ["/properties/email": "\"\(Self.mail)\""])
    // And where there is none, nothing is left of it.
    unsettled.apply([:], to: &events, letters: &letters)
    for bytes in events.map(\.payload) + letters.map(\.payload) {
      let text = String(decoding: bytes, as: UTF8.self)
      #expect(SealedTexts.find(in: bytes).isEmpty && text.contains("[mail]"), "\(text)")
    }
    #expect(events.allSatisfy { $0.fingerprint == 0 })
  }

  @Test("Without keys a request gets 503; where a spool keeps events, what is personal is removed")
  func away() async throws {
    try await withCollector { run in
      run.store.fail(.unavailable("no server"))
      let answer = try await run.post("/v1/track", track(#""email":"\#(Self.mail)""#))
      #expect(answer.status == 503 && answer.body.contains("person_keys_unavailable"))
      #expect(answer.head.contains("retry-after"))
      #expect(try run.events().isEmpty)
      #expect(try await run.post("/v1/track", track(#""plan":"pro""#)).status == 200)
      run.store.fail(nil)
      var status = 0
      let deadline = ContinuousClock.now + .seconds(10)
      while status != 200, ContinuousClock.now < deadline {
        status = try await run.post("/v1/track", track(#""email":"\#(Self.mail)""#)).status
      }
      #expect(status == 200)
    }
    try await withFolder { folder in
      let publisher = ScriptedPublisher { _, _ in .unavailable("no server") }
      try await withCollector(spool: try openSpool(folder), publisher: publisher) { run in
        run.store.fail(.unavailable("no server"))
        let answer = try await run.post("/v1/track", track(#""email":"\#(Self.mail)""#))
        #expect(answer.status == 200)
        let events = try run.events()
        let payload = String(decoding: try #require(events.first).payload, as: UTF8.self)
        #expect(payload.contains(#""email":"[mail]""#))
        let metrics = String(
          decoding: run.metrics.exposition(.prometheusText), as: UTF8.self)
        #expect(metrics.contains("smartcontent_personal_values_total{outcome=\"removed\"} 1"))
      }
    }
  }

  @Test("Validation says what would be encrypted, and makes no key")
  func validation() async throws {
    try await withCollector { run in
      let answer = try await run.post(
        "/v1/validate?path=/v1/track", track(#""email":"\#(Self.mail)""#))
      #expect(answer.status == 200)
      #expect(
        answer.body.contains(#"{"path":"payload.properties.email","change":"encrypted"}"#))
      #expect(!answer.body.contains(Self.mail))
      #expect(run.store.calls.isEmpty && run.store.stored.isEmpty)
    }
  }

  @Test("Without the secret a key that asks to encrypt is not accepted")
  func noSecret() {
    let stored = StoredKey(
      id: "key-1", hash: KeyValue.hash("secret"), site: "shop", source: "web",
      policy: KeyPolicy(personalData: .encrypt), createdAt: 0)
    let ring = KeyRing([], mapping: CompiledMapping(standardMapping))
    #expect(ring.take([stored]) == ["key-1"] && ring.current.find("secret") == nil)
    let other = KeyRing([], mapping: CompiledMapping(standardMapping), encrypts: true)
    #expect(other.take([stored]).isEmpty && other.current.find("secret") != nil)
  }
}
