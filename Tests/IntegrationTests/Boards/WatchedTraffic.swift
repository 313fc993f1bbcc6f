import Foundation
import HTTPClient

/// Traffic that makes every metric of a board move: a demo's, and what a demo does not do.
struct WatchedTraffic {
  let system: ProofSystem
  private let demo: ProgramRun
  private let key = "wk_boards"
  private var count = 0

  /// A folder of definitions like the repository's, with something to decide and to judge at once.
  static func definitions() throws -> String {
    let streams = try TemporaryFolder.make("boards-streams") + "/Streams"
    try FileManager.default.copyItem(atPath: "\(SDKPython.root)/Streams", toPath: streams)
    try TextFile.write(
      """
      decisions:
        hero:
          campaign: watched
          content: post-1
          arms: [a, b]
          default: a
          reward_window: 1s
          shadows: {even: uniform}

      """, to: streams + "/decisions.yaml")
    return streams
  }

  init(_ system: ProofSystem) async throws {
    self.system = system
    let added = try await system.run([
      "keys", "add", "--value", key, "--site", "default", "--personal", "encrypt", "--honour-dnt",
    ])
    guard added.code == 0 else { throw HarnessError(added.text) }
    // Persons count a moment after they came.
    let experiment = """
      {"id":"watched","campaign":"watched","variants":["a","b"],"control":"a","weights":{"a":0.5,"b":0.5},\
      "cohort":"10s","outcome_window_seconds":1}
      """
    let json = [HTTPHeader("Content-Type", "application/json")]
    let url = system.url + "/v1/experiments"
    let declared = try HTTPClient().post(url, headers: json, body: Array(experiment.utf8))
    guard declared.status == 201 else { throw HarnessError(declared.text) }
    let started = try HTTPClient().send(
      method: "PATCH", url + "/watched", headers: json, body: Array(#"{"status":"running"}"#.utf8))
    guard started.status == 200 else { throw HarnessError(started.text) }
    demo = try ProgramRun(
      try SmartContentProgram.path(),
      ["demo", "--url", system.url, "--rate", "60", "--forever", "--label", "boards"],
      environment: try system.environment)
  }

  /// Persons with personal data, one who asks not to be tracked, a sender without a key, one who takes part in an
  /// experiment, queries.
  mutating func send() throws {
    count += 1
    let client = try HTTPClient(HTTPClientSettings(connectTimeoutMs: 1_000, timeoutMs: 5_000))
    func track(_ person: String, _ key: String, _ headers: [HTTPHeader] = []) throws {
      _ = try client.post(
        system.url + "/v1/track",
        headers: headers + [HTTPHeader("Content-Type", "application/json")],
        body: Array(
          """
          {"writeKey":"\(key)","type":"track","event":"Content Viewed","userId":"\(person)",\
          "messageId":"\(person)","properties":{"campaign_id":"watched","email":"\(person)@example.org"}}
          """.utf8))
    }
    try track("p\(count)", key)
    try track("q\(count)", key, [HTTPHeader("DNT", "1")])
    try track("r\(count)", "wk_of_nobody")
    let variant = count % 2 == 0 ? "a" : "b"
    for kind in ["impression", "click"] {
      _ = try client.get(
        system.url
          + "/p.gif?k=dev&t=\(kind)&cid=watched&var=\(variant)&uid=s\(count)&eid=\(kind)\(count)")
    }
    try decide("t\(count)")
    _ = try client.post(
      system.url + "/v1/query", headers: [HTTPHeader("Content-Type", "application/json")],
      body: Array(
        #"{"metrics":["ctr"],"dimensions":["campaign"],"date_range":"day"}"#.utf8))
    for path in ["newcomers", "similar?text=soup"] {
      _ = try client.get(system.url + "/v1/recommendations/" + path)
    }
    try listen()
  }

  /// What a person is shown is drawn, seen and clicked.
  private func decide(_ person: String) throws {
    struct Decided: Decodable {
      var arm: String
      var token: String
    }
    let client = try HTTPClient(HTTPClientSettings(connectTimeoutMs: 1_000, timeoutMs: 5_000))
    let json = [HTTPHeader("Content-Type", "application/json")]
    let answer = try client.post(
      system.url + "/v1/decide", headers: json,
      body: Array(#"{"k":"dev","decision":"hero","person":"\#(person)"}"#.utf8))
    guard answer.status == 200 else { throw HarnessError("\(answer.status): \(answer.text)") }
    let decided = try JSONDecoder().decode(Decided.self, from: Data(answer.body))
    let events = ["impression", "click"].map { kind in
      """
      {"t":"\(kind)","cid":"watched","cnt":"post-1","var":"\(decided.arm)","uid":"\(person)",\
      "eid":"\(kind)-\(person)","decision":"\(decided.token)"}
      """
    }
    _ = try client.post(
      system.url + "/v1/e", headers: json,
      body: Array(#"{"k":"dev","e":[\#(events.joined(separator: ","))]}"#.utf8))
  }

  /// Follows a live stream for a moment.
  private func listen() throws {
    let query = "%7B%22metrics%22%3A%5B%22views%22%5D%2C%22date_range%22%3A%22day%22%7D"
    let client = try HTTPClient(HTTPClientSettings(connectTimeoutMs: 1_000, timeoutMs: 200))
    do {
      _ = try client.get(system.url + "/v1/stream?query=\(query)")
    } catch HTTPClientError.timedOut {
      // The stream does not end: the client does.
    }
  }

  func stop() { demo.interrupt() }
}
