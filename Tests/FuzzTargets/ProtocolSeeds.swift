import Foundation

/// Requests to begin with: one or two of each protocol, and those of real clients where they lie beside the
/// project.
enum ProtocolSeeds {
  static let all: [String: [[UInt8]]] = own.merging(wire) { $0 + $1 }

  /// Names of members and fields of all protocols.
  static let words = [
    "k=dev", "&", "=", "%41", "t=click", "uid=", "aid=", "eid=", "ts=1795424400000", "rec=1",
    "idsite=",
    "c_n=", "c_i=", "idgoal=", "cdt=", "e=ue", "ue_px=", "cx=", "dtm=", "u=https%3A%2F%2F",
    "\"batch\":[", "\"type\":\"track\"", "\"alias\"", "\"event\":", "\"userId\":",
    "\"anonymousId\":",
    "\"previousId\":", "\"messageId\":", "\"properties\":{", "\"timestamp\":", "\"sentAt\":",
    "\"distinct_id\":", "\"api_key\":", "\"uuid\":", "\"$set\":", "\"events\":[", "\"client_id\":",
    "\"name\":", "\"params\":{", "\"timestamp_micros\":", "\"data\":[", "\"requests\":[",
    "\"specversion\":\"1.0\"", "\"source\":\"/s\"", "\"data_base64\":", "\"e\":[", "\"revenue\":",
    "2026-11-23T09:00:00Z", "compression=gzip-js", "data=", "Content-Type: ",
    "Authorization: Basic ",
    "ce-id: 1\r\n", "ce-type: x\r\n", "Cookie: sp=", "SP-Anonymous: *", "\r\n\r\n",
  ]

  private static func request(
    _ line: String, _ fields: [String] = [], _ body: String = ""
  ) -> [UInt8] {
    var lines = [line + " HTTP/1.1"]
    lines.append(contentsOf: fields)
    lines.append("")
    lines.append(body)
    return Array(lines.joined(separator: "\r\n").utf8)
  }

  private static let own: [String: [[UInt8]]] = [
    "pixel": pixel, "segment": segment, "posthog": postHog, "ga4": ga4, "snowplow": snowplow,
    "matomo": matomo, "cloudevents": cloudEvents, "beacon": beacon, "redirect": redirect,
  ]

  private static let pixel: [[UInt8]] = [
    request(
      "GET /p.gif?k=dev&t=conversion&cid=spring&cnt=p&var=a&ch=mail&uid=u&aid=a1&eid=e1&ts=1795424400000&v=9.99&cur=EUR"
    ),
    request("GET /p.gif?k=dev&t=alias&uid=ann&pid=a1&n=%C3%A9+x"),
  ]

