import Collector
import Events
import Metrics
import Testing

@Suite("Schemas of events at the edge")
struct SchemaGateTests {
  /// Two versions of an order: `amount` became `revenue`, and a currency is asked for.
  static let schemas = EventSchemas([
    schema(
      #"{"x-event":"Order Completed","x-version":1,"required":["amount"],"properties":{"amount":{"type":"number"}}}"#
    ),
    schema(
      #"""
      {"x-event":"Order Completed","x-version":2,"required":["revenue","currency"],
      "properties":{"revenue":{"type":"number","minimum":0},"currency":{"type":"string"}},
      "x-upcast":[{"op":"rename","path":"/amount","to":"revenue"},
      {"op":"default","path":"/currency","value":"EUR"}]}
      """#),
    schema(#"{"x-event":"view","properties":{"url":{"format":"uri"}}}"#),
  ])

  static func schema(_ text: String) -> EventSchema {
    let (schema, problems) = EventSchema.read(Array(text.utf8), named: "test")
    guard let schema else { preconditionFailure("\(problems)") }
    return schema
  }

  private let gate = SchemaGate(schemas)
  private let key = WriteKey(
    key: "dev", site: "default", mapping: CompiledMapping(standardMapping))
  private let facts = RequestFacts(userAgent: "", clientAddress: "", header: { _ in nil })

  private func track(_ properties: String, _ more: String = "") -> String {
    #"{"type":"track","event":"Order Completed","userId":"u","messageId":"m"\#(more),"properties":\#(properties)}"#
  }

  private func event(_ text: String) throws -> IncomingEvent {
    try #require(
      try read(
        "POST /v1/batch", body: Array("{\"batch\":[\(text)]}".utf8), authorization: basicDev
      ).events.first)
  }

  /// - Returns: nil where the event passes.
  private func refused(_ event: inout IncomingEvent) -> Refusal? {
    do throws(Refusal) {
      _ = try gate.admit(&event, facts, key)
      return nil
    } catch {
      return error
    }
  }

  @Test(
    "What does not fit is refused with its path, what was expected and the fix",
    arguments: [
      (#"{"revenue":"7","currency":"EUR"}"#, "$.properties.revenue", "a number"),
      (#"{"revenue":-1,"currency":"EUR"}"#, "$.properties.revenue", "a number of at least 0"),
      (#"{"revenue":1}"#, "$.properties.currency", "a value: it is required"),
      (#"{"schema_version":1,"revenue":1}"#, "$.properties.amount", "a value: it is required"),
      (#"{"schema_version":7}"#, "$.properties.schema_version", "one of 1, 2"),
      (
        #"{"amount":-1}"#, "$.properties.revenue",
        "a number of at least 0 (after x-upcast to version 2)"
      ),
    ])
  func violations(properties: String, path: String, expected: String) throws {
    var event = try event(track(properties))
    let before = event
    let refusal = try #require(refused(&event), "\(properties) passed")
    #expect(refusal.code == .schemaViolation)
    #expect(refusal.violation?.path == path)
    #expect(refusal.violation?.expected == expected)
    #expect(refusal.detail.hasPrefix("\(path): expected \(expected); to fix it, "))
    #expect(event == before)
  }

  @Test("An older version becomes the newest, and its money counts")
  func upcast() throws {
    for more in [
      (#"{"amount":9.5}"#, ""), (#"{"amount":9.5}"#, #","schema_version":"1""#),
      (#"{"schema_version":1,"amount":9.5}"#, ""),
      (#"{"amount":9.5}"#, #","context":{"schema_version":1}"#),
    ] {
      var event = try event(track(more.0, more.1))
      #expect(event.revenueMicros == 0)
      #expect(try gate.admit(&event, facts, key) == .pass)
      #expect(event.revenueMicros == 9_500_000)
      #expect(try dimensions(event).currency == "EUR")
      let properties = try JSONTree(event.payload)["properties"]
      #expect(
        properties
          == (try JSONTree(Array(#"{"revenue":9.5,"currency":"EUR","schema_version":2}"#.utf8))))
    }
  }

  @Test("The newest version passes as it came, and so does what no schema is about")
  func untouched() throws {
    for text in [
      track(#"{"revenue":1,"currency":"USD","other":[1]}"#),
      #"{"type":"track","event":"Other","userId":"u","messageId":"m","properties":{"amount":"x"}}"#,
      #"{"type":"page","userId":"u","messageId":"m","properties":{"url":"https://a.example/"}}"#,
    ] {
      var event = try event(text)
      let before = event
      #expect(try gate.admit(&event, facts, key) == .pass)
      #expect(event == before)
    }
  }

  @Test("Each protocol has its properties where its events have them")
  func places() throws {
    let bad = [
      try read(
        "POST /batch",
        body: Array(
          #"{"api_key":"dev","event":"Order Completed","distinct_id":"u","properties":{"amount":"1"}}"#
            .utf8)),
      try read(
        "POST /mp/collect", query: "measurement_id=dev",
        body: Array(
          #"{"client_id":"c","events":[{"name":"Order Completed","params":{"amount":"1"}}]}"#.utf8)),
    ]
    let paths = ["$.properties.revenue", "$.events[0].params.revenue"]
    for (reading, path) in zip(bad, paths) {
      var event = try #require(reading.events.first)
      #expect(refused(&event)?.violation?.path == path)
    }
    // The fields of a pixel are the protocol's own.
    var pixel = try #require(try read("/p.gif", query: "k=dev&t=view&url=x").events.first)
    #expect(try gate.admit(&pixel, facts, key) == .pass)
  }

  @Test("What a gate refused goes on from that gate when its letter is read again")
  func readAgain() throws {
    let event = try event(track(#"{"amount":"9.5"}"#))
    var copy = event
    let violation = try #require(refused(&copy))
    let letter = DeadLetter(
      code: "schema_violation", detail: violation.detail,
      place: "segment /v1/track event", body: event.payload,
      gate: GateRefusal(gate: "schema", event: event))
    let stored = try letter.payload.withUnsafeBytes { try DeadLetter(payload: $0) }
    #expect(stored == letter)
    func again(_ gates: [any EventGate]) -> DeadLetterReading.Outcome {
      DeadLetterReading(mapping: CompiledMapping(standardMapping), gates: gates).read(
        stored, site: "default", source: "segment/dev", receivedAt: testNow, uniqueID: "again")
    }
    guard case .refused(let rejection) = again([gate]) else {
      Issue.record("\(again([gate]))")
      return
    }
    #expect(rejection.code == .schemaViolation && rejection.detail == letter.detail)
    // The schema is mended: the very event is stored.
    let mended = SchemaGate(EventSchemas([Self.schema(#"{"x-event":"Order Completed"}"#)]))
    guard case .accepted(let events) = again([mended]) else {
      Issue.record("\(again([mended]))")
      return
    }
    #expect(events == [event])
    guard case .unreadable = again([]) else {
      Issue.record("a gate that is gone has passed nothing")
      return
    }
  }

  @Test("Over HTTP a violation is named at its place in the batch and kept as a dead letter")
  func overHTTP() async throws {
    let publisher = ScriptedPublisher.storing
    let body =
      #"{"batch":[7,{"type":"page","userId":"u","messageId":"p"},"#
      + track(#"{"revenue":1}"#) + "]}"
    try await RunningCollector.run(
      clock: .system, publisher: publisher,
      routes: { pipeline, registry, routes in
        IngestRoutes(
          keys: testKeys, gates: [gate], pipeline: pipeline, producer: RunningCollector.producer,
          metrics: registry
        ).add(to: &routes)
      }
    ) { port, registry in
      let answer = try await RawRequest.send(
        "POST", "/v1/batch", headers: "Authorization: \(basicDev)\r\n", body: Array(body.utf8),
        port: port)
      #expect(answer.status == 200)
      #expect(answer.body.contains(#"{"index":2,"code":"schema_violation""#), "\(answer.body)")
      let id = try #require(testKeys.find("dev")?.id)
      #expect(
        registry.counter(CollectorMetrics.rejected).with("segment", id, "schema_violation").value
          == 1)
    }
  }
}
