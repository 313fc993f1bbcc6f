@testable import Collector
import Cryptography
import Events
import Testing

@Suite("Privacy at the edge")
struct PrivacyGateTests {
  static let pseudonyms: Pseudonyms = {
    do {
      return try Pseudonyms(secret: Array(0..<32))
    } catch {
      preconditionFailure("\(error)")
    }
  }()

  func key(_ policy: KeyPolicy = KeyPolicy()) -> WriteKey {
    WriteKey(
      key: "k", site: "shop", source: "web", policy: policy, pseudonyms: Self.pseudonyms,
      mapping: CompiledMapping(standardMapping))
  }

  func facts(_ headers: [String: String] = [:]) -> RequestFacts {
    RequestFacts(
      userAgent: headers["user-agent"] ?? "", clientAddress: "198.51.100.7",
      header: { headers[$0] })
  }

  func event(_ payload: String, source: String = "segment/web") -> IncomingEvent {
    IncomingEvent(
      kind: .custom, key: Key128(low: 1, high: 2), person: Key128(low: 3, high: 4),
      eventTime: testNow, receivedAt: testNow, dimensions: DimensionTuple(site: "shop").encoded,
      id: "e1", name: "Order Completed", source: source, payload: Array(payload.utf8))
  }

  func scrubbed(
    _ payload: String, _ policy: KeyPolicy = KeyPolicy(), source: String = "segment/web",
    headers: [String: String] = [:]
  ) throws -> String {
    var event = event(payload, source: source)
    let verdict = try PrivacyGate().admit(&event, facts(headers), key(policy))
    #expect(verdict == .pass)
    return text(event.payload)
  }

  @Test("An event without personal data stays as it came, byte for byte")
  func untouched() throws {
    let payload =
      #"{ "type":"track", "event":"Order Completed","messageId":"0192f3d2-0000-7000-8000-000000000001","#
      + #""timestamp":"2026-11-23T09:00:00.000Z","properties":{"content_id":"post-1","revenue":12.5,"#
      + #""products":[{"sku":"9780306406157"}],"a\u00e9":null},"context":{"page":{"url":"https://a.example/?q=1"}}}"#
    #expect(try scrubbed(payload) == payload)
  }

