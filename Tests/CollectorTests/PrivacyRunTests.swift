@testable import Collector
import Events
import Logging
import Metrics
import Synchronization
import Testing

@Suite("Nothing personal leaves a collector")
struct PrivacyRunTests {
  private static let mail = "ada.l@mail.example.org"
  private static let phone = "+49 170 7654321"
  /// The same with spaces that do not break a line, as address books have it.
  private static let softPhone = "+49\u{a0}170\u{a0}7654321"
  private static let card = "4012888888881881"
  private static let address = "203.0.113.97"
  private static let user = "ada-lovelace-1815"

  /// What a run has logged.
  private final class Lines: Sendable {
    let all = Mutex<[String]>([])

    var log: Logger {
      var log = Logger(label: "test") { _ in Handler(lines: self) }
      log.logLevel = .trace
      return log
    }
  }

  private struct Handler: LogHandler {
    let lines: Lines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let error = event.error.map { "\($0)" } ?? ""
      lines.all.withLock { $0.append("\(event.message) \(event.metadata ?? [:]) \(error)") }
    }
  }

  private struct Request {
    var method = "POST"
    var target: String
    var headers = ""
    var body = ""
  }

  /// The same person's data by every way in, where it belongs, where it does not, and in what is refused.
  private static func requests(_ key: String) -> [Request] {
    let auth = "Authorization: Basic \(Base64.encode(Array("\(key):".utf8)))\r\n"
    let query = "ada.l%40mail.example.org"
    let call = "%2B49%20170%207654321"
    // In members and their names, in arrays within arrays, in paths of addresses.
    let nested =
      #""list":[[{"\#(mail)":["x \#(mail)",{"tel":"\#(phone)","deep":[[["\#(card)"]]]}]}],\#(card)]"#
    let addresses =
      #""ref":"https://a.example/u/\#(mail)/x?t=\#(call)","path":"/u/\#(query)/","text":"\#(softPhone)""#
    let props =
      #""email":"\#(mail)","note":"call \#(phone)","card":"\#(card)",\#(nested),\#(addresses)"#
    let page = "https://a.example/?m=\(query)&t=\(call)"
    let segment = #""userId":"\#(mail)","anonymousId":"\#(user)","context":{"ip":"\#(address)"},"#
    let good = #"{"type":"track","event":"\#(mail)",\#(segment)"properties":{\#(props)}}"#
    let order =
      #"{"type":"track","event":"Order Completed",\#(segment)"properties":{"\#(mail)":1,"who":"\#(user)",\#(props)}}"#
    let bad = #"{"type":"nonsense",\#(segment)"properties":{\#(props)}}"#
    let hog = #""distinct_id":"\#(user)","properties":{"$ip":"\#(address)",\#(props)}"#
    let hogBase64 = Base64.encode(
      Array(#"{"api_key":"\#(key)","batch":[{"event":"click",\#(hog)}]}"#.utf8))
    let self64 = Base64.encode(
      Array(
        #"{"schema":"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0","data":{"schema":"iglu:com.acme/click/jsonschema/1-0-0","data":{\#(props)}}}"#
          .utf8))
    let tp2 = "/com.snowplowanalytics.snowplow/tp2"
    let ce = #""specversion":"1.0","source":"/s","userid":"\#(user)","subject":"\#(mail)""#
    let json = "Content-Type: application/json\r\n"
    let cloud = "Content-Type: application/cloudevents+json\r\n"
    return [
      Request(target: "/v1/batch", headers: auth, body: #"{"batch":[\#(good),\#(bad),\#(order)]}"#),
      Request(target: "/v1/batch", headers: auth, body: #"{"batch":[\#(bad)]}"#),
      Request(target: "/v1/batch", headers: auth, body: #"{"batch":[\#(good)"#),
      Request(target: "/v1/track", headers: auth, body: good),
      Request(target: "/v1/batch", body: #"{"writeKey":"\#(mail)","batch":[]}"#),
      Request(method: "GET", target: "/p.gif?k=\(key)&uid=\(query)&cid=\(query)&aid=\(user)"),
      Request(method: "GET", target: "/p.gif?k=\(key)&t=nonsense&uid=\(user)&x=\(call)&y=\(query)"),
      Request(
        target: "/v1/e",
        body: #"{"k":"\#(key)","e":[{"t":"click","aid":"\#(user)","uid":"\#(mail)",\#(props)},"#
          + #"{"t":"nonsense","uid":"\#(user)",\#(props)}]}"#),
      Request(
        method: "GET", target: "/r/c?k=\(key)&u=https%3A%2F%2Fb.example%2F&uid=\(user)&cid=\(query)"
      ),
      Request(
        target: "/batch/", headers: json,
        body: #"{"api_key":"\#(key)","batch":[{"event":"click",\#(hog)},{"event":7,\#(hog)}]}"#),
      Request(
        target: "/e/", headers: json, body: #"{"api_key":"\#(key)","event":"click",\#(hog)}"#),
      Request(
        target: "/e/", headers: "Content-Type: application/x-www-form-urlencoded\r\n",
        body: "data=\(hogBase64.replacing("+", with: "%2B").replacing("=", with: "%3D"))"),
      Request(
        target: "/i/v1/analytics/events", headers: json + "Authorization: Bearer \(key)\r\n",
        body:
          #"{"created_at":"2026-11-23T09:00:00Z","batch":[{"event":"click","uuid":"0192f3d2-0000-7abc-8000-00000000000f","timestamp":"2026-11-23T09:00:00Z",\#(hog)}]}"#
      ),
      Request(
        target: "/mp/collect?measurement_id=\(key)&api_secret=x", headers: json,
        body:
          #"{"client_id":"\#(user)","user_id":"\#(mail)","events":[{"name":"click","params":{\#(props)}},{"name":7,"params":{\#(props)}}]}"#
      ),
      Request(
        method: "GET",
        target: "/i?aid=\(key)&e=pv&uid=\(user)&duid=\(query)&ip=\(address)&url="
          + page.replacing("%", with: "%25").replacing("&", with: "%26")),
      Request(
        target: tp2, headers: json,
        body:
          #"{"schema":"iglu:x/payload_data/jsonschema/1-0-4","data":[{"e":"ue","aid":"\#(key)","uid":"\#(mail)","duid":"\#(user)","ue_px":"\#(self64)"},"#
          + #"{"e":"nonsense","aid":"\#(key)","uid":"\#(user)","ue_px":"\#(self64)"},{"e":"pv","aid":"\#(key)","dtm":"x","page":"\#(phone)"}]}"#
      ),
      Request(
        method: "GET",
        target:
          "/matomo.php?idsite=\(key)&rec=1&uid=\(user)&cid=\(query)&c_n=\(query)&cip=\(address)"),
      Request(
        method: "GET", target: "/matomo.php?idsite=\(key)&rec=0&uid=\(user)&x=\(query)&y=\(call)"),
      Request(
        target: "/v1/cloudevents", headers: auth + cloud,
        body: #"{\#(ce),"id":"\#(mail)","type":"org.example.click","data":{\#(props)}}"#),
      Request(
        target: "/v1/cloudevents", headers: auth + cloud,
        body: #"{\#(ce),"id":"2","data":{\#(props)}}"#),
      Request(
        method: "GET",
        target:
          "/v1/pixel/track?writeKey=\(key)&userId=\(user)&event=\(query)&properties.a.email=\(query)&properties.t=\(call)"
      ),
      Request(
        method: "GET",
        target: "/v1/pixel/track?writeKey=\(key)&event=x&traits.email=\(query)&properties.t=\(call)"
      ),
      Request(
        method: "GET",
        target: "/v1/pixel/identify?writeKey=\(key)&data="
          + Base64.encode(Array(#"{"traits":{"email":"\#(mail)","id":"\#(user)"}}"#.utf8))
          .replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")),
      Request(
        target: "/v1/cloudevents",
        headers: auth + "ce-specversion: 1.0\r\nce-id: 3\r\nce-source: /s\r\nce-type: click\r\n"
          + "ce-userid: \(user)\r\nce-subject: \(mail)\r\nContent-Type: text/plain\r\n",
        body: "Write to \(mail) or call \(phone)."),
    ]
  }

  @Test(
    "Not in frames, dead letters, answers, the debugger, metrics or logs, by any protocol",
    arguments: [KeyPolicy.Identifiers.keep, .pseudonym], [KeyPolicy.PersonalData.remove, .encrypt])
  func run(_ identifiers: KeyPolicy.Identifiers, _ personal: KeyPolicy.PersonalData) async throws {
    let personKeys = MemoryPersonKeys()
    let vault = PersonKeyTests.vault(personKeys)
    vault.start()
    let publisher = ScriptedPublisher.storing
    let lines = Lines()
    let debugger = EventDebugger()
    let key = WriteKey(
      key: "hush", site: "default",
      policy: KeyPolicy(personalData: personal, identifiers: identifiers),
      pseudonyms: PrivacyGateTests.pseudonyms, mapping: CompiledMapping(standardMapping))
    let marks =
      #"{"x-event":"Order Completed","properties":{"who":{"x-personal":true},"email":{"format":"email"}},"additionalProperties":false}"#
    let (schema, problems) = EventSchema.read(Array(marks.utf8), named: "order")
    let schemas = EventSchemas([try #require(schema, "\(problems)")])
    var seen: [(where: String, text: String)] = []
    try await RunningCollector.run(
      clock: .system, publisher: publisher, log: lines.log,
      routes: { pipeline, registry, routes in
        IngestRoutes(
          keys: WriteKeyTable([key]),
          gates: [
            ConsentGate(), PrivacyGate(schemas: schemas, personKeys: vault), SchemaGate(schemas),
          ],
          redirects: RedirectPolicy(isSigned: { _, _, _ in true }, hosts: []), debugger: debugger,
          personKeys: vault, pipeline: pipeline, producer: RunningCollector.producer,
          metrics: registry
        ).add(to: &routes)
        DebugRoutes(debugger, check: { _ in }).declare(on: &routes)
      }
    ) { port, metrics in
      _ = try await RawRequest.send("GET", "/v1/debug/events", port: port)
      for request in Self.requests("hush") {
        let agent =
          "User-Agent: curl/8 \(Self.mail)\r\nX-Forwarded-For: \(Self.address)\r\n"
          + "Referer: https://a.example/?m=\(Self.mail)\r\nCookie: m=\(Self.mail)\r\n"
        let answer = try await RawRequest.send(
          request.method, request.target, headers: agent + request.headers,
          body: Array(request.body.utf8), port: port)
        seen.append(("answer to \(request.target)", answer.head + answer.body))
        if request.method == "POST" {
          let path = request.target.replacing("?", with: "&")
          let report = try await RawRequest.send(
            "POST", "/v1/validate?path=\(path)", headers: agent + request.headers,
            body: Array(request.body.utf8), port: port)
          seen.append(("validation of \(request.target)", report.head + report.body))
        }
      }
      let feed = try await RawRequest.send("GET", "/v1/debug/events?limit=500", port: port)
      #expect(feed.body.contains(#""outcome":"accepted""#))
      #expect(feed.body.contains(#""outcome":"rejected""#))
      seen.append(("debugger", feed.body))
      seen.append(("metrics", String(decoding: metrics.exposition(.prometheusText), as: UTF8.self)))
    }
    await vault.stop()
    var protocols: Set<String> = []
    var readable: Set<String> = []
    var letters = 0
    for frame in publisher.frames {
      seen.append(("frame", String(decoding: frame.frame, as: UTF8.self)))
      try frame.frame.withUnsafeBytes { bytes in
        let view = try FrameView(bytes)
        for index in 0..<view.count {
          let event = IncomingEvent(view, event: index)
          protocols.insert(String(event.source.prefix { $0 != "/" }))
          seen.append((event.source, String(decoding: event.payload, as: UTF8.self)))
          for text in SealedTexts.find(in: event.payload)
          where RejectionCode(rawValue: event.name) == nil {
            let key = try PersonKeyTests.wrapping.open(
              try #require(try personKeys.key(of: text.person)))
            let binding = PersonKey.Binding(site: "default", event: event.key)
            let value = String(decoding: try key.open(text, binding).value, as: UTF8.self)
            if value.contains("ada") {
              readable.insert(String(event.source.prefix { $0 != "/" }))
            }
          }
          guard RejectionCode(rawValue: event.name) != nil else { continue }
          letters += 1
          let letter = try event.payload.withUnsafeBytes { try DeadLetter(payload: $0) }
          seen.append(("letter", String(decoding: letter.body, as: UTF8.self)))
        }
      }
    }
    #expect(protocols == Set(ProtocolCatalog.all.map(\.name)))
    #expect(letters >= 8)
    if personal == .encrypt {
      #expect(readable == protocols)
    } else {
      #expect(readable.isEmpty && personKeys.stored.isEmpty)
    }
    for line in lines.all.withLock({ $0 }) { seen.append(("log", line)) }
    #expect(seen.contains { $0.where == "frame" && $0.text.contains("[mail]") })
    var secrets = [Self.mail, "%40mail", "ada.l", Self.phone, "7654321", Self.card, Self.address]
    if identifiers == .pseudonym { secrets.append(Self.user) }
    for secret in secrets {
      // Data in base 64 begins anywhere in three bytes; its last bytes depend on what follows.
      var forms = [secret]
      for shift in 0..<3 where secret.utf8.count >= 12 {
        let padded = Array(String(repeating: "x", count: shift).utf8) + Array(secret.utf8)
        forms.append(
          String(Base64.encode(padded).dropFirst(shift == 0 ? 0 : shift + 1).dropLast(4)))
      }
      for (place, text) in seen {
        let found = forms.first { text.contains($0) }
        #expect(found == nil, "\(secret) as \(found ?? "") in \(place): \(text)")
      }
    }
  }
}
