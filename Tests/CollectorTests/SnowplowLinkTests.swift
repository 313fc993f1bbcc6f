@testable import Collector
import Events
import HTTPServer
import Testing

@Suite("Snowplow links")
struct SnowplowLinkTests {
  private static let redirects = RedirectPolicy(
    isSigned: { $0 == "https://signed.example/a?b=c" && $1 == "dev" && $2 == "good" },
    hosts: ["shop.example", "*.shop.example"])

  private func link(_ query: String) throws -> Reading {
    try read("/r/tp2", query: query, redirects: Self.redirects)
  }

  @Test("A followed link is a click, with the campaign of where it leads")
  func click() throws {
    let reading = try link(
      "aid=dev&e=pv&eid=e1&duid=d&cx=&content_id=c&sig=kept-out"
        + "&u=https%3A%2F%2Fwww.shop.example%2Fa%3Futm_campaign%3Dspring")
    let event = try #require(reading.events.first)
    #expect(event.kind == .click)
    #expect(event.name == "uri_redirect")
    #expect(event.id == "e1")
    #expect(
      try dimensions(event)
        == DimensionTuple(site: "default", campaign: "spring", content: "c"))
    #expect(!text(event.payload).contains("sig"))
    #expect(
      text(event.payload).contains(#""u":"https://www.shop.example/a?utm_campaign=spring""#))
  }

  @Test("A link in a mail has no id: each click counts")
  func unique() throws {
    #expect(
      try link("aid=dev&u=https%3A%2F%2Fshop.example").events.map(\.id) == ["unique-2"],
      "the first is the cookie's")
  }

  @Test(
    "A link leads only where it may",
    arguments: [
      ("u=https%3A%2F%2Fshop.example", nil), ("u=HTTP://SHOP.example:8080/", nil),
      ("u=https://a.b.shop.example?x", nil),
      ("u=https%3A%2F%2Fsigned.example%2Fa%3Fb%3Dc&sig=good", nil),
      ("u=https%3A%2F%2Fsigned.example%2Fa%3Fb%3Dc&sig=bad", "destination_not_allowed"),
      ("u=https%3A%2F%2Fsigned.example%2Fa%3Fb%3Dd&sig=good", "destination_not_allowed"),
      ("u=https%3A%2F%2Fsigned.example%2Fa%3Fb%3Dc", "destination_not_allowed"),
      ("u=https://evil.example/", "destination_not_allowed"),
      ("u=https://shop.example.evil.example/", "destination_not_allowed"),
      ("u=https://evilshop.example/", "destination_not_allowed"),
      ("u=https://evil.example/@shop.example", "destination_not_allowed"),
      ("u=https://evil.example%23.shop.example/", "destination_not_allowed"),
      ("u=https://shop.example@evil.example/", "bad_destination"),
      ("u=https://a:b@shop.example/", "bad_destination"),
      ("u=https://evil.example%5C.shop.example/", "bad_destination"),
      ("u=https://evil.example%5C@shop.example/", "bad_destination"),
      ("u=https:/%5Cevil.example/", "bad_destination"), ("u=//shop.example/", "bad_destination"),
      ("u=https:///shop.example/", "bad_destination"), ("u=javascript:alert(1)", "bad_destination"),
      ("u=ftp://shop.example/", "bad_destination"), ("u=https://", "bad_destination"),
      ("u=https://shop.example%0d%0aSet-Cookie:a=b", "bad_destination"),
      ("u=https://shop.example/%0d%0aSet-Cookie:a=b", "bad_destination"),
      ("u=%09https://shop.example/", "bad_destination"),
      ("u=%20https://shop.example/", "bad_destination"),
      ("u=https://shop.example%00/", "bad_destination"),
      ("u=https://shop.example:80:80/", "bad_destination"),
      ("u=https://shop.example:/", "bad_destination"),
      ("u=https://shop..example/", "bad_destination"),
      ("u=https://sh%C3%B6p.shop.example/", "bad_destination"),
      ("u=https://%5B::1%5D/", "bad_destination"), ("u=", "bad_destination"),
      ("", "bad_destination"),
    ] as [(String, String?)])
  func destinations(_ query: String, _ problem: String?) throws {
    let reading = try link("aid=dev&" + query)
    #expect(reading.problem == problem)
    #expect(reading.events.count == (problem == nil ? 1 : 0))
  }

  @Test("What is answered is an address in ASCII that says the same")
  func location() {
    let address = "https://shop.example/caf\u{e9} \"<a>\\?q=1+1&r=%20#\u{1f600}"
    #expect(
      RedirectDestination(address)?.location
        == "https://shop.example/caf%C3%A9%20%22%3Ca%3E%5C?q=1+1&r=%20#%F0%9F%98%80")
    #expect(RedirectDestination("https://A.example:1/")?.host == "A.example")
  }

  @Test("A reader arrives although the event is refused, and the reason is kept")
  func refused() throws {
    let reading = try link("aid=dev&dtm=soon&u=https://shop.example/")
    #expect(reading.events.isEmpty)
    #expect(reading.rejected.map(\.code) == [.badTimestamp])
    #expect(reading.reply.unavailable?.status == .found)
    #expect(try link("aid=nobody&u=https://shop.example/").isUnknownKey)
  }

  @Test("The dead letter of a link, as that of a query, can be read again")
  func deadLetters() throws {
    for place in ["/r/tp2", "/i", "/com.snowplowanalytics.snowplow/tp2"] {
      let letter = DeadLetter(
        code: "text_too_long", detail: "", place: "snowplow \(place)",
        body: Array("e=pv&eid=e1&aid=app&u=https://gone.example/".utf8))
      let outcome = DeadLetterReading(mapping: CompiledMapping(standardMapping)).read(
        letter, site: "shop", source: "snowplow/web", receivedAt: testNow, uniqueID: "again")
      guard case .accepted(let events) = outcome else {
        Issue.record("\(place): \(outcome)")
        continue
      }
      #expect(
        events.map(\.key)
          == [EventIdentity.dedupeKey(site: "shop", source: "web", eventID: "e1")])
    }
  }

  @Test("With nothing listed and nothing signed no link leads anywhere")
  func none() throws {
    #expect(
      try read("/r/tp2", query: "aid=dev&u=https://shop.example/").problem
        == "destination_not_allowed")
  }
}
