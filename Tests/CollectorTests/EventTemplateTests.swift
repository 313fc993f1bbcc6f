@testable import Collector
import Events
import Testing

/// Events of a batch that are like earlier ones are compared instead of read; nobody may notice.
@Suite("Events like others of their batch")
struct EventTemplateTests {
  private static let long = String(repeating: "x", count: 300)

  /// What stands in the place of a text of an event: usual texts, and all that is none.
  private static let texts = [
    #""a1""#, #""a2""#, #""content-77""#, #""ada@example.org""#, #""+49 170 1234567""#, #""""#,
    #""é""#, #""a\u0041""#, #""{\"email\":\"ada@example.org\"}""#, #""eyJlbWFpbCI6ImFAYi5jZCJ9""#,
    "\"\(long)\"", "7", "true", "null", "[1]", #""$posthog_cookieless""#,
    #""2026-11-01T12:00:00Z""#,
    #""4111 1111 1111 1111""#, #""%40""#, #""0192f3d2-0000-7000-8000-000000000001""#,
    #""https://a.example/?utm_campaign=one&utm_content=two""#,
    #""https://a.example/\u003futm_campaign=three""#,
  ]

  private static let segment: [(name: String, value: String)] = [
    ("type", #""track""#), ("event", #""Content Clicked""#), ("messageId", #""m1""#),
    ("userId", #""u1""#), ("anonymousId", #""a9""#), ("timestamp", #""2026-11-01T12:00:00.5Z""#),
    ("originalTimestamp", #""2026-11-01T12:00:00.5Z""#), ("sentAt", "null"),
    (
      "context",
      #"{"library":{"name":"x","version":"1"},"ip":"","page":{"url":"https://a.example/1"},"campaign":{"name":"c0"}}"#
    ),
    (
      "properties",
      #"{"campaign_id":"c1","content_id":"p1","variant_id":"a","channel":"web","note":"n","revenue":"1","utm_content":"u","url":"https://a.example/2"}"#
    ),
  ]

  private static let postHog: [(name: String, value: String)] = [
    ("event", #""Content Clicked""#), ("uuid", #""m1""#), ("distinct_id", #""u1""#),
    ("timestamp", #""2026-11-01T12:00:00.5Z""#), ("offset", "null"), ("options", "{}"),
    (
      "properties",
      ##"{"$insert_id":"i","campaign_id":"c1","$device_id":"","$is_identified":true,"note":"n","data_base64":"eA==","$current_url":"https://a.example/3","utm_campaign":"v"}"##
    ),
  ]

  /// Members of members.
  private static let inner = [
    #""content_id":"p1""#, #""note":"n""#, #""version":"1""#, #""ip":"""#, ##""$insert_id":"i""##,
    ##""$device_id":"""##, #""data_base64":"eA==""#, #""url":"https://a.example/1""#,
    #""url":"https://a.example/2""#, #""name":"c0""#, #""utm_content":"u""#,
    ##""$current_url":"https://a.example/3""##, #""utm_campaign":"v""#,
  ]

  /// Batches of an event, itself again, and it with each member changed in each way, with and without.
  private static func batches(_ members: [(name: String, value: String)]) -> [[String]] {
    func event(_ members: [(name: String, value: String)], _ number: Int) -> String {
      let id = members.map { member in
        ["messageId", "uuid"].contains(member.name) && member.value == #""m1""#
          ? (name: member.name, value: "\"id-\(number)\"") : member
      }
      return "{" + id.map { "\"\($0.name)\":\($0.value)" }.joined(separator: ",") + "}"
    }
    var batches: [[String]] = []
    for left in -1..<members.count {
      var kept = members
      if left >= 0 { kept.remove(at: left) }
      var batch = [event(kept, 0), event(kept, 1)]
      for place in kept.indices {
        for text in texts {
          var changed = kept
          if changed[place].name == "properties" || changed[place].name == "context" {
            for member in inner where kept[place].value.contains(member) {
              let name = member.prefix { $0 != ":" }
              var inner = kept
              inner[place].value = kept[place].value.replacing(member, with: "\(name):\(text)")
              batch += [event(inner, batch.count), event(inner, batch.count + 1)]
            }
          } else {
            changed[place].value = text
            batch += [event(changed, batch.count), event(changed, batch.count + 1)]
          }
        }
      }
      // All at once, and a few at a time, so that templates are made of unusual events, too.
      batches.append(batch)
      for start in stride(from: 0, to: batch.count, by: 5) {
        batches.append(Array(batch[start..<min(batch.count, start + 7)]))
      }
    }
    return batches
  }

  /// What the collector stores of a batch.
  private func stored(
    _ path: String, _ events: [String], _ policy: KeyPolicy, isTold: Bool = true
  ) throws -> (events: [IncomingEvent], rejected: [Int]) {
    let reading =
      try path == "/v1/batch"
      ? read(
        path, body: Array(#"{"batch":[\#(events.joined(separator: ","))]}"#.utf8),
        authorization: basicDev)
      : read(
        path, body: Array(#"{"api_key":"dev","batch":[\#(events.joined(separator: ","))]}"#.utf8))
    let key = WriteKey(
      key: "dev", site: "default", policy: policy, pseudonyms: PrivacyGateTests.pseudonyms,
      mapping: CompiledMapping(standardMapping))
    let facts = RequestFacts(userAgent: "x/1", clientAddress: "198.51.100.7", header: { _ in nil })
    let gate = PrivacyGate()
    var stored = reading.events
    for index in stored.indices {
      facts.memory.likeness =
        isTold && !reading.reply.likeness.isEmpty ? reading.reply.likeness[index] : .none
      _ = try gate.admit(&stored[index], facts, key)
    }
    return (stored, reading.rejected.map(\.index))
  }

  @Test(
    "An event of a batch is stored as it is where it comes alone",
    arguments: ["/v1/batch", "/batch/"], [true, false])
  func alone(_ path: String, _ keeps: Bool) throws {
    var policy = KeyPolicy()
    if keeps { policy.personalData = .keep }
    var count = 0
    for batch in Self.batches(path == "/v1/batch" ? Self.segment : Self.postHog) {
      let (events, rejected) = try stored(path, batch, policy)
      var expected: [IncomingEvent] = []
      var refused: [Int] = []
      for (index, event) in batch.enumerated() {
        let alone = try stored(path, [event], policy)
        // Ids of events without one are made of their place.
        guard let one = alone.events.first else {
          refused.append(index)
          continue
        }
        expected.append(one)
      }
      #expect(rejected == refused)
      try #require(events.count == expected.count)
      for (event, other) in zip(events, expected) {
        var event = event
        if !String(decoding: event.payload, as: UTF8.self).contains("\"id-") {
          (event.id, event.key) = (other.id, other.key)
        }
        #expect(event == other)
      }
      count += events.count
    }
    #expect(count > 1000)
  }

  /// How batches of a path come.
  private static func request(
    _ path: String, _ events: [String]
  ) -> (body: [UInt8], authorization: String?) {
    let batch = events.joined(separator: ",")
    return path == "/v1/batch"
      ? (Array(#"{"sentAt":"2026-11-01T12:00:01Z","batch":[\#(batch)]}"#.utf8), basicDev)
      : (Array(#"{"batch":[\#(batch)],"api_key":"dev"}"#.utf8), nil)
  }

  /// The events of a batch behind the gates, as one frame; nil where none is left or a gate has to see them whole.
  ///
  /// - Parameters:
  ///   - asRows: without, each is made whole first.
  ///   - kept: of the batches before.
  private static func frame(
    _ path: String, _ events: [String], _ gates: GateRow, asRows: Bool,
    kept: KeptTemplates? = nil
  ) throws -> (bytes: [UInt8], rows: Int, known: Int)? {
    let (bytes, authorization) = request(path, events)
    let endpoint = try #require(ProtocolCatalog.all.flatMap(\.endpoints).first { $0.path == path })
    return bytes.withUnsafeBytes { body in
      var input = IngestInput(
        query: UnsafeRawBufferPointer(start: nil, count: 0), body: body,
        header: { $0 == "authorization" ? authorization : nil }, keys: testKeys,
        receivedAt: testNow, uniqueID: { "unique" })
      input.takesRows = asRows
      input.keptTemplates = kept
      guard case .events(let read, _, let key, let reply) = endpoint.read(input) else { return nil }
      let facts = RequestFacts(
        userAgent: "x/1", clientAddress: "198.51.100.7", header: { _ in nil })
      let batch: EventBatch
      var (rowCount, knownCount) = (0, 0)
      if asRows, let rows = reply.rows {
        rowCount = rows.list.count { !$0.isWhole }
        knownCount = rows.list.count { $0.isKnown }
        guard let passed = gates.pass(rows, read, facts, key) else { return nil }
        kept?.put(reply.templates, clean: facts.memory.cleanTemplates, of: key)
        batch = passed.batch(in: body)
      } else {
        var whole = read
        for index in whole.indices {
          facts.memory.likeness = reply.likeness.isEmpty ? .none : reply.likeness[index]
          guard case .passed = gates.pass(&whole[index], facts, key) else { return nil }
        }
        batch = EventBatch(whole)
      }
      gates.taken(batch)
      var encoder = FrameEncoder()
      var cursor = EventBatch.Cursor()
      let parameters = IngestParameters()
      var sums = 0
      for index in batch.indices {
        batch.append(index, to: &encoder, &cursor)
        // What lanes ask of an event goes into the comparison by the frame's header.
        sums += batch.size(index) + (batch.isOld(index, parameters) ? 1 : 0)
        sums += Int(batch.verdict(index) & 0xffff) + Int(batch.person(index).low & 0xff)
      }
      let header = FrameHeader(
        kind: .events, generation: 1, partition: 0,
        producer: Key128(low: UInt64(sums), high: UInt64(batch.unnamedCount)), epoch: 0,
        producerSequence: 1)
      return (encoder.seal(header), rowCount, knownCount)
    }
  }

  @Test(
    "A frame is the same byte for byte whether its events came to it as rows or whole",
    arguments: ["/v1/batch", "/batch/"])
  func rows(_ path: String) throws {
    var rules = BotGateTests.rules
    rules.patterns.append(BotRules.Pattern("x", .httpLibrary))
    // Some persons of a batch are too fast, so that verdicts within it differ.
    let gates = {
      GateRow(gates: [ConsentGate(), PrivacyGate(), BotGate(rules), SchemaGate(EventSchemas())])
    }
    var compared = 0
    var fast = 0
    let all = Self.batches(path == "/v1/batch" ? Self.segment : Self.postHog)
    for batch in all + [Self.usual(count: 40)] {
      guard let rows = try Self.frame(path, batch, gates(), asRows: true) else { continue }
      let whole = try #require(try Self.frame(path, batch, gates(), asRows: false))
      // Without the bytes, of which a failure would print hundreds of thousands.
      let isSame = rows.bytes == whole.bytes
      #expect(isSame, "\(batch.prefix(7))")
      compared += rows.rows
      fast += rows.bytes.withUnsafeBytes { bytes in
        (try? FrameView(bytes)).map { view in
          (0..<view.count).count { BotVerdict(encoded: view.bot($0)).reasons.contains(.rate) }
        } ?? 0
      }
    }
    #expect(compared > 150)
    #expect(fast > 30)
  }

  @Test("A frame is the same byte for byte whatever the requests before it looked like")
  func kept() throws {
    let gates = {
      GateRow(gates: [
        ConsentGate(), PrivacyGate(), BotGate(BotGateTests.rules), SchemaGate(EventSchemas()),
      ])
    }
    let kept = KeptTemplates()
    var known = 0
    let usual = Self.usual(count: 5)
    let all = Self.batches(Self.segment).enumerated().flatMap { number, batch in
      number % 10 == 0 ? [batch, usual, usual] : [batch]
    }
    for batch in all {
      guard let rows = try Self.frame("/v1/batch", batch, gates(), asRows: true, kept: kept) else {
        continue
      }
      let whole = try #require(try Self.frame("/v1/batch", batch, gates(), asRows: false))
      // Without the bytes, of which a failure would print hundreds of thousands.
      let isSame = rows.bytes == whole.bytes
      #expect(isSame, "\(batch.prefix(7))")
      known += rows.known
    }
    #expect(known > 20)
  }

  @Test("The first event of a later request is compared, and keeps nothing of an earlier one's")
  func keptOfUsual() throws {
    let kept = KeptTemplates()
    let key = try #require(testKeys.find("dev"))
    #expect(kept.take(key).isEmpty)
    let gates = GateRow(gates: [PrivacyGate()])
    for round in 0..<2 {
      _ = try Self.frame("/v1/batch", Self.usual(count: 5), gates, asRows: true, kept: kept)
      let templates = kept.take(key)
      #expect(templates.map(\.isClean) == [true])
      #expect(templates.allSatisfy { $0.text.contains("content_id") })
      #expect(templates.allSatisfy { !$0.text.contains("804531") && !$0.text.contains("u0") })
      if round == 0 { kept.put(templates, clean: 0, of: key) }
    }
    #expect(kept.take(key).isEmpty)
  }

  @Test("An address that is cut already says nothing of those in later events")
  func cutAddress() throws {
    let events = ["198.51.100.0", "198.51.100.7", "198.51.100.0"].enumerated().map {
      Self.usual(count: 3)[$0].replacing(
        #""context":{"#, with: #""context":{"ip":"\#($1)","#)
    }
    let batch = try stored("/v1/batch", events, KeyPolicy()).events
    #expect(batch == (try events.flatMap { try stored("/v1/batch", [$0], KeyPolicy()).events }))
    #expect(batch.allSatisfy { !String(decoding: $0.payload, as: UTF8.self).contains("100.7") })
  }

  /// Events as programs send them, of both protocols.
  private static func usual(count: Int) -> [String] {
    (0..<count).map { number in
      #"{"type":"track","event":"Content Clicked","messageId":"1795424400-804531-\#(number)","#
        + #""uuid":"0192f3d2-0000-7000-8000-0000000000\#(number + 10)","#
        + #""userId":"u\#(number % 3)","distinct_id":"u\#(number % 3)","#
        + #""timestamp":"2026-11-01T12:0\#(number % 7):00Z","context":{"library":{"name":"x"}},"#
        + #""properties":{"campaign_id":"c\#(number % 3)","content_id":"p\#(number % 7)"}}"#
    }
  }

  @Test("Most of a usual batch is compared, and nothing of it is looked through again")
  func usual() throws {
    let events = (0..<20).map { number in
      #"{"type":"track","event":"Content Clicked","messageId":"1795424400-804531-\#(number)","#
        + #""userId":"u\#(number)","timestamp":"2026-11-01T12:00:00Z","context":{"library":{"name":"x"}},"#
        + #""properties":{"campaign_id":"c\#(number % 3)","content_id":"p\#(number % 7)"}}"#
    }
    let reading = try read(
      "/v1/batch", body: Array(#"{"batch":[\#(events.joined(separator: ","))]}"#.utf8),
      authorization: basicDev)
    let again = reading.reply.likeness.filter { if case .again(0) = $0 { true } else { false } }
    #expect(again.count == 19)
    #expect(reading.events.map(\.payload) == events.map { Array($0.utf8) })
    #expect(try dimensions(reading.events[8]).content == "p1")
  }

  @Test(
    "Of two members for one purpose the one counts that counts in a single event, also where both are the same at first",
    arguments: [
      #""properties":{"campaign_id":42,"experiment_id":"TEXT"}"#,
      #""properties":{"experiment_id":"TEXT","campaign_id":"4\u0032"}"#,
      #""timestamp":"2026-11-01T12:00:00Z","timestamp":1793534400000,"note":"TEXT""#,
      #""userId":"TEXT","userId":42"#, #""anonymousId":42,"userId":"TEXT""#,
    ])
  func twoForOne(_ members: String) throws {
    let events = ["42", "43", "44"].map { text in
      let own = members.replacing("TEXT", with: text).replacing(
        "12:00:00", with: text == "42" ? "12:00:00" : "13:00:00")
      return
        #"{"type":"track","event":"Content Clicked","messageId":"id-\#(text)","userId":"u1",\#(own)}"#
    }
    let batch = try stored("/v1/batch", events, KeyPolicy()).events
    #expect(batch == (try events.flatMap { try stored("/v1/batch", [$0], KeyPolicy()).events }))
    #expect(batch.count == 3)
  }

  @Test("A text is taken for a gap's only where it is plain")
  func gaps() throws {
    func match(_ template: String, _ text: String) throws -> [String]? {
      try Array(template.utf8).withUnsafeBytes { pattern in
        let template = try JSONTemplate(pattern) { names, _ in names.last.map { $0 == "a" } ?? false
        }
        return Array(text.utf8).withUnsafeBytes { bytes in
          var json = JSONScanner(bytes)
          var texts = [UnsafeRawBufferPointer](
            repeating: UnsafeRawBufferPointer(start: nil, count: 0), count: template.gapCount)
          guard template.match(&json, &texts) != nil else { return nil }
          return texts.map { String(decoding: $0, as: UTF8.self) }
        }
      }
    }
    let template = #"{"a":"x","b":[1,{"a":"y"}]}"#
    #expect(try match(template, template) == ["x", "y"])
    #expect(
      try match(template, #" {"a":"longer than before","b":[1,{"a":"z"}]},"#) == [
        "longer than before", "z",
      ])
    for other in [
      #"{"a":"","b":[1,{"a":"y"}]}"#, #"{"a":"é","b":[1,{"a":"y"}]}"#,
      #"{"a":"\n","b":[1,{"a":"y"}]}"#,
      #"{"a":"x","b":[2,{"a":"y"}]}"#, #"{"a":"x","b":[1,{"a":"y"}]"#, #"{"a":"x"#, #"{"a""#, "",
      "{",
      #"{"a":"x" ,"b":[1,{"a":"y"}]}"#, #"{"a":"x","b":[1,{"a":"y","c":1}]}"#,
      "{\"a\":\"x\u{1}\",\"b\":[1,{\"a\":\"y\"}]}",
    ] {
      #expect(try match(template, other) == nil, "\(other)")
    }
  }
}
