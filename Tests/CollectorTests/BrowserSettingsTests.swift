import Events
import HTTPServer
import Testing

@testable import Collector

@Suite("What SDKs of browsers and trackers ask for besides, and how they say their key")
struct BrowserSettingsTests {
  private static let page = "Origin: https://www.example.org\r\n"

  @Test(
    "Settings are answered to pages of other origins",
    arguments: [
      (
        "/v1/projects/dev/settings", "", "application/json",
        #""apiKey":"dev","apiHost":"x/v1","protocol":"http""#
      ),
      (
        "/v1/projects/dev/settings", "X-Forwarded-Proto: https\r\n", "application/json",
        #""protocol":"https""#
      ),
      (
        "/v1/projects/dev/settings", "Forwarded: for=192.0.2.1;proto=https;by=x\r\n",
        "application/json", #""protocol":"https""#
      ),
      ("/array/dev/config", "", "application/json", #""autocapture_opt_out":false"#),
      (
        "/array/dev/config.js", "", "application/javascript",
        #"window._POSTHOG_REMOTE_CONFIG["dev"]={config:{"#
      ),
    ])
  func settings(_ path: String, _ header: String, _ type: String, _ part: String) async throws {
    try await RunningCollector.run(keys: testKeys, trustedProxies: AddressRanges("127.0.0.1")) {
      port, _ in
      let answer = try await RawRequest.send("GET", path, headers: Self.page + header, port: port)
      #expect(answer.status == 200 && answer.body.contains(part), "\(answer.body)")
      #expect(answer.head.contains("content-type: \(type)"))
      #expect(answer.head.contains("access-control-allow-origin: https://www.example.org"))
      let unknown = try await RawRequest.send(
        "GET", path.replacing("/dev/", with: "/none/"), headers: Self.page, port: port)
      #expect(unknown.status == 404 && unknown.body.contains("unknown_write_key"))
    }
  }

  @Test(
    "RudderStack's SDKs are told of a source without destinations",
    arguments: [
      ("/sourceConfig/?p=cdn&v=3.0.0&build=modern&writeKey=dev", "", "dev"),
      ("/sourceConfig?p=android&v=1.20.0", "Authorization: \(basicDev)\r\n", "dev"),
      ("/sourceConfig?writeKey=wk_demo", "", "wk_demo"),
    ])
  func sourceConfig(_ target: String, _ header: String, _ key: String) async throws {
    try await RunningCollector.run(keys: testKeys) { port, _ in
      let answer = try await RawRequest.send(
        "GET", target, headers: Self.page + header, port: port)
      #expect(answer.status == 200, "\(answer.body)")
      #expect(answer.head.contains("access-control-allow-origin: https://www.example.org"))
      // What the SDKs for JavaScript, Android and iOS look for.
      let source = try #require(try JSONTree(Array(answer.body.utf8))["source"])
      #expect(source["id"] == .string(testKeys.find(key)?.id ?? ""))
      #expect(source["writeKey"] == .string(key) && source["enabled"] == .bool(true))
      #expect(source["destinations"] == .array([]))
      #expect(source["config"]?["statsCollection"]?["errors"]?["enabled"] == .bool(false))
      for name in ["name", "workspaceId", "updatedAt"] { #expect(source[name] != nil) }
      let unknown = try await RawRequest.send(
        "GET", "/sourceConfig/?writeKey=none", headers: Self.page, port: port)
      #expect(unknown.status == 401 && unknown.body.contains("unknown_write_key"))
    }
  }

  @Test("Load balancers ask Snowplow's addresses")
  func health() async throws {
    try await RunningCollector.run(keys: testKeys) { port, _ in
      for path in ["/health", "/sink-health"] {
        let answer = try await RawRequest.send("GET", path, port: port)
        #expect(answer.status == 200 && answer.body == "ok")
      }
    }
  }

  @Test(
    "Who has forgotten the key is told how this protocol says it",
    arguments: [
      ("POST", "/v1/batch", "writeKey in the body"), ("POST", "/batch/", "api_key"),
      ("POST", "/mp/collect", "measurement_id"), ("GET", "/i", "aid"),
      ("GET", "/matomo.php", "idsite"), ("POST", "/v1/e", "k in the body"),
    ])
  func forgotten(_ method: String, _ path: String, _ part: String) async throws {
    try await RunningCollector.run(keys: testKeys) { port, _ in
      let body = #"{"event":"x","distinct_id":"u","batch":[]}"#
      let answer = try await RawRequest.send(
        method, path, body: method == "POST" ? Array(body.utf8) : [], port: port)
      #expect(answer.status == 401 && answer.body.contains(part), "\(answer.body)")
    }
  }

  @Test(
    "RudderStack's beacons name the key in the query",
    arguments: ["/beacon/v1/batch?writeKey=dev", "/v1/batch?writeKey=dev", "/v1/batch?k=dev"])
  func beacon(_ target: String) throws {
    let parts = target.split(separator: "?").map(String.init)
    let body = #"{"batch":[{"type":"page","userId":"u","messageId":"m"}]}"#
    #expect(try read(parts[0], query: parts[1], body: Array(body.utf8)).events.map(\.id) == ["m"])
  }

  @Test(
    "Over TLS, pages of other sites send Snowplow's cookie",
    arguments: [
      ("", "samesite=lax"), ("X-Forwarded-Proto: https\r\n", "samesite=none; secure"),
      ("X-Forwarded-Proto: http\r\n", "samesite=lax"),
      ("Forwarded: for=192.0.2.1; proto=\"https\"\r\n", "samesite=none; secure"),
    ])
  func cookie(_ header: String, _ expected: String) async throws {
    // Only trusted proxies are believed.
    for (proxies, expected) in [("127.0.0.0/8", expected), ("10.0.0.0/8", "samesite=lax")] {
      try await RunningCollector.run(keys: testKeys, trustedProxies: AddressRanges(proxies)) {
        port, _ in
        let answer = try await RawRequest.send(
          "GET", "/i?aid=dev&e=pv", headers: header, port: port)
        #expect(answer.head.contains("; \(expected); httponly"), "\(answer.head)")
      }
    }
  }

  @Test("What Snowplow's trackers post to the pixel's address is taken")
  func post() throws {
    let body = #"{"data":[{"e":"pv","aid":"dev","eid":"e1"}]}"#
    #expect(try read("POST /i", body: Array(body.utf8)).events.map(\.id) == ["e1"])
    let refused = try read("POST /i", body: Array(#"{"data":[{"aid":"dev"}]}"#.utf8))
    #expect(
      refused.rejected.map(\.place) == ["/i data[0]"])
  }

  @Test(
    "JSON in a field that is none is told with its place",
    arguments: [
      ("ue_pr={\"a\":}", "$.ue_pr", "at byte 5 of"), ("ue_px=!!!!", "$.ue_px", "base64url"),
      ("co={", "$.co", "at byte 1 of"), ("co={}{}", "$.co", "at byte 2 of"),
    ])
  func place(_ field: String, _ path: String, _ part: String) throws {
    let refusal = try #require(try read("GET /i", query: "aid=dev&e=pv&\(field)").refused)
    #expect(refusal.path == path && refusal.detail.contains(part), "\(refusal.detail)")
  }
}
