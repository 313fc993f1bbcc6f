import Events
import HTTPClient
import JetStreamLog
import Ports
import Testing

/// What `dev` and its commands show of persons: nothing.
@Suite("Personal data on a running system", .serialized, .endsWhatItStarts)
struct PrivacyProofTests {
  private static let secrets = [
    "ada.l@mail.example.org", "ada.l%40mail", "7654321", "4012888888881881", "203.0.113.97",
    "ada-lovelace-1815",
  ]

  @Test("Neither streams nor commands, debugger, metrics nor what the program writes have any")
  func nothing() async throws {
    let system = try await ProofSystem("privacy")
    let client = try HTTPClient()
    let home = String(system.environmentPath.dropLast("/env".count))
    let made = try await system.run([
      "keys", "add", "--home", home, "--site", "default", "--identifiers", "pseudonym", "--value",
      "hush",
    ])
    #expect(made.code == 0, "\(made.text)")
    func post(_ path: String, _ body: String) throws -> HTTPAnswer {
      try client.post(
        system.url + path,
        headers: [
          HTTPHeader("Content-Type", "application/json"),
          HTTPHeader("Authorization", "Bearer hush"), HTTPHeader("User-Agent", Self.secrets[0]),
          HTTPHeader("X-Forwarded-For", "203.0.113.97"),
        ], body: Array(body.utf8))
    }
    let personal =
      #""userId":"ada-lovelace-1815","anonymousId":"ada.l@mail.example.org","#
      + #""context":{"ip":"203.0.113.97"},"properties":{"email":"ada.l@mail.example.org","#
      + #""note":"+49 170 7654321","card":4012888888881881,"campaign_id":"ada.l@mail.example.org"}"#
    // The collector looks for new keys once a second.
    #expect(
      try await eventually(withinMs: 10_000) {
        try post("/v1/track", #"{"type":"track","event":"Content Clicked",\#(personal)}"#).status
          == 200
      })
    _ = try client.get(system.url + "/v1/debug/events")
    var seen: [(place: String, text: String)] = []
    for body in [
      #"{"batch":[{"type":"track","event":"Content Clicked",\#(personal)},{"type":"what",\#(personal)}]}"#,
      #"{"batch":[{"type":"track","event":"Order Completed","properties":{"order_id":[1],"email":"ada.l@mail.example.org"},"userId":"ada-lovelace-1815"}]}"#,
      #"{"batch":[{"type":"track",\#(personal)"#,
    ] {
      seen.append(("answer", try post("/v1/batch", body).text))
      seen.append(("validation", try post("/v1/validate?path=/v1/batch", body).text))
    }
    let bad = try client.get(
      system.url + "/p.gif?k=hush&t=what&uid=ada-lovelace-1815&x=ada.l%40mail.example.org")
    #expect(bad.status == 400)
    seen.append(("answer", bad.text))
    seen.append(("debugger", try client.get(system.url + "/v1/debug/events?limit=500").text))
    #expect(seen.last?.text.contains("[mail]") == true)
    seen.append(("metrics", try client.get(system.url + "/metrics").text))
    for arguments in [
      ["events", "cat"], ["events", "cat", "--stream", "dead-letters"],
      ["dead-letters", "list", "--output", "json"], ["dead-letters", "list"],
      ["dead-letters", "retry", "--all"], ["keys", "list", "--home", home],
    ] {
      let output = try await system.run(arguments)
      #expect(output.code == 0, "\(arguments): \(output.text)")
      seen.append((arguments.joined(separator: " "), output.text))
    }
    let log = try system.log
    for stream in ["events-00", "events-01", "events-02", "events-03", "dead-letters"] {
      let bounds = try log.bounds(stream: stream)
      guard bounds.last >= bounds.first, bounds.last > 0 else { continue }
      for sequence in bounds.first...bounds.last {
        let frame = try log.frame(stream: stream, sequence: sequence)
        seen.append(("\(stream) \(sequence)", String(decoding: frame.bytes, as: UTF8.self)))
      }
    }
    await system.stop()
    seen.append(("output", await system.output()))
    #expect(seen.contains { $0.place.hasPrefix("events-0") && $0.text.contains("[mail]") })
    #expect(seen.contains { $0.place.hasPrefix("dead-letters 1") && $0.text.contains("[mail]") })
    for (place, text) in seen {
      for secret in Self.secrets {
        #expect(!text.contains(secret), "\(secret) in \(place): \(text.prefix(2000))")
      }
    }
  }
}