  @Test(
    "What is personal is replaced where it stands",
    arguments: [
      (#"{"a":"mail ada@example.org"}"#, #"{"a":"mail [mail]"}"#),
      (#"{"a":["x",{"b":"+49 170 1234567"}]}"#, #"{"a":["x",{"b":"[phone]"}]}"#),
      (#"{"ada@example.org":1}"#, #"{"[mail]":1}"#),
      (#"{"a":4111111111111111}"#, #"{"a":"[card]"}"#),
      (#"{"a":"ada\u0040example.org"}"#, #"{"a":"[mail]"}"#),
      (
        #"{"j":"{\"q\":{\"Email\":\"x\",\"n\":1}}"}"#,
        #"{"j":"{\"q\":{\"Email\":\"[mail]\",\"n\":1}}"}"#
      ),
      (#"{"j":"[\"ada@example.org\"]"}"#, #"{"j":"[\"[mail]\"]"}"#),
      (
        #"{"email":"x","phone":491701234567,"First-Name":"Ada"}"#,
        #"{"email":"[mail]","phone":"[phone]","First-Name":"[removed]"}"#
      ),
      (
        #"{"traits":{"name":"Ada","plan":"pro"},"name":"Home"}"#,
        #"{"traits":{"name":"[removed]","plan":"pro"},"name":"Home"}"#
      ),
      (
        #"{"$set":{"name":"Ada"},"address":{"street":"x"}}"#,
        #"{"$set":{"name":"[removed]"},"address":"[removed]"}"#
      ),
      (
        #"{"password":"","token":null,"email":true}"#, #"{"password":"","token":null,"email":true}"#
      ),
      (#"{"context":{"ip":"203.0.113.9"}}"#, #"{"context":{"ip":"203.0.113.0"}}"#),
      (
        #"{"ip":"nowhere","$ip":"2001:db8:1:2::3","uip":""}"#,
        #"{"ip":"[removed]","$ip":"2001:db8:1::","uip":""}"#
      ),
      (
        #"{"userAgent":"Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/X) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.1.2 Mobile Safari/537.36"}"#,
        #"{"userAgent":"Chrome 126/Android/mobile"}"#
      ),
      (#"{"userId":"ada@example.org"}"#, #"{"userId":"[mail]"}"#),
      (
        #"{"username":"ada","properties":{"login":"ada","User-Name":"ada","logins":3}}"#,
        #"{"username":"[removed]","properties":{"login":"[removed]","User-Name":"[removed]","logins":3}}"#
      ),
      (
        #"{"headers":{"Authorization":"Bearer x","cookie":"a=b"}}"#,
        #"{"headers":{"Authorization":"[removed]","cookie":"[removed]"}}"#
      ),
      (
        #"{"x":"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl","y":"eyJhbGciOiJIUzI1NiJ9.more"}"#,
        #"{"x":"[removed]","y":"eyJhbGciOiJIUzI1NiJ9.more"}"#
      ),
    ])
  func replaced(_ payload: String, _ expected: String) throws {
    #expect(try scrubbed(payload) == expected)
    #expect(try scrubbed(expected) == expected)
  }

  @Test("Base 64 is read, and written in its own alphabet")
  func encoded() throws {
    let personal = Base64.encode(Array(#"{"email":"x","n":"~~~???"}"#.utf8))
    let clean = Base64.encode(Array(#"{"email":"[mail]","n":"~~~???"}"#.utf8))
    #expect(try scrubbed(#"{"cx":"\#(personal)"}"#) == #"{"cx":"\#(clean)"}"#)
    func url(_ text: String) -> String {
      text.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
    #expect(url(personal) != personal)
    #expect(try scrubbed(#"{"cx":"\#(url(personal))"}"#) == #"{"cx":"\#(url(clean))"}"#)
    let page = Base64.encode(Array("Ask ada@example.org".utf8))
    #expect(
      try scrubbed(#"{"data_base64":"\#(page)"}"#, source: "cloudevents/web")
        == #"{"data_base64":"\#(Base64.encode(Array("Ask [mail]".utf8)))"}"#)
  }

  @Test("A policy may keep personal data, and drop addresses")
  func policies() throws {
    let payload = #"{"email":"ada@example.org","ip":"203.0.113.9"}"#
    #expect(
      try scrubbed(payload, KeyPolicy(address: .drop, personalData: .keep))
        == #"{"email":"ada@example.org","ip":"[removed]"}"#)
    #expect(
      try scrubbed(
        #"{"ip":"203.0.113.9"}"#, source: "snowplow/web", headers: ["sp-anonymous": "*"])
        == #"{"ip":"[removed]"}"#)
  }

  @Test("Ids of persons are pseudonyms, in the payload and in the keys of persons")
  func pseudonym() throws {
    let policy = KeyPolicy(identifiers: .pseudonym)
    let key = key(policy)
    let ann = key.identify("ann")
    #expect(ann.utf8.count == 22)
    #expect(ann != "ann" && ann == key.identify("ann"))
    #expect(key.identify("") == "")
    #expect(
      try scrubbed(#"{"userId":"ann","anonymousId":7,"x":"ann"}"#, policy)
        == #"{"userId":"\#(ann)","anonymousId":"\#(key.identify("7"))","x":"ann"}"#)
    var draft = EventDraft()
    draft.user = "ann"
    draft.anonymous = "anon"
    draft.id = "1"
    let event = try draft.event(
      protocolName: "segment", key: key, receivedAt: testNow,
      fallbackID: { () throws(Refusal) in "" })
    #expect(event.user == EventIdentity.personKey(site: "shop", id: ann))
    #expect(event.person == EventIdentity.personKey(site: "shop", id: key.identify("anon")))
  }

  @Test("Refused bytes are as clean as events, whatever their form")
  func deadLetters() throws {
    func clean(_ body: String, _ policy: KeyPolicy = KeyPolicy()) -> String {
      let rejection = Array(body.utf8).withUnsafeBytes {
        Rejection(Refusal(.noIdentity, "x"), place: "/v1/batch", body: $0)
      }
      return text(
        PrivacyGate().clean(rejection, facts(), key(policy), protocolName: "pixel").body)
    }
    #expect(clean(#"{"email":"a","n":1}"#) == #"{"email":"[mail]","n":1}"#)
    #expect(
      clean(#"{"a":"ada@example.org","firstName":"Ada","n":"#)
        == #"{"a":"[mail]","firstName":"[removed]","n":"#)
    #expect(
      clean("k=dev&uid=ada%40example.org&x=1") == "k=dev&uid=[mail]&x=1")
    let pseudonymous = KeyPolicy(identifiers: .pseudonym)
    #expect(
      clean("k=dev&uid=ann", pseudonymous) == "k=dev&uid=\(key(pseudonymous).identify("ann"))")
    #expect(clean(#"{"uid":"ann""#, pseudonymous) == "")
    let encoded = Base64.encode(Array(#"{"email":"#.utf8))
    #expect(clean(encoded) == "")
    #expect(
      clean("k=dev&data=H4sIAAAAAAAAA6tWKkktLlGyUlAqS8wpTtVRKi1OLQIA") == "k=dev&data=[removed]")
  }

  @Test("What a schema marks as personal is removed where it stands, and nowhere else")
  func marked() throws {
    let marks =
      #"{"x-event":"Order Completed","properties":{"code":{"x-personal":true},"gift":{"properties":"#
      + #"{"to":{"x-personal":true}}},"names":{"items":{"x-personal":true}},"#
      + #""seats":{"additionalProperties":{"properties":{"who":{"x-personal":true}}}}}}"#
    let (schema, problems) = EventSchema.read(Array(marks.utf8), named: "order")
    let gate = PrivacyGate(schemas: EventSchemas([try #require(schema, "\(problems)")]))
    func scrubbed(_ payload: String, _ source: String, _ policy: KeyPolicy = KeyPolicy()) throws
      -> String
    {
      var event = event(payload, source: source)
      _ = try gate.admit(&event, facts(), key(policy))
      return String(decoding: event.payload, as: UTF8.self)
    }
    let properties =
      #"{"code":7,"gift":{"to":"Ada","code":1},"names":["a",true,null],"seats":{"1A":{"who":{"n":1}}},"who":"x"}"#
    let clean =
      #"{"code":"[removed]","gift":{"to":"[removed]","code":1},"names":["[removed]","[removed]",null],"#
      + #""seats":{"1A":{"who":"[removed]"}},"who":"x"}"#
    #expect(
      try scrubbed(#"{"code":7,"properties":\#(properties)}"#, "segment/web")
        == #"{"code":7,"properties":\#(clean)}"#)
    #expect(
      try scrubbed(#"{"events":[{"params":\#(properties)}]}"#, "ga4/web")
        == #"{"events":[{"params":\#(clean)}]}"#)
    let whole = #"{"properties":\#(properties)}"#
    #expect(try scrubbed(whole, "pixel/web") == whole)
    #expect(try scrubbed(whole, "segment/web", KeyPolicy(personalData: .keep)) == whole)
    let refused = Array(whole.utf8).withUnsafeBytes {
      Rejection(Refusal(.noIdentity, "x"), place: "/v1/batch batch[0]", body: $0)
    }
    #expect(
      text(gate.clean(refused, facts(), key(), protocolName: "segment").body)
        == #"{"properties":\#(clean)}"#)
    // What was taken out fits the schema that it was taken out for.
    let strict =
      #"{"type":"object","properties":{"m":{"type":"string","format":"email","maxLength":3}}}"#
    let (other, _) = EventSchema.read(Array(strict.utf8), named: "x")
    for removed in Removed.allCases {
      let value = try JSONTree(Array(#"{"m":"\#(removed.rawValue)"}"#.utf8))
      #expect(try #require(other).schema.violation(of: value) == nil)
    }
  }

  @Test("Without their secret, keys that ask for pseudonyms are not accepted")
  func noSecret() {
    let ring = KeyRing([], mapping: CompiledMapping(standardMapping))
    let stored = StoredKey(
      id: "key-1", hash: KeyValue.hash("secret"), site: "shop", source: "web",
      policy: KeyPolicy(identifiers: .pseudonym), createdAt: 0)
    #expect(ring.take([stored]) == ["key-1"])
    #expect(ring.current.find("secret") == nil)
  }

  @Test("No mail address, phone or card number survives, wherever it stands in an event")
  func survivors() throws {
    for seed in 0..<400 as Range<UInt64> {
      var random = RandomPayloads(seed)
      let secret =
        ["ada.l@mail.example.org", "+49 170 7654321", "4012888888881881"].randomElement(
          using: &random) ?? ""
      let payload = random.object(depth: 0, secret)
      let clean = try scrubbed(payload)
      for form in [
        secret, secret.replacing("@", with: "%40"), secret.replacing("@", with: #"\u0040"#),
      ] {
        #expect(!clean.contains(form), "seed \(seed): \(payload)")
      }
      var json = JSONWriter()
      json.string(clean)
      #expect(try scrubbed(clean) == clean, "seed \(seed)")
    }
  }
}

/// Random JSON with a secret in it.
private struct RandomPayloads: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }

  mutating func object(depth: Int, _ secret: String) -> String {
    let members = (0..<Int.random(in: 1...4, using: &self)).map { _ in
      let name =
        Bool.random(using: &self) ? "p\(Int.random(in: 0...99, using: &self))" : text(secret)
      return "\(quoted(name)):\(value(depth: depth + 1, secret))"
    }
    return "{" + members.joined(separator: ",") + "}"
  }

  private mutating func value(depth: Int, _ secret: String) -> String {
    switch Int.random(in: 0...(depth > 4 ? 3 : 6), using: &self) {
    case 0: return "\(Int.random(in: -9...9, using: &self))"
    case 1: return "null"
    case 2: return quoted(text(secret))
    case 3:
      let encoded = secret.replacing("@", with: "%40").replacing("+", with: "%2B").replacing(
        " ", with: "%20")
      return quoted("https://a.example/p?x=\(encoded)&y=1")
    case 4: return object(depth: depth, secret)
    case 5:
      return "[" + value(depth: depth + 1, secret) + ",\(value(depth: depth + 1, secret))]"
    default: return quoted(object(depth: 3, secret))
    }
  }

  private mutating func text(_ secret: String) -> String {
    let around = ["", " ", "see ", "\n", "ü ", "(", "\"", "x, ", "<"]
    return (around.randomElement(using: &self) ?? "") + secret
      + ([" ", "", ".", ",", " now", "\"", ")", "\t"].randomElement(using: &self) ?? "")
  }

  private mutating func quoted(_ text: String) -> String {
    var json = JSONWriter()
    json.string(text)
    let plain = String(decoding: json.bytes, as: UTF8.self)
    return Bool.random(using: &self) ? plain : plain.replacing("@", with: #"\u0040"#)
  }
}
