import Foundation
import HTTPClient
import Testing

@Suite("Experiments on a running system", .serialized, .endsWhatItStarts)
struct ExperimentProofTests {
  private static let json = [HTTPHeader("Content-Type", "application/json")]
  private static let persons = 2_000

  private struct Person {
    let id: String
    let variant: String
    let clicks: Bool
  }

  private let client: HTTPClient

  init() throws { client = try HTTPClient() }

  private func ask(
    _ url: String, _ method: String = "GET", _ body: String? = nil, status: Int = 200
  ) throws -> [String: Any] {
    let answer = try client.send(
      method: method, url, headers: Self.json, body: body.map { Array($0.utf8) })
    #expect(answer.status == status, "\(method) \(url): \(answer.text)")
    let object = try JSONSerialization.jsonObject(with: Data(answer.text.utf8))
    return try #require(object as? [String: Any])
  }

  @Test(
    "declared and started by the API, assigned, exposed through Segment's API, decided as its cohorts say"
  )
  func proof() async throws {
    let streams = try TemporaryFolder.make("proof-experiments-streams") + "/Streams"
    try FileManager.default.copyItem(atPath: "\(SDKPython.root)/Streams", toPath: streams)
    let pipelines = try TextFile.read("\(streams)/pipelines.yaml")
    #expect(pipelines.contains("outcome_window: 1h"))
    try TextFile.write(
      pipelines.replacing("outcome_window: 1h", with: "outcome_window: 2s"),
      to: "\(streams)/pipelines.yaml")
    let system = try await ProofSystem("experiments", streams: streams)
    let all = system.url + "/v1/experiments"
    let one = all + "/greeting"
    let declared = try ask(
      all, "POST",
      #"{"id":"greeting","campaign":"hello","variants":["a","b"],"control":"a","cohort":"10s","minimal_effect":0.5,"weights":{"a":0.5,"b":0.5}}"#,
      status: 201)
    #expect(declared["status"] as? String == "draft")
    _ = try ask(one, "PATCH", #"{"status":"running"}"#)
    // The same persons, asked for what rows don't tell.
    let twin = all + "/twin"
    _ = try ask(
      all, "POST",
      #"{"id":"twin","campaign":"hello","variants":["a","b"],"control":"a","metric":"goal:Content Clicked","segments":["device"],"outcome_window_seconds":2,"cohort":"10s","minimal_effect":0.5,"weights":{"a":0.5,"b":0.5}}"#,
      status: 201)
    _ = try ask(twin, "PATCH", #"{"status":"running"}"#)
    let started = try #require(
      (try ask(twin)["allocation"] as? [[String: Any]])?.first?["since"] as? String)

    // Another one, whose variants something else draws.
    let drawn = all + "/drawn"
    _ = try ask(
      all, "POST",
      #"{"id":"drawn","campaign":"drawn","variants":["a","b"],"control":"a","cohort":"10s","weights":{"a":0.5,"b":0.5}}"#,
      status: 201)
    _ = try ask(drawn, "PATCH", #"{"status":"running"}"#)

    // Who is exposed before the first whole window is not in a cohort of the experiment.
    let windowMs: Int64 = 10_000
    let first = (try Self.milliseconds(started) / windowMs + 1) * windowMs
    #expect(
      await eventually(withinMs: 20_000, everyMs: 50) { Self.now() > first + 3_000 })
    let persons = try (0..<Self.persons).map { number in
      let id = "person-\(number)"
      let answer = try ask(one + "/assignment?person=\(id)")
      let variant = try #require(answer["variant"] as? String)
      // One in twenty of a, one in five of b.
      return Person(id: id, variant: variant, clicks: number % (variant == "a" ? 20 : 5) == 0)
    }
    try expose(persons, from: first, system.url)

    let due = ["a", "b"].map { variant in
      let own = persons.filter { $0.variant == variant }
      return (persons: own.count, clickers: own.count { $0.clicks })
    }
    var last: [String: Any] = [:]
    let isThere = try await eventually(withinMs: 60_000, everyMs: 200) {
      // The watermark moves with what comes; these persons see no variant.
      try await system.post(count: 20)
      last = try ask(one + "/results")
      let variants = last["variants"] as? [[String: Any]] ?? []
      return variants.map { $0["persons"] as? Int } == due.map(\.persons)
    }
    #expect(isThere, "\(last)")
    let variants = try #require(last["variants"] as? [[String: Any]])
    for (variant, due) in zip(variants, due) {
      let metrics = variant["metrics"] as? [String: [String: Any]]
      let rate = try #require(metrics?["click_rate"]?["value"] as? Double)
      #expect((rate - Double(due.clickers) / Double(due.persons)).magnitude < 1e-12)
    }
    let decision = try #require(last["decision"] as? [String: Any])
    #expect(decision["action"] as? String == "take_treatment", "\(decision)")
    #expect(decision["variant"] as? String == "b")
    #expect((last["sample_ratio"] as? [String: Any])?["is_mismatch"] as? Bool == false)
    #expect((last["mixed"] as? [String: Any])?["persons"] as? Int == 0)
    #expect(last["warnings"] as? [String] == [])

    try await isTwin(twin, of: variants, persons)

    // One of five gets a, as its exposures say.
    let exposures = (0..<1_000).map { number in
      """
      {"type":"track","event":"Experiment Viewed","userId":"drawn-\(number)","messageId":"drawn-\(number)",\
      "properties":{"campaign_id":"drawn","variant_id":"\(number % 5 == 0 ? "a" : "b")",\
      "allocation":{"a":0.2,"b":0.8}}}
      """
    }
    #expect(
      try system.post("/v1/batch", #"{"batch":[\#(exposures.joined(separator: ","))]}"#) == 200)
    var ratio: [String: Any] = [:]
    let isChecked = try await eventually(withinMs: 5_000, everyMs: 100) {
      ratio = try ask(drawn + "/results")["sample_ratio"] as? [String: Any] ?? [:]
      let variants = ratio["variants"] as? [[String: Any]] ?? []
      return variants.map { $0["observed"] as? Double } == [200, 800]
    }
    #expect(isChecked, "\(ratio)")
    #expect(ratio["basis"] as? String == "logged" && ratio["is_mismatch"] as? Bool == false)

    _ = try ask(one, "PATCH", #"{"status":"stopped","decision":{"variant":"b","reason":"more"}}"#)
    // What was declared is known after a start, and everybody gets what was decided.
    await system.stop()
    try await system.start(isReady: true)
    #expect(
      try await eventually(withinMs: 10_000) {
        try client.get(one + "/assignment?person=person-1").text.contains(#""variant":"b","in"#)
      })
    // Persons are followed through the log from its beginning.
    try await isTwin(twin, of: variants, persons)
    let verified = try await system.run(["verify"])
    #expect(verified.code == 0, "\(verified.text)")
  }

  /// What persons who are followed come to is what rows come to, and by device what was sent.
  private func isTwin(
    _ twin: String, of variants: [[String: Any]], _ persons: [Person]
  ) async throws {
    var last: [String: Any] = [:]
    func counts(_ variants: [[String: Any]], _ metric: String) -> [[Double?]] {
      variants.map { variant in
        let metrics = variant["metrics"] as? [String: [String: Any]]
        return [variant["persons"] as? Double, metrics?[metric]?["value"] as? Double]
      }
    }
    let due = counts(variants, "click_rate")
    let isThere = try await eventually(withinMs: 20_000, everyMs: 200) {
      let answer = try client.get(twin + "/results")
      guard answer.status == 200 else { return false }
      last = try ask(twin + "/results")
      return counts(last["variants"] as? [[String: Any]] ?? [], "goal:Content Clicked") == due
    }
    #expect(isThere, "\(last)")
    #expect((last["decision"] as? [String: Any])?["action"] as? String == "take_treatment")
    for segment in last["segments"] as? [[String: Any]] ?? [] {
      let device = try #require(segment["value"] as? String)
      let own = persons.filter { Self.isMobile($0) == (device == "mobile") }
      let shown = (segment["variants"] as? [[String: Any]])?.map { $0["persons"] as? Int }
      #expect(shown == ["a", "b"].map { variant in own.count { $0.variant == variant } })
    }
    #expect((last["segments"] as? [Any])?.count == 2, "\(last)")
    let completeness = last["completeness"] as? [String: Any]
    #expect((completeness?["position"] as? String)?.hasPrefix("1~") == true)
  }

  private static func isMobile(_ person: Person) -> Bool { person.id.hasSuffix("3") }

  /// Exposures at the window's second second, clicks half a second after, in batches of Segment's API.
  private func expose(_ persons: [Person], from first: Int64, _ url: String) throws {
    let size = 200
    for start in stride(from: 0, to: persons.count, by: size) {
      var calls: [String] = []
      for person in persons[start..<min(start + size, persons.count)] {
        calls.append(Self.call("Experiment Viewed", person, at: first + 1_000))
        if person.clicks { calls.append(Self.call("Content Clicked", person, at: first + 1_500)) }
      }
      let answer = try client.post(
        url + "/v1/batch",
        headers: Self.json + [
          HTTPHeader("Authorization", "Basic " + Data("dev:".utf8).base64EncodedString())
        ], body: Array(#"{"batch":[\#(calls.joined(separator: ","))]}"#.utf8))
      #expect(answer.status == 200, "\(answer.text)")
    }
  }

  private static func call(_ event: String, _ person: Person, at milliseconds: Int64) -> String {
    let time = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
      .format(Date(timeIntervalSince1970: Double(milliseconds) / 1_000))
    return """
      {"type":"track","event":"\(event)","userId":"\(person.id)","messageId":"\(event)-\(person.id)",\
      "timestamp":"\(time)","context":{"userAgent":"\(isMobile(person) ? mobile : desktop)"},\
      "properties":{"campaign_id":"hello","variant_id":"\(person.variant)",\
      "channel":"web"}}
      """
  }

  private static let mobile =
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
  private static let desktop =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36"

  private static func now() -> Int64 { Int64(Date().timeIntervalSince1970 * 1_000) }

  private static func milliseconds(_ text: String) throws -> Int64 {
    let seconds = try Date(text.prefix(19) + "Z", strategy: .iso8601).timeIntervalSince1970
    return Int64(seconds) * 1_000
  }
}
