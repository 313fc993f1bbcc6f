import Collector
import Events
import Foundation
import HTTPServer
import Metrics
import Ports
import Testing

/// The secret of the tests' links.
private let signer: LinkSigner = {
  do {
    return try LinkSigner(secret: Array(0..<32))
  } catch {
    preconditionFailure("32 bytes are a secret: \(error)")
  }
}()

let testRedirects = RedirectPolicy(signer: signer, hosts: ["a.example", "*.b.example"])

/// The query of a signed link.
func signedQuery(_ destination: String, key: String = "dev", _ fields: String = "") -> String {
  let encoded =
    destination.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? destination
  let signature = signer.signature(destination: destination, key: key)
  return "u=\(encoded)&k=\(key)&s=\(signature)\(fields)"
}

@Suite("Click link protocol")
struct RedirectProtocolTests {
  private func follow(
    _ query: String, redirects: RedirectPolicy = testRedirects
  ) throws -> Reading {
    try read("/r/c", query: query, redirects: redirects)
  }

  private func encoded(_ text: String) -> String {
    text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? text
  }

  @Test("A signed link is a click with the pixel's fields")
  func click() throws {
    let fields = "&cid=spring&cnt=c-42&var=b&ch=mail&uid=u1&aid=a1&eid=e1&t=conversion&v=5"
    let reading = try follow(signedQuery("https://shop.example/p?a=b&c=d#e", fields))
    let event = try #require(reading.events.first)
    #expect(event.kind == .click, "t says nothing here")
    #expect(event.name == "click")
    #expect(event.id == "e1")
    #expect(event.source == "redirect/dev")
    #expect(event.person == EventIdentity.personKey(site: "default", id: "a1"))
    #expect(event.user == EventIdentity.personKey(site: "default", id: "u1"))
    #expect(
      try dimensions(event)
        == DimensionTuple(
          site: "default", campaign: "spring", content: "c-42", variant: "b", channel: "mail"))
    #expect(
      text(event.payload)
        == #"{"u":"https://shop.example/p?a=b&c=d#e","cid":"spring","cnt":"c-42","var":"b","#
        + #""ch":"mail","uid":"u1","aid":"a1","eid":"e1","t":"conversion","v":"5"}"#)
    #expect(reading.reply.stored != nil && reading.reply.unavailable?.status == .found)
  }

  @Test("All but the destination and the key may be filled in afterwards")
  func templates() throws {
    let query = signedQuery("https://shop.example/")
    for fields in ["", "&uid=u1", "&cid=other&uid=u2&eid=e2", "&x=%7B%7Bid%7D%7D"] {
      #expect(try follow(query + fields).events.count == 1)
    }
  }

  @Test("A signature is for one destination and one key, letter by letter")
  func forged() throws {
    let query = signedQuery("https://shop.example/")
    let changes = [
      ("shop", "evil"), ("k=dev", "k=wk_demo"), ("https", "http"), ("%2F&k", "%2Fx&k"),
      ("example", "Example"), ("&s=", "&s=A"), ("&s=", "&x="), ("&s=", "&s=&x="),
    ]
    for (from, to) in changes {
      let changed = query.replacing(from, with: to)
      #expect(changed != query)
      #expect(try follow(changed).problem == "destination_not_allowed", "\(to)")
    }
    #expect(
      try follow(query + "&u=https%3A%2F%2Fevil.example%2F").problem == "destination_not_allowed",
      "the last of two counts")
    #expect(try follow(query, redirects: .none).problem == "destination_not_allowed")
    let other = RedirectPolicy(signer: try LinkSigner(secret: Array(1..<33)))
    #expect(try follow(query, redirects: other).problem == "destination_not_allowed")
    #expect(try follow(query + "A").problem == "destination_not_allowed", "longer")
    #expect(try follow(String(query.dropLast())).problem == "destination_not_allowed", "shorter")
  }

  @Test(
    "A listed host needs no signature",
    arguments: [
      "https://a.example/", "http://A.Example/x", "https://a.example:8443/", "HTTPS://a.example",
      "https://x.b.example/", "https://x.y.B.example?q", "https://a.example#@evil.example",
    ])
  func listed(_ destination: String) throws {
    #expect(try follow("k=dev&u=" + encoded(destination)).events.count == 1)
  }

  @Test(
    "A host that only looks like a listed one is none",
    arguments: [
      "https://evil.example/", "https://aa.example/", "https://a.example.evil.example/",
      "https://b.example/", "https://xb.example/", "https://evil.example/a.example",
      "https://evil.example?a.example", "https://evil.example#a.example", "https://a.exampl/",
    ])
  func unlisted(_ destination: String) throws {
    #expect(try follow("k=dev&u=" + encoded(destination)).problem == "destination_not_allowed")
  }

  /// Each of these leads a browser somewhere else than it seems, or does something else.
  static let tricks = [
    "", "/", "//evil.example", "///evil.example", "\\\\evil.example", "/\\evil.example",
    "evil.example", "http:evil.example", "https:evil.example", "https:/evil.example",
    "https:\\\\evil.example", "https:/\\evil.example", "https:///evil.example",
    "https://user@evil.example/", "https://a.example@evil.example/",
    "https://a.example:443@evil.example/", "https://a.example%40evil.example/",
    "https://a.example\\@evil.example/", "https://evil.example\\a.example/",
    "https://evil.example\\.a.example/", "javascript:alert(1)",
    "JavaScript://a.example/%0aalert(1)",
    "data:text/html,x", "vbscript:x", "file:///etc/passwd", "ftp://a.example/",
    "blob:https://a.example/x", "view-source:https://a.example/", " https://a.example/",
    "https://a.example/\r\nSet-Cookie: a=b", "https://a.example/\u{0}", "https://a.example/\t",
    "ht\ntps://a.example/", "https://\u{7f}a.example/", "https://a.example\r\n.evil.example/",
    "https://a。example/", "https://ａ.example/", "https://а.example/", "https://ex ample/",
    "https://a.example../", "https://.a.example/", "https://a..example/", "https://",
    "https://:80/", "https://a.example:/", "https://a.example:80:80/", "https://a.example:x/",
    "https://[::1]/", "https://a.example%2eevil.example/", "https://a_.example\u{200d}/",
    "ｈttps://a.example/", "https://a.example;evil.example/", "https://a.example,evil.example/",
  ]

  @Test("No trick leads anywhere, neither to a listed host nor signed", arguments: tricks)
  func trick(_ destination: String) throws {
    let listed = try follow("k=dev&u=" + encoded(destination))
    #expect(listed.problem == "bad_destination")
    #expect(try follow(signedQuery(destination)).problem == "bad_destination")
    #expect(RedirectDestination(destination) == nil)
  }

  @Test(
    "A destination is sent on in ASCII, and cannot start a line of its own",
    arguments: [
      ("https://a.example/é?q=☃", "https://a.example/%C3%A9?q=%E2%98%83"),
      ("https://a.example/a b", "https://a.example/a%20b"),
      ("https://a.example/%0d%0aX: y", "https://a.example/%0d%0aX:%20y"),
      ("https://a.example/\\evil", "https://a.example/%5Cevil"),
      ("https://xn--bcher-kva.example/\u{2028}", "https://xn--bcher-kva.example/%E2%80%A8"),
      (
        "https://a.example/?u=https://b.example/&x=1#y",
        "https://a.example/?u=https://b.example/&x=1#y"
      ),
    ])
  func location(_ destination: String, _ location: String) throws {
    #expect(RedirectDestination(destination)?.location == location)
    #expect(try follow(signedQuery(destination)).events.count == 1)
  }

  @Test("Who follows a link arrives whatever is wrong with the click")
  func arrives() throws {
    let query = signedQuery("https://shop.example/")
    let unknown = try follow(signedQuery("https://shop.example/", key: "nope"))
    #expect(unknown.isUnknownKey && unknown.onward?.status == .found)
    for (fields, code) in [
      ("&ts=x", RejectionCode.badTimestamp), ("&cid=%ff", .malformedQuery),
      ("&uid=%00", .nulCharacter),
    ] {
      let reading = try follow(query + fields)
      #expect(reading.rejected.map(\.code) == [code])
      #expect(reading.rejected.first?.place == "/r/c")
      #expect(reading.reply.unavailable?.status == .found)
    }
  }

  @Test("A click that was refused can be sent again")
  func again() throws {
    let letter = DeadLetter(
      code: "bad_timestamp", detail: "", place: "redirect /r/c",
      body: Array(signedQuery("https://shop.example/", "&eid=e1").utf8))
    let outcome = DeadLetterReading(mapping: CompiledMapping(standardMapping)).read(
      letter, site: "default", source: "redirect/dev", receivedAt: testNow, uniqueID: "x")
    guard case .accepted(let events) = outcome else {
      Issue.record("it is accepted: \(outcome)")
      return
    }
    #expect(events.map(\.id) == ["e1"])
  }

  // MARK: Over HTTP

  @Test("A click is answered with 302 when it is durable, uncached")
  func found() async throws {
    let publisher = ScriptedPublisher()
    try await IngestRoutesTests().withCollector(publisher, redirects: testRedirects) { port, _ in
      async let pending = RawRequest.send(
        "GET", "/r/c?" + signedQuery("https://shop.example/é", "&eid=e1"), port: port)
      await eventually { publisher.unsettledCount == 1 }
      publisher.store()
      let answer = try await pending
      #expect(answer.status == 302)
      #expect(answer.head.contains("location: https://shop.example/%c3%a9\r\n"))
      #expect(answer.head.contains("cache-control: no-store"))
      #expect(answer.head.contains("smartcontent-position: 1~"))
      #expect(answer.head.contains("content-length: 0"))
    }
  }

  @Test("With the log away whoever follows a link arrives all the same")
  func unavailable() async throws {
    let away = ScriptedPublisher { _, _ in .unavailable("no server") }
    try await IngestRoutesTests().withCollector(away, redirects: testRedirects) { port, registry in
      for _ in 0..<3 {
        let answer = try await RawRequest.send(
          "GET", "/r/c?" + signedQuery("https://shop.example/"), port: port)
        #expect(answer.status == 302)
        #expect(answer.head.contains("location: https://shop.example/\r\n"))
      }
      #expect(registry.counter(CollectorMetrics.events).with("redirect").value == 0)
    }
  }

  @Test("Nobody waits long for a slow log; the click may be stored later")
  func slow() async throws {
    let publisher = ScriptedPublisher()
    try await IngestRoutesTests().withCollector(
      publisher, redirects: testRedirects, configure: { $0.linkDeadlineMs = 20 }
    ) { port, registry in
      let answer = try await RawRequest.send(
        "GET", "/r/c?" + signedQuery("https://shop.example/"), port: port)
      #expect(answer.status == 302)
      #expect(!answer.head.contains("smartcontent-position"))
      await eventually { publisher.unsettledCount == 1 }
      publisher.store()
      let stored = registry.counter(CollectorMetrics.events).with("redirect")
      await eventually { stored.value == 1 }
    }
  }

  @Test("Where too much waits, a click is not counted and its follower arrives")
  func saturated() async throws {
    let publisher = ScriptedPublisher()
    try await IngestRoutesTests().withCollector(
      publisher, redirects: testRedirects, configure: { $0.waitingBytesMax = 65_536 }
    ) { port, registry in
      let padding = String(repeating: "x", count: 30_000)
      let event = #"{"type":"page","userId":"u","x":"\#(padding)"}"#
      let events = Array(repeating: event, count: 12).joined(separator: ",")
      async let pending = RawRequest.send(
        "POST", "/v1/batch?k=dev", body: Array(#"{"batch":[\#(events)]}"#.utf8), port: port)
      await eventually { publisher.unsettledCount == 2 }
      let answer = try await RawRequest.send(
        "GET", "/r/c?" + signedQuery("https://shop.example/"), port: port)
      #expect(answer.status == 302)
      #expect(answer.head.contains("location: https://shop.example/\r\n"))
      let refused = registry.counter(CollectorMetrics.requests).with("redirect", "refused")
      #expect(refused.value == 1)
      publisher.becomeAutomatic { _, sequence in .stored(sequence: sequence, duplicate: false) }
      publisher.store()
      #expect(try await pending.status == 200)
    }
  }

  @Test(
    "A link that may not lead there is a 400 and is not stored; HEAD leads on and counts nothing")
  func refusals() async throws {
    let publisher = ScriptedPublisher.storing
    try await IngestRoutesTests().withCollector(publisher, redirects: testRedirects) { port, _ in
      for method in ["GET", "HEAD"] {
        for query in ["u=https%3A%2F%2Fevil.example%2F&k=dev", "u=%2F%2Fevil.example&k=dev", ""] {
          let answer = try await RawRequest.send(method, "/r/c?" + query, port: port)
          #expect(answer.status == 400)
          #expect(!answer.head.contains("location:"))
        }
      }
      let head = try await RawRequest.send(
        "HEAD", "/r/c?" + signedQuery("https://shop.example/"), port: port)
      #expect(head.status == 302)
      #expect(head.head.contains("location: https://shop.example/\r\n"))
      let unknown = try await RawRequest.send(
        "GET", "/r/c?" + signedQuery("https://shop.example/", key: "revoked"), port: port)
      #expect(unknown.status == 302)
    }
    #expect(publisher.frames.isEmpty)
  }
}
