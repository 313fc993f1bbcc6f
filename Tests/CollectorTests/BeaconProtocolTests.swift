import Collector
import Events
import Testing

@Suite("Beacon protocol")
struct BeaconProtocolTests {
  private func beacon(_ body: String, query: String = "") throws -> Reading {
    try read(
      "/v1/e", query: query, body: Array(body.utf8),
      headers: ["content-type": "text/plain;charset=UTF-8"])
  }

  @Test("A beacon's fields are the pixel's")
  func likePixel() throws {
    let reading = try beacon(
      #"{"k":"dev","s":1767225601000,"e":[{"t":"conversion","n":"Bought","cid":"spring","#
        + #""cnt":"c-42","var":"b","ch":"mail","uid":"u1","aid":"a1","eid":"e1","#
        + #""ts":1767225600123,"v":9.99,"cur":"eur","x":{"kept":[true]}}]}"#)
    let event = try #require(reading.events.first)
    let pixel = try #require(
      try read(
        "/p.gif",
        query: "k=dev&t=conversion&n=Bought&cid=spring&cnt=c-42&var=b&ch=mail&uid=u1&aid=a1&eid=e1"
          + "&ts=1767225600123&v=9.99&cur=eur"
      ).events.first)
    #expect(event.key == pixel.key)
    #expect(event.person == pixel.person && event.user == pixel.user)
    #expect(event.kind == pixel.kind && event.name == pixel.name)
    #expect(event.name == "Bought")
    #expect(event.eventTime == pixel.eventTime)
    #expect(event.dimensions == pixel.dimensions)
    #expect(event.revenueMicros == pixel.revenueMicros)
    #expect(event.source == "beacon/dev")
    #expect(event.sentAt == 1_767_225_601_000_000)
    #expect(
      text(event.payload)
        == #"{"t":"conversion","n":"Bought","cid":"spring","cnt":"c-42","var":"b","ch":"mail","#
        + #""uid":"u1","aid":"a1","eid":"e1","ts":1767225600123,"v":9.99,"cur":"eur","#
        + #""x":{"kept":[true]}}"#)
  }

  @Test("The key and the time of sending may come last, or the key outside of the body")
  func order() throws {
    let last = try beacon(#"{"e":[{"aid":"a","eid":"1"}],"s":1767225601000,"k":"dev"}"#)
    #expect(last.events.first?.sentAt == 1_767_225_601_000_000)
    let events = #"{"e":[{"aid":"a","eid":"1"}]}"#
    #expect(try beacon(events, query: "k=dev").events.map(\.key) == last.events.map(\.key))
    #expect(try beacon(events).isUnknownKey)
    #expect(try beacon(#"{"k":"nope","e":[]}"#).isUnknownKey)
    #expect(try beacon(#"{"k":7,"e":[]}"#).isUnknownKey)
    #expect(try beacon("[").problem == "malformed_json")
  }

  @Test("An event without id and time is one of its own; with a time its copies are known")
  func ids() throws {
    func keys(_ body: String) throws -> [Key128] { try beacon(body).events.map(\.key) }
    let own = try beacon(#"{"k":"dev","e":[{"t":"click"},{"t":"click"}]}"#)
    #expect(own.events.map(\.id) == ["unique-1", "unique-2"])
    let timed = #"{"t":"click","aid":"a","ts":1767225600123}"#
    let first = try keys(#"{"k":"dev","s":1767225601000,"e":[\#(timed),\#(timed)]}"#)
    let again = try keys(#"{"k":"dev","s":1767225609000,"e":[\#(timed), \#(timed)]}"#)
    #expect(first == again)
    #expect(Set(first).count == 2)
  }

  @Test("Where the key is in the query, the body may be an event or an array of them")
  func bare() throws {
    let one = #"{"t":"click","aid":"a","eid":"1","n":"Bought"}"#
    let whole = try beacon(#"{"k":"dev","batch":[\#(one)]}"#)
    for body in [one, "[\(one)]", " [\(one)] "] {
      let reading = try beacon(body, query: "k=dev")
      #expect(reading.events.map(\.key) == whole.events.map(\.key), "\(body)")
      #expect(reading.events.map(\.payload) == [Array(one.utf8)])
      #expect(try beacon(body).isUnknownKey)
    }
    #expect(try beacon("[]", query: "k=dev").events.isEmpty)
    let refused = try beacon(#"[{"t":"open"},7]"#, query: "k=dev")
    #expect(refused.rejected.map(\.code) == [.unknownKind, .notAnObject])
    #expect(try beacon(#"{"t":"open"}"#, query: "k=dev").rejected.map(\.code) == [.unknownKind])
    for body in [#"{"s":1767225601000}"#, #"{"events":[]}"#, "{}"] {
      #expect(try beacon(body, query: "k=dev").refused?.code == .malformedJSON, "\(body)")
    }
  }

  @Test("Refused events are named and kept; the others are stored")
  func rejected() throws {
    let reading = try beacon(
      #"{"k":"dev","e":[{"eid":"1"},{"t":"open"},7,{"ts":"x"},{"cid":[]},{"eid":"2"},"#
        + #"{"x":"\#(String(repeating: "x", count: 32_768))"}]}"#)
    #expect(reading.events.map(\.id) == ["1", "2"])
    #expect(
      reading.rejected.map(\.code)
        == [.unknownKind, .notAnObject, .badTimestamp, .wrongFieldType, .eventTooLarge])
    #expect(reading.rejected.map(\.index) == [1, 2, 3, 4, 6])
    #expect(reading.rejected[0].place == "/v1/e batch[1]")
    #expect(text(reading.rejected[0].body) == #"{"t":"open"}"#)
  }

  @Test("A refused event has the same identity when it is sent again by hand")
  func again() throws {
    let timed = #"{"t":"click","aid":"a","ts":1767225600123}"#
    let accepted = try beacon(#"{"k":"dev","e":[{"eid":"0"},\#(timed)]}"#)
    let letter = DeadLetter(
      code: "x", detail: "", place: "beacon /v1/e batch[1]", body: Array(timed.utf8))
    let outcome = DeadLetterReading(mapping: CompiledMapping(standardMapping)).read(
      letter, site: "default", source: "beacon/dev", receivedAt: testNow, uniqueID: "x")
    guard case .accepted(let events) = outcome else {
      Issue.record("it is accepted: \(outcome)")
      return
    }
    #expect(events.count == 1)
    #expect(events.first?.payload == accepted.events[1].payload)
  }

  @Test(
    "A body that holds no events is refused whole",
    arguments: [
      (#"{"k":"dev"}"#, .malformedJSON), (#"{"k":"dev","e":{}}"#, .malformedJSON),
      (#"{"k":"dev","e":[],"e":[]}"#, .malformedJSON), (#"{"k":"dev","e":[{]}"#, .malformedJSON),
      (#"{"k":"dev","e":[]} x"#, .malformedJSON), (#"{"k":"dev","s":"x","e":[]}"#, .badTimestamp),
    ] as [(String, RejectionCode)])
  func refused(_ body: String, _ code: RejectionCode) throws {
    #expect(try beacon(body).refused?.code == code)
  }

  @Test("A body has a thousand events at most")
  func limit() throws {
    let most = [String](repeating: "{}", count: 1000).joined(separator: ",")
    #expect(try beacon(#"{"k":"dev","e":[\#(most)]}"#).events.count == 1000)
    #expect(try beacon(#"{"k":"dev","e":[\#(most),{}]}"#).problem == "too_many_events")
  }
}
