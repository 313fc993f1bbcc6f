import Collector
import Events
import Testing

@Suite("Pixel protocol")
struct PixelProtocolTests {
  private func pixel(_ query: String) throws -> Reading { try read("/p.gif", query: query) }

  @Test("Every field of a pixel has its place in the event")
  func allFields() throws {
    let reading = try pixel(
      "k=dev&t=click&cid=spring&cnt=c-42&var=b&ch=mail&uid=u1&aid=a1&eid=e1&ts=1767225600123"
        + "&v=9.99&x=kept")
    let event = try #require(reading.events.first)
    #expect(event.kind == .click)
    #expect(event.id == "e1")
    #expect(event.name == "click")
    #expect(event.source == "pixel/dev")
    #expect(event.eventTime == 1_767_225_600_123_000)
    #expect(event.receivedAt == testNow)
    #expect(event.sentAt == 0)
    #expect(event.revenueMicros == 0, "only conversions have money")
    #expect(event.key == EventIdentity.dedupeKey(site: "default", source: "dev", eventID: "e1"))
    #expect(event.person == EventIdentity.personKey(site: "default", id: "a1"))
    #expect(
      try dimensions(event)
        == DimensionTuple(
          site: "default", campaign: "spring", content: "c-42", variant: "b", channel: "mail"))
    #expect(
      text(event.payload)
        == #"{"t":"click","cid":"spring","cnt":"c-42","var":"b","ch":"mail","uid":"u1","aid":"a1","#
        + #""eid":"e1","ts":"1767225600123","v":"9.99","x":"kept"}"#)
  }

  @Test("Only the key is needed: an impression now, of its own")
  func defaults() throws {
    let event = try #require(try pixel("k=dev").events.first)
    #expect(event.kind == .impression)
    #expect(event.eventTime == testNow)
    #expect(event.id == "unique-1")
    #expect(event.person == EventIdentity.personKey(site: "default", id: "unique-1"))
    let user = try #require(try pixel("k=dev&uid=u1").events.first)
    #expect(user.person == EventIdentity.personKey(site: "default", id: "u1"))
  }

  @Test("The user is the user id; an alias's person is the earlier id")
  func user() throws {
    func ids(_ query: String) throws -> [Key128] {
      let event = try #require(try pixel("k=dev&" + query).events.first)
      return [event.person, event.user]
    }
    func key(_ id: String) -> Key128 { EventIdentity.personKey(site: "default", id: id) }
    #expect(try ids("aid=a1&uid=u1") == [key("a1"), key("u1")])
    #expect(try ids("uid=u1&pid=p1") == [key("u1"), key("u1")])
    #expect(try ids("aid=a1") == [key("a1"), .zero])
    #expect(try ids("t=alias&uid=u1&pid=p1&aid=a1") == [key("p1"), key("u1")])
    #expect(try ids("t=alias&uid=u1&aid=a1") == [key("a1"), key("u1")])
  }

  @Test("The site and the source come from the key")
  func site() throws {
    let event = try #require(try pixel("k=wk_demo&eid=e1").events.first)
    #expect(try dimensions(event).site == "shop")
    #expect(event.source == "pixel/web")
    #expect(event.key == EventIdentity.dedupeKey(site: "shop", source: "web", eventID: "e1"))
  }

  @Test("A conversion has money in the stated or the default currency")
  func money() throws {
    let euros = try #require(try pixel("k=dev&t=conversion&v=0.1&cur=eur").events.first)
    #expect(euros.revenueMicros == 100_000)
    #expect(try dimensions(euros).currency == "EUR")
    let dollars = try #require(try pixel("k=dev&t=conversion&v=1e3").events.first)
    #expect(dollars.revenueMicros == 1_000_000_000)
    #expect(try dimensions(dollars).currency == "USD")
    let none = try #require(try pixel("k=dev&t=conversion&cur=EUR").events.first)
    #expect(none.revenueMicros == 0)
    #expect(try dimensions(none).currency == "")
  }

  @Test("Escapes and other alphabets are decoded")
  func decoding() throws {
    let event = try #require(try pixel("k=dev&cid=caf%C3%A9+%26+%E2%98%83&cnt=é").events.first)
    #expect(try dimensions(event).campaign == "café & ☃")
    #expect(try dimensions(event).content == "é")
  }

  @Test("A field that comes twice counts as it came last")
  func twice() throws {
    let event = try #require(try pixel("k=nope&k=dev&cid=a&cid=b").events.first)
    #expect(try dimensions(event).campaign == "b")
  }

  @Test("A missing or unknown key stores nothing", arguments: ["", "t=click", "k=", "k=nope"])
  func unknownKey(_ query: String) throws {
    #expect(try pixel(query).isUnknownKey)
  }

  @Test(
    "What cannot be an event is refused with its reason",
    arguments: [
      ("t=open", .unknownKind), ("t=alias&uid=u", .noIdentity),
      ("t=alias&pid=p", .noIdentity), ("t=alias&uid=u&pid=%00", .nulCharacter),
      ("ts=yesterday", .badTimestamp), ("ts=-1", .badTimestamp),
      ("ts=99999999999999999", .badTimestamp), ("t=conversion&v=abc", .badRevenue),
      ("t=conversion&v=1000000001", .badRevenue), ("t=conversion&v=1&cur=DOLLAR", .badCurrency),
      ("t=conversion&v=1&cur=a%C3%9F", .badCurrency),
      ("cid=%", .malformedQuery), ("cid=%ff", .malformedQuery), ("%c3=1", .malformedQuery),
      ("eid=%00", .nulCharacter),
      ("eid=" + String(repeating: "x", count: 257), .textTooLong),
    ] as [(String, RejectionCode)])
  func refused(_ query: String, _ code: RejectionCode) throws {
    let rejection = try #require(try pixel("k=dev&" + query).refused)
    #expect(rejection.code == code)
    #expect(rejection.place == "/p.gif")
    #expect(text(rejection.body) == "k=dev&" + query)
  }

  @Test("256 bytes are still allowed")
  func longest() throws {
    let longest = String(repeating: "x", count: 256)
    #expect(try pixel("k=dev&cid=\(longest)&eid=\(longest)").events.count == 1)
  }

  @Test("No query crashes the reader", arguments: [1, 2, 3])
  func anyBytes(seed: UInt64) throws {
    var state = seed
    let alphabet = Array("k=dev&t=%c3%00+=&&ts=12v\u{7f}é".utf8)
    for _ in 0..<3000 {
      var query = Array("k=dev".utf8)
      for _ in 0..<20 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        query.append(alphabet[Int(state >> 33) % alphabet.count])
      }
      _ = try read("/p.gif", query: String(decoding: query, as: UTF8.self))
    }
  }
}