  private static let segment: [[UInt8]] = [
    request(
      "POST /v1/batch", ["Authorization: Basic ZGV2Og=="],
      """
      {"batch":[{"type":"track","messageId":"m1","event":"Order Completed","userId":"ann","anonymousId":"a1",
      "timestamp":"2026-11-23T08:00:00.000Z","properties":{"content_id":"post-1","revenue":9.99}},
      {"type":"alias","userId":"ann","previousId":"a1"},{"type":"nothing"}],
      "sentAt":"2026-11-23T08:00:01Z","writeKey":"dev"}
      """),
    request(
      "POST /v1/t", [],
      #"{"writeKey":"dev","event":"x","userId":1,"timestamp":1795424400000,"sentAt":"2026-11-23"}"#),
  ]

  private static let postHog: [[UInt8]] = [
    request(
      "POST /batch/?compression=none", [],
      """
      {"api_key":"dev","batch":[{"event":"$identify","distinct_id":"ann","uuid":
      "0192f3d2-0000-7000-8000-000000000001","timestamp":"2026-11-23T08:00:00Z",
      "properties":{"$anon_distinct_id":"a1","$set":{"x":1}}},{"event":"$create_alias"}],
      "sent_at":"2026-11-23T08:00:01Z"}
      """),
    request(
      "POST /i/v1/analytics/events", ["Authorization: Bearer dev"],
      """
      {"created_at":"2026-11-23T08:00:01Z","batch":[{"event":"x","uuid":
      "0192f3d2-0000-7000-8000-000000000002","distinct_id":"ann","options":{}},{"uuid":1}]}
      """),
    request(
      "POST /e/", ["Content-Type: application/x-www-form-urlencoded"],
      "data=eyJldmVudCI6IngiLCJkaXN0aW5jdF9pZCI6InUiLCJhcGlfa2V5IjoiZGV2In0="),
  ]

  private static let ga4: [[UInt8]] = [
    request(
      "POST /mp/collect?measurement_id=dev", [],
      """
      {"client_id":"c","user_id":"u","timestamp_micros":1795424400000000,"events":[
      {"name":"purchase","params":{"value":1.5,"currency":"EUR","session_id":"1"}}]}
      """)
  ]

  private static let snowplow: [[UInt8]] = [
    request(
      "POST /com.snowplowanalytics.snowplow/tp2",
      ["Cookie: sp=0192f3d2-0000-7000-8000-000000000001"],
      #"""
      {"schema":"iglu:x/payload_data/jsonschema/1-0-4","data":[{"e":"ue","aid":"dev","duid":"d",
      "eid":"0192f3d2-0000-7000-8000-000000000003","dtm":"1795424400000",
      "ue_pr":"{\"data\":{\"schema\":\"iglu:a/b/jsonschema/1-0-0\",\"data\":{\"value\":1}}}"},
      {"e":"pv","aid":"dev","cx":"e30"}]}
      """#),
    request("GET /i?e=se&se_ac=click&aid=dev&uid=u&cx=e30&ttm=1795424400000"),
    request("GET /r/tp2?u=https%3A%2F%2Fwww.example.org%2F&aid=dev&sig=signed"),
  ]

  private static let matomo: [[UInt8]] = [
    request(
      "POST /matomo.php", [],
      """
      {"requests":["?idsite=dev&rec=1&rand=7&_id=a&c_n=post-1&c_p=a&c_i=click&cdt=1795424400",
      "?idsite=dev&rec=1&idgoal=1&revenue=9.99&token_auth=x"]}
      """),
    request(
      "GET /piwik.php?idsite=dev&rec=1&url=https%3A%2F%2Fa.org%2F%3Fmtm_campaign%3Dx&uid=u&cdo=60&send_image=0"
    ),
  ]

  private static let cloudEvents: [[UInt8]] = [
    request(
      "POST /v1/cloudevents?k=dev", ["Content-Type: application/cloudevents+json"],
      """
      {"specversion":"1.0","id":"1","source":"/s","type":"org.example.click","subject":"p",
      "time":"2026-11-23T09:00:00Z","userid":"ann","anonymousid":"a1","data":{"value":1}}
      """),
    request(
      "POST /ce?k=dev",
      [
        "Content-Type: application/json", "ce-id: 1", "ce-source: /s", "ce-type: x",
        "ce-specversion: 1.0", "ce-subject: \"%C3%A9\"",
      ], #"{"userId":"u"}"#),
    request(
      "POST /ce?k=dev", ["Content-Type: application/cloudevents-batch+json"],
      #"[{"specversion":"1.0","id":"1","source":"/s","type":"x","data_base64":"e30="},{}]"#),
  ]

  private static let beacon: [[UInt8]] = [
    request(
      "POST /v1/e", [],
      """
      {"k":"dev","s":1795424400000,"e":[{"t":"click","cnt":"p","aid":"a1","uid":"u","eid":"e1",
      "ts":1795424400000},{"t":"alias","uid":"u","pid":"a"}]}
      """)
  ]

  private static let redirect: [[UInt8]] = [
    request("GET /r/c?k=dev&u=https%3A%2F%2Fwww.example.org%2Fa%3Fb%3Dc&cnt=p&uid=u&s=signed")
  ]

  /// Captured requests by protocol; see shared/wire/README.md.
  private static let wire: [String: [[UInt8]]] = {
    let protocols = ["segment": "segment-", "posthog": "posthog-", "snowplow": "snowplow-"]
    var folder = URL(fileURLWithPath: #filePath)
    for _ in 0..<4 { folder.deleteLastPathComponent() }
    folder.appendPathComponent("shared/wire")
    var seeds: [String: [[UInt8]]] = [:]
    let files: [URL]
    do {
      files = try FileManager.default.contentsOfDirectory(
        at: folder, includingPropertiesForKeys: nil)
      for file in files.sorted(by: { $0.path < $1.path }) where file.pathExtension == "raw" {
        let name = file.lastPathComponent
        let owner = protocols.first { name.hasPrefix($0.value) }?.key
        guard let owner = owner ?? (name.hasPrefix("ce-") ? "cloudevents" : nil) else { continue }
        let bytes = [UInt8](try Data(contentsOf: file))
        if bytes.count <= 4096 { seeds[owner, default: []].append(bytes) }
      }
    } catch {
      return [:]  // They lie beside the project only where it is developed.
    }
    return seeds
  }()
}
