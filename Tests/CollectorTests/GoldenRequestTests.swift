import Events
import Testing

@testable import Collector

/// Whole requests as the documentation of each client's protocol has them, written by hand, and every column that
/// becomes of them: what is in the log for ever, so that a change of it is noticed.
@Suite("Golden requests")
struct GoldenRequestTests {
  struct Request: Sendable {
    var name: String
    /// Request line, header, an empty line, body.
    var text: String
    /// Of each event: kind, name, id, person, user, time, dimensions, micros; `-` where there is none.
    var events: [String]
  }

  private static let requests = [
    Request(
      name: "RudderStack, a batch",
      text: """
        POST /v1/batch
        Authorization: Basic ZGV2Og==
        Content-Type: application/json

        {"batch":[{"type":"track","event":"Order Completed","messageId":"6f2b0e54-0001","channel":"server","userId":"ann","anonymousId":null,"originalTimestamp":"2026-11-23T08:59:58.250+00:00","integrations":{"All":true},"context":{"library":{"name":"rudder-sdk-python","version":"2.1.9"},"traits":{"plan":"pro"},"campaign":{"name":"spring","source":"news","medium":"email"}},"properties":{"revenue":"19.90","currency":"EUR","content_id":"post-1"}},{"type":"identify","messageId":"6f2b0e54-0002","userId":"ann","anonymousId":"a-1","timestamp":"2026-11-23T08:59:59Z","context":{"traits":{"plan":"pro"}}}],"sentAt":"2026-11-23T09:00:00.000Z"}
        """,
      events: [
        "conversion|Order Completed|6f2b0e54-0001|ann|ann|2026-11-23T08:59:58.25Z|spring,post-1,-,email,EUR|19900000",
        "identify|identify|6f2b0e54-0002|a-1|ann|2026-11-23T08:59:59Z|-,-,-,-,-|0",
      ]),
    Request(
      name: "GA4 Measurement Protocol",
      text: """
        POST /mp/collect?measurement_id=dev&api_secret=s
        Content-Type: application/json

        {"client_id":"1234567890.1795420000","user_id":"ann","timestamp_micros":"1795424390000000","events":[{"name":"page_view","params":{"page_location":"https://example.org/?utm_campaign=spring&utm_medium=email","engagement_time_msec":100,"session_id":"s1"}},{"name":"purchase","params":{"transaction_id":"T1","value":30.03,"currency":"EUR","campaign":"autumn","items":[{"item_id":"SKU1","price":30.03}]}}]}
        """,
      events: [
        "view|page_view|*|1234567890.1795420000|ann|2026-11-23T08:59:50Z|spring,-,-,email,-|0",
        "conversion|purchase|*|1234567890.1795420000|ann|2026-11-23T08:59:50Z|autumn,-,-,-,EUR|30030000",
      ]),
    Request(
      name: "Matomo, an image with a content interaction",
      text: """
        GET /matomo.php?idsite=dev&rec=1&rand=351459&apiv=1&_id=0123456789abcdef&uid=ann&url=https%3A%2F%2Fexample.org%2F%3Fmtm_campaign%3Dspring&c_n=Teaser&c_p=teaser.png&c_t=https%3A%2F%2Fexample.org%2Foffer&c_i=click&cdt=2026-11-23%2008%3A59%3A50&res=1920x1080&send_image=0

        """,
      events: [
        "click|content interaction|*|0123456789abcdef|ann|2026-11-23T08:59:50Z|spring,Teaser,teaser.png,-,-|0"
      ]),
    Request(
      name: "Matomo, many in one request",
      text: """
        POST /matomo.php
        Content-Type: application/json

        {"requests":["?idsite=dev&rec=1&rand=1&_id=0123456789abcdef&action_name=Home&url=https%3A%2F%2Fexample.org%2F&cdt=1795424390","?idsite=dev&rec=1&rand=2&_id=0123456789abcdef&idgoal=0&ec_id=O-1&revenue=49.5&cdt=1795424391"],"token_auth":"33dc3f2536d3025974cccb4b4d2d98f4"}
        """,
      events: [
        "view|pageview|*|0123456789abcdef|-|2026-11-23T08:59:50Z|-,-,-,-,-|0",
        "conversion|order|*|0123456789abcdef|-|2026-11-23T08:59:51Z|-,-,-,-,USD|49500000",
      ]),
    Request(
      name: "PostHog, capture v1",
      text: """
        POST /i/v1/analytics/events
        Authorization: Bearer dev
        Content-Type: application/json
        PostHog-Sdk-Info: posthog-python/7.91.1
        PostHog-Request-Timestamp: 2026-11-23T09:00:00.000Z

        {"created_at":"2026-11-23T09:00:00.000Z","batch":[{"event":"$pageview","uuid":"0192f3d2-0000-7000-8000-000000000001","distinct_id":"0192f3d2-aaaa-7000-8000-000000000009","timestamp":"2026-11-23T08:59:50.500Z","options":{"process_person_profile":false},"properties":{"$current_url":"https://example.org/?utm_campaign=spring&utm_content=post-1"}},{"event":"Content Clicked","uuid":"0192f3d2-0000-7000-8000-000000000002","distinct_id":"ann","timestamp":"2026-11-23T08:59:51Z","options":{},"properties":{"content_id":"post-1","variant_id":"b"},"session_id":"s1"}]}
        """,
      events: [
        "view|$pageview|0192f3d2-0000-7000-8000-000000000001|0192f3d2-aaaa-7000-8000-000000000009|-|2026-11-23T08:59:50.5Z|spring,post-1,-,-,-|0",
        "click|Content Clicked|0192f3d2-0000-7000-8000-000000000002|ann|ann|2026-11-23T08:59:51Z|-,post-1,b,-,-|0",
      ]),
  ]

  @Test("A client's request becomes the same events for ever", arguments: requests)
  func golden(_ request: Request) throws {
    let parts = request.text.split(separator: "\n\n", maxSplits: 1).map(String.init)
    var lines = parts[0].split(separator: "\n").map(String.init)
    let target = lines.removeFirst().split(separator: "?", maxSplits: 1).map(String.init)
    var headers: [String: String] = [:]
    for line in lines {
      let field = line.split(separator: ":", maxSplits: 1).map(String.init)
      headers[field[0].lowercased()] = String(field[1].dropFirst())
    }
    let reading = try read(
      target[0], query: target.count > 1 ? target[1].replacing("\n", with: "") : "",
      body: Array((parts.count > 1 ? parts[1] : "").utf8),
      authorization: headers["authorization"], headers: headers)
    #expect(reading.refusals.isEmpty)
    #expect(reading.events.count == request.events.count)
    for (event, expected) in zip(reading.events, request.events) {
      let columns = expected.split(separator: "|").map(String.init)
      #expect(event.kind.name == columns[0] && event.name == columns[1])
      #expect(columns[2] == "*" || event.id == columns[2])
      #expect(event.person == key(columns[3]) && event.user == key(columns[4]))
      #expect(event.eventTime == Timestamp.parse(columns[5]), "\(expected)")
      let values = columns[6].split(separator: ",").map { $0 == "-" ? "" : String($0) }
      #expect(
        try dimensions(event)
          == DimensionTuple(
            site: "default", campaign: values[0], content: values[1], variant: values[2],
            channel: values[3], currency: values[4]))
      #expect(event.revenueMicros == Int64(columns[7]))
    }
  }

  private func key(_ id: String) -> Key128 {
    id == "-" ? .zero : EventIdentity.personKey(site: "default", id: id)
  }
}
