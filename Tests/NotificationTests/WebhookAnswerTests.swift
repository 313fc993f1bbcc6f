import HTTPClient
import Testing

@testable import Notifications

@Suite("Answers to webhooks")
struct WebhookAnswerTests {
  @Test(
    "2xx is success, 410 the end, and who is busy or broken is asked again",
    arguments: [
      (200, ReceiverAnswer.accepted(sequence: 0)), (204, .accepted(sequence: 0)), (410, .gone),
      (301, .refused("it answered 301")), (307, .refused("it answered 307")),
      (400, .refused("it answered 400")), (404, .refused("it answered 404")),
      (408, .away("it answered 408", retryAfterMs: nil)),
      (429, .away("it answered 429", retryAfterMs: nil)),
      (500, .away("it answered 500", retryAfterMs: nil)),
      (503, .away("it answered 503", retryAfterMs: nil)),
    ])
  func statuses(status: Int, answer: ReceiverAnswer) {
    #expect(WebhookReceiver.answer(to: HTTPAnswer(status: status)) == answer)
  }

  @Test("it may say when, in seconds and within a day")
  func retryAfter() {
    for (text, ms) in [("7", Int64(7_000)), ("-1", 0), ("999999999", 86_400_000)] {
      let answer = HTTPAnswer(status: 503, headers: [HTTPHeader("retry-after", text)])
      #expect(
        WebhookReceiver.answer(to: answer) == .away("it answered 503", retryAfterMs: ms))
    }
    let date = HTTPAnswer(
      status: 503, headers: [HTTPHeader("Retry-After", "Mon, 30 Nov 2026 10:15:00 GMT")])
    #expect(WebhookReceiver.answer(to: date) == .away("it answered 503", retryAfterMs: nil))
  }

  @Test("no text about a failure has the address, which may hold a secret")
  func noAddress() {
    let url = "https://hooks.example.org/T0/secret"
    let errors: [HTTPClientError] = [
      .invalidURL(url), .cannotResolve(url: url), .cannotConnect(url: url),
      .privateAddress(url: url), .timedOut(url: url, milliseconds: 5), .connectionLost(url: url),
      .responseTooLarge(url: url, byteCountMax: 1), .tlsFailed(url: url, reason: "expired"),
      .failed(url: url, code: 1, reason: "x"),
    ]
    for error in errors {
      guard case .away(let reason, _) = WebhookReceiver.answer(to: error) else {
        Issue.record("\(error) is not taken for being away")
        continue
      }
      #expect(!reason.contains("hooks.example.org") && !reason.isEmpty)
    }
  }
}
